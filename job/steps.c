#include "job/steps.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The step that a line of pip's or uv's speaks of, where it is not the one that was begun. */
static const char *step_of(const char *line, const char *step)
{
    static const struct {
        const char *begins, *step;
    } known[] = {{"Collecting ", "resolve"},
                 {"Downloading ", "download"},
                 {"Downloaded ", "download"},
                 {"Using cached ", "download"},
                 {"Building ", "build"},
                 {"Preparing metadata", "build"},
                 {"Getting requirements to build", "build"},
                 {"Installing build dep", "build"},
                 {"Resolved ", "resolve"},
                 {"Prepared ", "download"},
                 {"Installing collected ", "install"},
                 {"Installed ", "install"},
                 {"Bytecode compiled", "install"}};
    line += strspn(line, " ");
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strncmp(line, known[i].begins, strlen(known[i].begins)) == 0)
            return known[i].step;
    return step;
}

/* In place: colours go, control characters become blanks, bytes that are no UTF-8 question marks.
 */
static void clean(char *line)
{
    char *to = line;
    for (const char *from = line; *from;) {
        size_t n = utf8_len(from);
        if (from[0] == 0x1b && from[1] == '[') {
            from += 2 + strcspn(from + 2, "ABCDEFGHJKSTfmnhl");
            from += *from != 0;
        } else if (n == 0) {
            *to++ = '?';
            from++;
        } else if (n == 1) {
            *to++ = (unsigned char)*from < 0x20 || *from == 0x7f ? ' ' : *from;
            from++;
        } else {
            memmove(to, from, n);
            to += n;
            from += n;
        }
    }
    while (to > line && to[-1] == ' ')
        to--;
    *to = 0;
}

static void take_line(const char *step, char *line, struct tail *tail)
{
    clean(line);
    if (!line[strspn(line, " ")])
        return;
    printf("log %s %.*s\n", step_of(line, step), 900, line);
    fflush(stdout);
    snprintf(tail->lines[tail->count++ % STEPS_TAIL_LINES], STEPS_LINE_MAX, "%s", line);
}

static void take_output(const char *step, int fd, struct tail *tail)
{
    char text[4096];
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        for (size_t i = 0; i < len; i++)
            text[i] = text[i] ? text[i] : ' ';
        text[len] = 0;
        size_t whole;
        while ((whole = strcspn(text, "\r\n")) < len || len == sizeof(text) - 1) {
            size_t used = whole < len ? whole + 1 : len;
            char rest = text[used];
            text[whole] = 0;
            take_line(step, text, tail);
            text[used] = rest;
            len -= used;
            memmove(text, text + used, len + 1);
        }
    }
    text[len] = 0;
    if (len)
        take_line(step, text, tail);
}

static _Noreturn void child(int out, const char *const *argv)
{
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execv(argv[0], (char *const *)argv);
    fprintf(stderr, "%s cannot be run: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int steps_run(const char *step, const char *const *argv, struct tail *tail, struct err *err)
{
    int pipe_fds[2], status;
    *tail = (struct tail){0};
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(pipe_fds[1], argv);
    close(pipe_fds[1]);
    _cleanup_close_ int out = pipe_fds[0];
    if (pid < 0)
        return err_errno(err, "cannot start a process");
    take_output(step, out, tail);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, "cannot wait for the installer");
    if (WIFSIGNALED(status))
        return err_set(err, EIO, "it was killed by %s", strsignal(WTERMSIG(status)));
    return WEXITSTATUS(status) ? err_set(err, EIO, "it ended with status %d", WEXITSTATUS(status))
                               : 0;
}

void steps_log(const char *step, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    clean(text);
    printf("log %s %s\n", step, text);
    fflush(stdout);
}

/* What a source package's own build printed last, where pip quotes that: a traceback's message. */
static const char *quoted_end(const struct tail *tail, unsigned first)
{
    for (unsigned i = tail->count; i-- > first + 1;) {
        const char *line = tail->lines[i % STEPS_TAIL_LINES];
        if (strstr(line, "[end of output]")) {
            line = tail->lines[(i - 1) % STEPS_TAIL_LINES];
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

/* pip begins what matters with "ERROR:"; uv explains itself over several lines. */
void steps_reason(const struct tail *tail, char *out, size_t size)
{
    unsigned first = tail->count > STEPS_TAIL_LINES ? tail->count - STEPS_TAIL_LINES : 0;
    const char *quoted = quoted_end(tail, first);
    size_t len = 0;
    out[0] = 0;
    if (quoted) {
        snprintf(out, size, "a package could not be built: %s", quoted);
        return;
    }
    for (int errors = 1; errors >= 0 && !len; errors--) {
        unsigned from = errors || tail->count < first + 5 ? first : tail->count - 5;
        for (unsigned i = from; i < tail->count && len < size - 1; i++) {
            const char *line = tail->lines[i % STEPS_TAIL_LINES];
            line += strspn(line, " ");
            bool is_error = strncmp(line, "ERROR: ", 7) == 0;
            if (errors && !is_error)
                continue;
            int n = snprintf(out + len, size - len, "%s%s", len ? " | " : "",
                             is_error ? line + 7 : line);
            len = n < 0 || (size_t)n >= size - len ? size - 1 : len + (size_t)n;
        }
    }
}

int steps_do(const char *step, const char *const *argv,
             void (*reason)(const struct tail *tail, char *out, size_t size), struct err *err)
{
    struct tail tail;
    struct err how = {0};
    char said[400];
    int n = steps_run(step, argv, &tail, &how);
    if (n == 0)
        return 0;
    reason(&tail, said, sizeof(said));
    return said[0] ? err_set(err, EIO, "%s: %s (%s)", step, said, how.msg)
                   : err_set(err, EIO, "%s: %s", step, how.msg);
}
