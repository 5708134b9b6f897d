#include "job/body.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BLOCK = 128 * 1024 };

/* In a process of its own: stdin, inflated, into `out`. */
static _Noreturn void inflate(int out, uint64_t most)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    static char data[READ_BLOCK];
    ssize_t n = -1;

    if (a && archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
        archive_read_support_format_raw(a) == ARCHIVE_OK &&
        archive_read_open_fd(a, STDIN_FILENO, READ_BLOCK) == ARCHIVE_OK &&
        archive_read_next_header(a, &entry) == ARCHIVE_OK)
        while ((n = archive_read_data(a, data, sizeof(data))) > 0 && (uint64_t)n <= most) {
            if (write_all(out, data, (size_t)n) < 0)
                break;
            most -= (uint64_t)n;
        }
    _exit(n == 0 ? 0 : 1);
}

int body_begin(const struct job *job, struct body_pipe *ret, struct err *err)
{
    int fds[2];

    *ret = (struct body_pipe){.fd = STDIN_FILENO};
    if (strcmp(job_arg(job, "encoding", ""), "gzip") != 0)
        return 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, "the request cannot be read");
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        signal(SIGPIPE, SIG_DFL);
        inflate(fds[1], job->max_unpacked);
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return err_errno(err, "the request cannot be read");
    }
    *ret = (struct body_pipe){.fd = fds[0], .pid = pid};
    return 0;
}

void body_end(struct body_pipe *body)
{
    if (!body->pid)
        return;
    close_fd(&body->fd);
    kill(body->pid, SIGKILL);
    while (waitpid(body->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    body->pid = 0;
}
