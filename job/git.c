#include "job/git.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What holds for every git here. It comes after the repository's own configuration, which only
 * jobs write, and so has the last word. */
static const char *const settings[][2] = {
    {"safe.directory", "*"}, /* the sandbox shows one repository */
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.protectHFS", "true"},
    {"core.protectNTFS", "true"},
    {"core.bigFileThreshold", "16m"}, /* larger ones are streamed, not held */
    {"core.compression", "1"},        /* models do not shrink */
    {"core.fsync", "none"},           /* jobs sync once, before a ref moves */
    {"core.quotePath", "false"},
    {"core.attributesFile", "/dev/null"},
    {"core.excludesFile", "/dev/null"},
    {"transfer.fsckObjects", "true"},
    {"receive.fsckObjects", "true"},
    {"fetch.fsckObjects", "true"},
    {"transfer.hideRefs", "refs/replace"},
    {"transfer.unpackLimit", "100"},
    {"receive.autogc", "false"},
    {"receive.updateServerInfo", "false"},
    {"receive.denyDeleteCurrent", "refuse"},
    {"receive.denyCurrentBranch", "ignore"},
    {"receive.advertiseAtomic", "true"},
    {"receive.advertisePushOptions", "false"},
    {"receive.keepAlive", "5"},
    {"receive.shallowUpdate", "false"},
    {"uploadpack.allowFilter", "false"},
    {"uploadpack.hideRefs", "refs/replace"},
    {"gc.auto", "0"},
    {"maintenance.auto", "false"},
    {"pack.threads", "1"},
    {"pack.windowMemory", "32m"},
    {"pack.deltaCacheSize", "32m"},
    {"core.deltaBaseCacheLimit", "32m"},
    {"protocol.allow", "never"},
    {"protocol.file.allow", "never"},
    {"submodule.recurse", "false"},
    {"uploadpack.allowAnySHA1InWant", "false"},
    {"http.receivepack", "true"},
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static int set_number(const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return setenv(name, text, 1);
}

static int add_setting(unsigned i, const char *key, const char *value)
{
    char name[48];

    snprintf(name, sizeof(name), "GIT_CONFIG_KEY_%u", i);
    if (setenv(name, key, 1) < 0)
        return -1;
    snprintf(name, sizeof(name), "GIT_CONFIG_VALUE_%u", i);
    return setenv(name, value, 1);
}

int git_environment(const char *repo, const struct git_limits *limits, struct err *err)
{
    static const char *const fixed[][2] = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", "/nonexistent"},
        {"LANG", "C.UTF-8"},
        {"TZ", "UTC"},
        {"GIT_CONFIG_NOSYSTEM", "1"},
        {"GIT_CONFIG_SYSTEM", "/dev/null"},
        {"GIT_CONFIG_GLOBAL", "/dev/null"},
        {"GIT_ATTR_NOSYSTEM", "1"},
        {"GIT_TERMINAL_PROMPT", "0"},
        {"GIT_NO_REPLACE_OBJECTS", "1"},
        {"GIT_OPTIONAL_LOCKS", "0"},
        {"GIT_ADVICE", "0"},
        {"GIT_PAGER", "cat"},
        {"GIT_ALLOW_PROTOCOL", ""},
        {"GIT_NO_LAZY_FETCH", "1"},
    };
    char number[32], place[PATH_MAX];
    const char *given = getenv("TMPDIR");

    snprintf(place, sizeof(place), "%s", given && *given ? given : "/tmp");
    bool ok = clearenv() == 0 && setenv("TMPDIR", place, 1) == 0;

    for (size_t i = 0; ok && i < sizeof(fixed) / sizeof(fixed[0]); i++)
        ok = setenv(fixed[i][0], fixed[i][1], 1) == 0;
    for (unsigned i = 0; ok && i < SETTINGS; i++)
        ok = add_setting(i, settings[i][0], settings[i][1]) == 0;
    snprintf(number, sizeof(number), "%" PRIu64, limits->max_input);
    ok = ok && add_setting(SETTINGS, "receive.maxInputSize", number) == 0 &&
         set_number("GIT_CONFIG_COUNT", SETTINGS + 1) == 0 && setenv("GIT_DIR", repo, 1) == 0;
    if (ok && limits->memory)
        ok = set_number("GIT_ALLOC_LIMIT", limits->memory) == 0;
    return ok ? 0 : err_set(err, ENOMEM, "out of memory");
}

int git_input(const void *data, size_t len, struct err *err)
{
    _cleanup_close_ int fd = memfd_create("git-input", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : write_all(fd, data, len);

    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? err_set(err, -r, "out of memory") : steal_fd(&fd);
}

/* In the child: never comes back. */
static _Noreturn void become_git(const char *const argv[], int in, int out, int said)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in >= 0 ? in : null, 0) < 0 || dup2(out >= 0 ? out : null, 1) < 0 ||
        dup2(said >= 0 ? said : null, 2) < 0)
        _exit(127);
    execvp("git", (char *const *)argv);
    dprintf(2, "fatal: git cannot be run: %s\n", strerror(errno));
    _exit(127);
}

