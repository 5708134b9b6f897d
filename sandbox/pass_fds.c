/* See pass_fds.h. */
#include "pass_fds.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union control {
    char bytes[CMSG_SPACE(sizeof(int) * PASS_FDS_MAX)];
    struct cmsghdr align;
};

int pass_data(int sock, const void *data, size_t len, const int *fds, int n, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n == 0)
        return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
    memset(control.bytes, 0, msg.msg_controllen);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
    return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int pass_fds(int sock, const int *fds, int n, int flags)
{
    char go = 'g';
    return pass_data(sock, &go, 1, fds, n, flags);
}

/* Those that came with it. */
static int fds_of(struct msghdr *msg, int *fds, int max)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(msg);
    if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
        return msg->msg_flags & MSG_CTRUNC ? -EMSGSIZE : 0;
    int count = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if ((msg->msg_flags & MSG_CTRUNC) || count > max)
        return -EMSGSIZE;
    memcpy(fds, CMSG_DATA(h), (size_t)count * sizeof(int));
    return count;
}

int pass_data_receive(int sock, void *data, size_t len, int *fds, int max, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = CMSG_SPACE((size_t)max * sizeof(int))};
    ssize_t n;
    do
        n = recvmsg(sock, &msg, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE;
    int count = fds_of(&msg, fds, max);
    return count >= 0 && (size_t)n != len ? -EPROTO : count;
}

int pass_fds_receive(int sock, int *fds, int max, int flags)
{
    char go;
    return pass_data_receive(sock, &go, 1, fds, max, flags);
}
