/* vitrine-job: what job sandboxes run. Untrusted bytes are looked at here and nowhere else: this
 * program runs as the Space's own uid inside a sandbox, has the Space's repository and one folder
 * to write to, and answers with one bounded line. Whoever asks trusts the form of the answer and
 * not its truth.
 *
 *   vitrine-job COMMAND [OPTION...] DEST [KEY=VALUE...]
 *
 *   unpack    stdin an archive: a commit on main and the version's tree (cmd_unpack.c)
 *   commit    stdin ndjson as Hugging Face's clients send it: the same (cmd_commit.c)
 *   version   a commit that is there, or an old tree: the same (cmd_version.c)
 *   receive   a git push: stdin and stdout are the bodies of its HTTP request (cmd_receive.c)
 *   serve     stdout is a body: git's advertisements, git upload-pack, a file (cmd_serve.c)
 *   read      stdout is JSON: trees, logs, refs, diffs (cmd_read.c)
 *   ref       makes and removes branches and tags (cmd_ref.c)
 *   lfs       stdin an LFS object, which is stored (cmd_lfs.c)
 *   data, data-delete   what the Space keeps in /data (cmd_data.c)
 *   card      stdin a README.md, which is judged (cmd_card.c)
 *   pack      the repository is packed, and what nobody needs goes (cmd_pack.c)
 *
 *   plan, resolve, install: the steps of a build, with options of their own (env.h)
 *
 * DEST is an empty folder (for commands that make a tree; "-" for the others). Lines go to stdout,
 * or to stderr where stdout is a body: `progress STEP DONE TOTAL` (bytes), and finally either
 * `result {json}` with exit status 0, or with status 1 `error SENTENCE`, or `refused ERRNO
 * SENTENCE` where it makes a difference which error it is. Usage errors are 2. On an error DEST
 * holds what was made until then; its owner removes it. Called `pre-receive` this is git's hook of
 * that name. */
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "job/debs.h"
#include "job/env.h"
#include "job/git.h"
#include "job/job.h"
#include "job/scratch.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 100, GIT_ALLOC_MIB = 512 };

static const struct command {
    const char *name;
    int (*run)(struct job *job, struct err *err);
    bool body; /* stdout is one */
} commands[] = {
    {"unpack", job_unpack, false},   {"commit", job_commit, false},
    {"version", job_version, false}, {"receive", job_receive, true},
    {"serve", job_serve, true},      {"read", job_read, true},
    {"ref", job_ref, false},         {"lfs", job_lfs, false},
    {"data", job_data, true},        {"data-delete", job_data_delete, false},
    {"pack", job_pack, false},       {"card", job_card, false},
};

static int usage(void)
{
    fprintf(stderr,
            "usage: vitrine-job "
            "unpack|commit|version|receive|serve|read|ref|lfs|data|data-delete|pack|card "
            "[--name FILENAME]\n"
            "       --max-unpacked BYTES --max-files N [--max-file BYTES] [--max-repo BYTES]\n"
            "       [--repo DIR] [--before DIR] DEST [KEY=VALUE...]\n");
    return 2;
}

const char *job_arg(const struct job *job, const char *key, const char *fallback)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < job->n_args; i++)
        if (strncmp(job->args[i], key, len) == 0 && job->args[i][len] == '=')
            return job->args[i] + len + 1;
    return fallback;
}

uint64_t job_number(const struct job *job, const char *key, uint64_t max, uint64_t fallback)
{
    const char *text = job_arg(job, key, "");
    size_t len = strlen(text);
    uint64_t n;

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return fallback;
    n = strtoull(text, NULL, 10);
    return n <= max ? n : fallback;
}

void job_progress(void *arg, uint64_t done, uint64_t total)
{
    struct job *job = arg;
    unsigned percent = total && done < total ? (unsigned)(done * 100 / total) : 100;

    if (percent <= job->last_percent)
        return;
    uint64_t now = mono_ms();

    if (now - job->last_ms < PROGRESS_EVERY_MS)
        return;
    job->last_ms = now;
    job->last_percent = percent;
    fprintf(job->lines, "progress unpack %llu %llu\n", (unsigned long long)done,
            (unsigned long long)total);
    fflush(job->lines);
}