static pid_t start(const char *const argv[], int in, int out, int said)
{
    fflush(NULL);
    pid_t pid = fork();

    if (pid == 0)
        become_git(argv, in, out, said);
    return pid;
}

int git_begin(struct git *git, const char *const argv[], int in, struct err *err)
{
    int fds[2];
    _cleanup_close_ int said = memfd_create("git-said", MFD_CLOEXEC);

    if (said < 0 || pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, "git cannot be run");
    _cleanup_close_ int theirs = fds[1];
    FILE *out = fdopen(fds[0], "r");

    if (!out) {
        close(fds[0]);
        return err_set(err, ENOMEM, "out of memory");
    }
    *git = (struct git){.out = out, .said = -1};
    git->pid = start(argv, in, theirs, said);
    if (git->pid < 0) {
        git->pid = 0;
        return err_errno(err, "git cannot be run");
    }
    git->said = steal_fd(&said);
    return 0;
}

void git_last_words(int said, char out[GIT_ERROR_MAX])
{
    char text[4096], *last = text;
    off_t end = said < 0 ? -1 : lseek(said, 0, SEEK_END);
    off_t from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = end <= 0 ? 0 : pread(said, text, sizeof(text) - 1, from);

    text[n > 0 ? n : 0] = '\0';
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (strncmp(line, "fatal: ", 7) == 0 || strncmp(line, "error: ", 7) == 0)
            last = line + 7;
        else if (*line && last == text)
            last = line;
    }
    size_t o = 0;
    for (const char *p = last; *p && o + 5 < GIT_ERROR_MAX;) {
        size_t len = utf8_len(p);

        if (len == 0 || (unsigned char)*p < ' ' || *p == 0x7f) {
            out[o++] = '?';
            p++;
            continue;
        }
        memcpy(out + o, p, len);
        o += len;
        p += len;
    }
    out[o] = '\0';
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int failed(const char *what, int said, int status, struct err *err)
{
    char words[GIT_ERROR_MAX];

    git_last_words(said, words);
    if (!*words && status == 128 + SIGKILL)
        snprintf(words, sizeof(words), "it took more memory than a job may have");
    else if (!*words)
        snprintf(words, sizeof(words), "it ended with status %d", status);
    return err_set(err, EIO, "git %s: %s", what, words);
}

static int finish(struct git *git, int *ret_status, const char *what, struct err *err)
{
    if (git->out)
        fclose(git->out);
    git->out = NULL;
    int status = git->pid ? wait_for(git->pid) : 0, r = 0;

    git->pid = 0;
    if (status < 0)
        r = err_set(err, -status, "git cannot be awaited");
    else if (ret_status)
        *ret_status = status;
    else if (status)
        r = failed(what, git->said, status, err);
    close_fd(&git->said);
    return r;
}

int git_end(struct git *git, struct err *err)
{
    return finish(git, NULL, "failed", err);
}

void git_free(struct git *git)
{
    int status;

    if (git->pid)
        kill(git->pid, SIGKILL);
    (void)finish(git, &status, "", NULL);
}

int git_run(const char *const argv[], int in, struct buf *out, int *ret_status, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    char chunk[16384];
    size_t n;
    int r = git_begin(&git, argv, in, err);

    while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), git.out)) > 0)
        if (out && buf_append(out, chunk, n) < 0)
            r = err_set(err, EFBIG, "git %s says more than %zu bytes", argv[1], out->max);
    return r < 0 ? r : finish(&git, ret_status, argv[1], err);
}

int git_run_silent(const char *const argv[], int in, struct err *err)
{
    char words[GIT_ERROR_MAX];
    int said = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int status = git_pass(argv, in, null, &said, err);

    close_fd(&null);
    if (status < 0)
        return status;
    git_last_words(said, words);
    close_fd(&said);
    return status || *words ? err_set(err, EIO, "git %s: %s", argv[1], words) : 0;
}

int git_pass(const char *const argv[], int in, int out, int *ret_said, struct err *err)
{
    _cleanup_close_ int said = memfd_create("git-said", MFD_CLOEXEC);
    pid_t pid = said < 0 ? -1 : start(argv, in, out, said);

    if (pid < 0)
        return err_errno(err, "git cannot be run");
    int status = wait_for(pid);

    if (ret_said)
        *ret_said = steal_fd(&said);
    return status < 0 ? err_set(err, -status, "git cannot be awaited") : status;
}

bool git_is_oid(const char *text)
{
    size_t len = strlen(text);

    return (len == 40 || len == 64) && strspn(text, "0123456789abcdef") == len;
}
