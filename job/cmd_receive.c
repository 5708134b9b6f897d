/* `vitrine-job receive`: a git push. stdin is the body of the request to git-receive-pack, stdout
 * gets the body of the answer, when git has ended.
 *
 * git keeps what comes in a quarantine of its own, and asks the hook `pre-receive` what it thinks
 * of it before anything is taken: that is this program again, by another name. The hook judges the
 * refs, the size, and the commit that main is to be: it is checked out into DEST as it would run.
 * What the hook says on stderr is what the pusher reads behind "remote:"; why it refuses also
 * becomes the reason of each ref. Its record and its reason go by files in /tmp, which is this
 * sandbox's own. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/body.h"
#include "job/git.h"
#include "job/job.h"
#include "job/pktline.h"
#include "job/repo.h"
#include "job/scratch.h"
#include "job/version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOKS "hooks"
#define RECORD "record"
#define REASON "reason"

enum { ANSWER_MAX = 4 << 20, REFS_MAX = 1000, REASON_MAX = 512 };

/* ---- around git ---- */

static int set_number(const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return setenv(name, text, 1);
}

/* The hook is this very program; what it needs is in its environment. */
static int make_hook(const struct job *job, struct err *err)
{
    char self[PATH_MAX], folder[PATH_MAX], hook[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return err_errno(err, "the push cannot be judged");
    self[n] = '\0';
    if (mkdir(scratch_path(HOOKS, folder), 0700) < 0 ||
        symlink(self, scratch_path(HOOKS "/pre-receive", hook)) < 0)
        return err_errno(err, "the push cannot be judged");
    if (setenv("VITRINE_DEST", job->dest, 1) < 0 || setenv("VITRINE_REPO", job->repo, 1) < 0 ||
        set_number("VITRINE_MAX_UNPACKED", job->max_unpacked) < 0 ||
        set_number("VITRINE_MAX_FILES", job->max_files) < 0 ||
        set_number("VITRINE_MAX_FILE", job->max_file) < 0 ||
        set_number("VITRINE_MAX_REPO", job->max_repo) < 0)
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

static int read_file(const char *name, struct buf *out)
{
    char path[PATH_MAX];
    _cleanup_close_ int fd = open(scratch_path(name, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : buf_read_fd(out, fd);
}

static int send_answer(int fd, struct err *err)
{
    _cleanup_buf_ struct buf answer = BUF_INIT(ANSWER_MAX);
    _cleanup_buf_ struct buf told = BUF_INIT(ANSWER_MAX);
    _cleanup_buf_ struct buf reason = BUF_INIT(REASON_MAX + 1);
    const struct buf *body = &answer;

    if (lseek(fd, 0, SEEK_SET) < 0 || buf_read_fd(&answer, fd) < 0)
        return err_set(err, EFBIG, "git's answer has more than 4 MiB");
    if (read_file(REASON, &reason) == 0 && reason.len > 0 &&
        pkt_tell_reason(answer.data ? answer.data : "", answer.len, reason.data, &told) == 0)
        body = &told;
    if (body->len && write_all(STDOUT_FILENO, body->data, body->len) < 0)
        return err_set(err, EPIPE, "nobody reads the answer");
    return 0;
}

/* The record that the hook wrote holds where main is at its commit now. */
static int take_record(struct job *job, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(JOB_RECORD_MAX);
    char sha[GIT_OID_MAX + 1];
    int r = read_file(RECORD, &text);

    if (r == -ENOENT)
        return 0;
    json_t *record = r < 0 ? NULL : json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    const char *named = json_string_value(json_object_get(record, "sha"));
    r = repo_ref(REPO_MAIN, sha, err);
    if (r == 1 && named && strcmp(named, sha) == 0 &&
        buf_append(&job->out, text.data, text.len) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    json_decref(record);
    return r < 0 ? r : 0;
}

static void set_push_protocol(const struct job *job)
{
    const char *protocol = job_arg(job, "protocol", "");

    if (strcmp(protocol, "version=1") == 0)
        setenv("GIT_PROTOCOL", protocol, 1);
    else
        unsetenv("GIT_PROTOCOL");
}

int job_receive(struct job *job, struct err *err)
{
    char folder[PATH_MAX], setting[PATH_MAX + 32];
    const char *argv[] = {"git", "-c", setting, "receive-pack", "--stateless-rpc", job->repo, NULL};
    _cleanup_close_ int said = -1;
    _cleanup_close_ int answer = memfd_create("answer", MFD_CLOEXEC);
    struct body_pipe body = {.fd = -1};
    char words[GIT_ERROR_MAX];

    if (answer < 0)
        return err_errno(err, "the push cannot be taken");
    int r = version_open_repo(job, err);
    if (r == 0)
        r = make_hook(job, err);
    if (r == 0)
        r = body_begin(job, &body, err);
    if (r < 0)
        return r;
    set_push_protocol(job);
    snprintf(setting, sizeof(setting), "core.hooksPath=%s", scratch_path(HOOKS, folder));
    int status = git_pass(argv, body.fd, answer, &said, err);
    body_end(&body);
    if (status < 0)
        return status;
    if (status != 0 && lseek(answer, 0, SEEK_END) == 0) {
        git_last_words(said, words);
        return err_set(err, EINVAL, "git refuses the push: %s",
                       *words ? words : "it is damaged, or takes more memory than a job may have");
    }
    r = take_record(job, err);
    return r < 0 ? r : send_answer(answer, err);
}

/* ---- the hook ---- */

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : 0;
}

static int refuse(const struct err *err)
{
    char path[PATH_MAX];

    fprintf(stderr, "\nrefused: %s\n\n", err->msg);
    (void)file_write_whole(scratch_path(REASON, path), err->msg, strlen(err->msg), 0600, NULL);
    return 1;
}

static bool is_none(const char *oid)
{
    return strspn(oid, "0") == strlen(oid);
}

/* "OLD NEW REF" on stdin for each ref: the commit that main is to be, "" where it stays. */
static int judge_refs(char main_sha[GIT_OID_MAX + 1], struct err *err)
{
    char line[1200], old[GIT_OID_MAX + 1], new[GIT_OID_MAX + 1], ref[1025];
    unsigned n = 0;

    main_sha[0] = '\0';
    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "%64s %64s %1024s", old, new, ref) != 3)
            return err_set(err, EINVAL, "a ref with a name that is too long");
        if (++n > REFS_MAX)
            return err_set(err, E2BIG, "more than %d branches and tags in one push", REFS_MAX);
        if (strncmp(ref, "refs/heads/", 11) != 0 && strncmp(ref, "refs/tags/", 10) != 0)
            return err_set(err, EINVAL,
                           "%.200s: only branches (refs/heads/) and tags (refs/tags/) are taken",
                           ref);
        if (strlen(ref) > 255)
            return err_set(err, EINVAL, "%.100s...: the name has more than 255 bytes", ref);
        /* git would find out later, when it has taken the objects */
        if (strcmp(ref, REPO_MAIN) == 0) {
            char now[GIT_OID_MAX + 1];
            int r = repo_ref(ref, now, err);

            if (r < 0)
                return r;
            if (strcmp(is_none(old) ? "" : old, now) != 0)
                return err_set(err, ESTALE, "main has moved meanwhile: fetch it and try again");
        }
        if (strcmp(ref, REPO_MAIN) == 0 && !is_none(new))
            snprintf(main_sha, GIT_OID_MAX + 1, "%s", new);
    }
    return 0;
}

int job_pre_receive(void)
{
    struct job job = {.name = "the push",
                      .dest = getenv("VITRINE_DEST"),
                      .repo = getenv("VITRINE_REPO"),
                      .max_unpacked = number_of("VITRINE_MAX_UNPACKED"),
                      .max_files = number_of("VITRINE_MAX_FILES"),
                      .max_file = number_of("VITRINE_MAX_FILE"),
                      .max_repo = number_of("VITRINE_MAX_REPO"),
                      .lines = fopen("/dev/null", "w"),
                      .out = BUF_INIT(JOB_RECORD_MAX)};
    char sha[GIT_OID_MAX + 1], path[PATH_MAX];
    struct err err = {0};

    if (!job.dest || !job.repo || !job.lines) {
        fprintf(stderr, "this hook is run by vitrine-job\n");
        return 1;
    }
    int r = judge_refs(sha, &err);
    if (r == 0)
        r = version_check_quota(&job, 0, &err);
    if (r == 0 && *sha)
        r = version_of_commit(&job, sha, &err);
    else if (r == 0)
        r = version_sync(&job, &err);
    if (r == 0 && *sha)
        r = file_write_whole(scratch_path(RECORD, path), job.out.data, job.out.len, 0600, &err);
    if (r < 0)
        return refuse(&err);
    if (*sha)
        fprintf(stderr, "accepted %.12s\n", sha);
    return 0;
}