void job_step(struct job *job, const char *step)
{
    fprintf(job->lines, "progress %s 0 0\n", step);
    fflush(job->lines);
}

int job_print(json_t *value, struct err *err)
{
    int r = value ? json_dumpfd(value, STDOUT_FILENO, JSON_COMPACT) : -1;

    json_decref(value);
    return r == 0 ? 0 : err_set(err, EIO, "the answer cannot be written");
}

static int parse_options(int argc, char **argv, struct job *job)
{
    static const struct option longs[] = {
        {"name", required_argument, NULL, 'n'},      {"max-unpacked", required_argument, NULL, 'u'},
        {"max-files", required_argument, NULL, 'f'}, {"max-file", required_argument, NULL, 'F'},
        {"max-repo", required_argument, NULL, 'R'},  {"repo", required_argument, NULL, 'r'},
        {"before", required_argument, NULL, 'b'},    {0}};
    int c;

    while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
        uint64_t *number = c == 'u'   ? &job->max_unpacked
                           : c == 'f' ? &job->max_files
                           : c == 'F' ? &job->max_file
                           : c == 'R' ? &job->max_repo
                                      : NULL;
        const char **text = c == 'n'   ? &job->name
                            : c == 'r' ? &job->repo
                            : c == 'b' ? &job->before
                                       : NULL;

        if (number ? parse_bytes(optarg, number) < 0 : !text)
            return -EINVAL;
        if (text)
            *text = optarg;
    }
    if (optind >= argc || !job->max_unpacked || !job->max_files)
        return -EINVAL;
    job->dest = argv[optind];
    job->args = argv + optind + 1;
    job->n_args = (size_t)(argc - optind - 1);
    if (strrchr(job->name, '/'))
        job->name = strrchr(job->name, '/') + 1;
    return job->n_args > JOB_ARGS_MAX ? -EINVAL : 0;
}

static int run(const struct command *command, struct job *job, struct err *err)
{
    struct git_limits limits = {.max_input = job->max_unpacked,
                                .memory = (uint64_t)GIT_ALLOC_MIB << 20};

    if (command->run == job_data || command->run == job_data_delete || command->run == job_card)
        return command->run(job, err);
    if (!job->repo)
        return command->run == job_unpack ? job_unpack(job, err)
                                          : err_set(err, EINVAL, "it needs a repository (--repo)");
    int r = git_environment(job->repo, &limits, err);
    if (r == 0)
        r = scratch_begin(err);
    return r < 0 ? r : command->run(job, err);
}

/* Those that mean something to who asks. */
static bool is_told_apart(int code)
{
    static const int codes[] = {ESTALE, ENXIO, EFBIG, EEXIST, ENOSPC, EDQUOT, EACCES, ENOENT};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i] == code)
            return true;
    return false;
}

static int answer(struct job *job, const struct command *command, int r, const struct err *err)
{
    if (r == 0 && job->out.len)
        fprintf(job->lines, "result %s\n", job->out.data);
    else if (r == 0)
        fprintf(job->lines, "result {}\n");
    else if (command->run != job_unpack && is_told_apart(err->code))
        fprintf(job->lines, "refused %d %s\n", err->code, err->msg);
    else
        fprintf(job->lines, "error %s\n", err->msg);
    return fflush(job->lines) == 0 && r == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct job job = {.name = "the archive",
                      .lines = stdout,
                      .out = BUF_INIT(JOB_RECORD_MAX),
                      .last_ms = mono_ms()};
    const char *called = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    const struct command *command = NULL;
    struct err err = {0};

    int step = 0;
    if (argc > 1 &&
        (env_main(argc - 1, argv + 1, &step) == 0 || debs_main(argc - 1, argv + 1, &step) == 0))
        return step;
    /* libarchive converts names by the locale's character set. */
    setlocale(LC_CTYPE, "C.UTF-8");
    umask(022);
    if (strcmp(called, "pre-receive") == 0)
        return job_pre_receive();
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            command = &commands[i];
    if (!command || parse_options(argc - 1, argv + 1, &job) < 0)
        return usage();
    if (command->body)
        job.lines = stderr;
    signal(SIGPIPE, SIG_IGN); /* who does not read any more is told by the write's error */
    int r = run(command, &job, &err);
    int status = answer(&job, command, r, &err);

    buf_free(&job.out);
    return status;
}
