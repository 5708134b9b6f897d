/* proto.h: messages and descriptors over sockets. */
#include "proto.h"

#include "cleanup.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LISTEN_BACKLOG 256

/* A message is large at most for a moment, so each thread has one place for it; only the pages that
 * are used exist. */
static _Thread_local unsigned char scratch[PROTO_MAX_BYTES];

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * PROTO_MAX_FDS)];
};

void proto_msg_done(struct proto_msg *m)
{
    for (int i = 0; i < m->n_fds; i++)
        close_fd(&m->fds[i]);
    m->n_fds = 0;
}

int proto_send(int sock, enum proto_type type, const void *body, const int *fds, int n_fds,
               struct err *err)
{
    if (n_fds < 0 || n_fds > PROTO_MAX_FDS)
        return err_set(err, EINVAL, "%s with %d descriptors: %d are the most",
                       proto_type_name(type), n_fds, PROTO_MAX_FDS);
    int len = proto_encode(type, body, scratch, sizeof scratch);
    if (len < 0)
        return err_set(err, -len, "%s does not fit a message", proto_type_name(type));
    struct iovec iov = {.iov_base = scratch, .iov_len = (size_t)len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control;
    if (n_fds > 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n_fds);
    }
    ssize_t sent;
    do {
        sent = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    int r = sent < 0 ? err_errno(err, "cannot send %s", proto_type_name(type)) : 0;
    if (type == PROTO_START) /* secrets are in its environment */
        explicit_bzero(scratch, (size_t)len);
    return r;
}

/* Waits for `events` until `deadline_ms` (mono_ms; UINT64_MAX: for ever). 0, -EAGAIN or an error.
 */
static int wait_for(int sock, short events, uint64_t deadline_ms)
{
    for (;;) {
        int left = -1;
        if (deadline_ms != UINT64_MAX) {
            uint64_t now = mono_ms();
            if (now >= deadline_ms)
                return -EAGAIN;
            left = deadline_ms - now > INT_MAX ? INT_MAX : (int)(deadline_ms - now);
        }
        struct pollfd p = {.fd = sock, .events = events};
        int n = poll(&p, 1, left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static uint64_t deadline(int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : mono_ms() + (unsigned)timeout_ms;
}

int proto_send_wait(int sock, enum proto_type type, const void *body, const int *fds, int n_fds,
                    int timeout_ms, struct err *err)
{
    uint64_t until = deadline(timeout_ms);
    for (;;) {
        int r = proto_send(sock, type, body, fds, n_fds, err);
        if (r != -EAGAIN)
            return r;
        r = wait_for(sock, POLLOUT, until);
        if (r < 0)
            return err_set(err, -r, "cannot send %s: %s", proto_type_name(type),
                           r == -EAGAIN ? "the peer does not read" : strerror(-r));
    }
}

/* Takes the descriptors of a received message into m. What came otherwise is closed: false then. */
static bool take_fds(struct proto_msg *m, struct msghdr *mh)
{
    bool ok = !(mh->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            ok = false;
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->n_fds < PROTO_MAX_FDS) {
                m->fds[m->n_fds++] = fd;
            } else {
                close(fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* One recvmsg: as proto_recv with timeout 0. */
static int receive(int sock, struct proto_msg *m, struct err *err)
{
    struct iovec iov = {.iov_base = scratch, .iov_len = sizeof scratch};
    union control control;
    struct msghdr mh = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n;
    int resets = 0;
    do {
        n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        /* A peer that closed with our messages unread shows as a reset once; what it had sent
         * before is still there, and then the end of the file. */
    } while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    if (n < 0 && errno == EAGAIN)
        return err_set(err, EAGAIN, "no message yet");
    if (n < 0)
        return errno == ECONNRESET ? 0 : err_errno(err, "cannot receive a message");
    bool fds_ok = take_fds(m, &mh);
    int r = 0;
    if (n == 0) {
        proto_msg_done(m); /* an empty message ends the conversation as an end of file does */
        return 0;
    }
    if (!fds_ok)
        r = err_set(err, EPROTO, "a message with more than %d descriptors", PROTO_MAX_FDS);
    else if (mh.msg_flags & MSG_TRUNC)
        r = err_set(err, EPROTO, "a message of more than %d bytes", PROTO_MAX_BYTES);
    else
        r = proto_decode(m, scratch, (size_t)n, err);
    if (m->type == PROTO_START)
        explicit_bzero(scratch, n > 0 ? (size_t)n : 0);
    if (r < 0) {
        m->type = PROTO_NONE;
        proto_msg_done(m);
        return r;
    }
    return 1;
}

int proto_recv(int sock, struct proto_msg *m, int timeout_ms, struct err *err)
{
    m->type = PROTO_NONE;
    m->n_fds = 0;
    uint64_t until = timeout_ms ? deadline(timeout_ms) : 0;
    for (;;) {
        int r = receive(sock, m, err);
        if (r != -EAGAIN || timeout_ms == 0)
            return r;
        r = wait_for(sock, POLLIN, until);
        if (r == -EAGAIN)
            return err_set(err, EAGAIN, "no message within %d ms", timeout_ms);
        if (r < 0)
            return err_set(err, -r, "cannot wait for a message: %s", strerror(-r));
    }
}

int proto_pair(int fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return err_errno(err, "cannot make a pair of sockets");
    return 0;
}

/* Fills `sa` for a path of any length: a long one is reached through its opened folder, which the
 * caller closes after use (-1 where there was no need). */
static int address(const char *path, struct sockaddr_un *sa, int *folder, struct err *err)
{
    memset(sa, 0, sizeof *sa);
    sa->sun_family = AF_UNIX;
    *folder = -1;
    size_t len = strlen(path);
    if (len < sizeof sa->sun_path) {
        memcpy(sa->sun_path, path, len + 1);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    if (!slash || (size_t)(slash - path) >= sizeof dir)
        return err_set(err, ENAMETOOLONG, "%.100s...: a socket's path cannot be so long", path);
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    _cleanup_close_ int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the folder %s", dir);
    int n = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%s", fd, slash + 1);
    if (n < 0 || (size_t)n >= sizeof sa->sun_path)
        return err_set(err, ENAMETOOLONG, "%s: a socket's name cannot be so long", slash + 1);
    *folder = steal_fd(&fd);
    return 0;
}

static int unix_socket(struct err *err)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? err_errno(err, "cannot make a socket") : fd;
}

int proto_listen_path(const char *path, struct err *err)
{
    struct sockaddr_un sa;
    _cleanup_close_ int folder = -1;
    int r = address(path, &sa, &folder, err);
    if (r < 0)
        return r;
    struct stat st;
    if (lstat(sa.sun_path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return err_set(err, EEXIST, "%s is in the way: it is no socket", path);
        if (unlink(sa.sun_path) < 0)
            return err_errno(err, "cannot remove the stale socket %s", path);
    }
    _cleanup_close_ int fd = unix_socket(err);
    if (fd < 0)
        return fd;
    /* The mode given before bind is the mode of the file from its first moment. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0)
        return err_errno(err, "cannot listen on %s", path);
    return steal_fd(&fd);
}

int proto_connect_path(const char *path, struct err *err)
{
    struct sockaddr_un sa;
    _cleanup_close_ int folder = -1;
    int r = address(path, &sa, &folder, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = unix_socket(err);
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
        return err_errno(err, "cannot connect to %s", path);
    return steal_fd(&fd);
}
