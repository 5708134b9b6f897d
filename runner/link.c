#include "runner/link.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define MAX_PENDING 16384
#define FDS_SHARE 4     /* of what we may have open a fourth waits for one reader at most */
#define MAX_IN_A_ROW 64 /* messages of one link before the others have their turn */

struct link_pending {
    struct link_pending *next;
    enum proto_type type;
    int n_fds;
    int fds[PROTO_MAX_FDS];
    char body[];
};

/* One for the whole loop: it is large, and messages are handled one at a time. */
static struct proto_msg received;

static const size_t body_size[PROTO_COUNT] = {
#define X(NAME, name) [PROTO_##NAME] = sizeof(struct proto_##name),
    PROTO_MESSAGES(X)
#undef X
};

static void pending_free(struct link *l, struct link_pending *p)
{
    l->pending_fds -= (unsigned)p->n_fds;
    for (int i = 0; i < p->n_fds; i++)
        close_fd(&p->fds[i]);
    if (p->type == PROTO_START) /* secrets are in its environment */
        explicit_bzero(p->body, body_size[p->type]);
    free(p);
}

void link_close(struct link *l)
{
    if (!l->io)
        return;
    loop_del(l->loop, &l->io);
    close_fd(&l->fd);
    while (l->first) {
        struct link_pending *p = l->first;
        l->first = p->next;
        pending_free(l, p);
    }
    l->last = &l->first;
    l->pending = 0;
}

static void gone(struct link *l, const char *why)
{
    link_close(l);
    if (l->on_gone)
        l->on_gone(l->arg, why);
}

/* False once the link is closed. */
static bool flush(struct link *l)
{
    struct err err = {0};
    while (l->first) {
        struct link_pending *p = l->first;
        int r = proto_send(l->fd, p->type, p->body, p->fds, p->n_fds, &err);
        if (r == -EAGAIN)
            return true;
        if (r < 0 && r != -EMSGSIZE) {
            gone(l, err.msg);
            return false;
        }
        l->first = p->next;
        if (!l->first)
            l->last = &l->first;
        l->pending--;
        pending_free(l, p);
    }
    loop_mod(l->loop, l->io, EPOLLIN, NULL);
    return true;
}

static void on_events(void *arg, uint32_t events)
{
    struct link *l = arg;
    if ((events & EPOLLOUT) && !flush(l))
        return;
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    const struct loop_io *io = l->io;
    for (int i = 0; i < MAX_IN_A_ROW; i++) {
        struct err err = {0};
        int r = proto_recv(l->fd, &received, 0, &err);
        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            gone(l, r == 0 ? "closed" : err.msg);
            return;
        }
        l->on_msg(l->arg, &received);
        proto_msg_done(&received);
        if (loop_io_is_dead(io))
            return; /* `l` itself may be gone */
    }
}

int link_open(struct link *l, struct loop *loop, int fd, struct err *err)
{
    link_close(l);
    l->loop = loop;
    l->last = &l->first;
    l->io = loop_add(loop, fd, EPOLLIN, on_events, l, err);
    if (!l->io) {
        close(fd);
        return err ? -err->code : -EIO;
    }
    l->fd = fd;
    return 0;
}

/* A reader that asks for descriptors and takes none would leave nobody else any. */
static bool has_room_for_fds(const struct link *l, int n)
{
    struct rlimit lim;
    return n == 0 || getrlimit(RLIMIT_NOFILE, &lim) < 0 ||
           l->pending_fds + (unsigned)n <= lim.rlim_cur / FDS_SHARE;
}

static int queue(struct link *l, enum proto_type type, const void *body, const int *fds, int n_fds)
{
    if (l->pending >= MAX_PENDING || !has_room_for_fds(l, n_fds))
        return -ENOBUFS;
    struct link_pending *p = calloc(1, sizeof(*p) + body_size[type]);
    if (!p)
        return -ENOMEM;
    p->type = type;
    if (body)
        memcpy(p->body, body, body_size[type]);
    for (; p->n_fds < n_fds; p->n_fds++, l->pending_fds++) {
        p->fds[p->n_fds] = fcntl(fds[p->n_fds], F_DUPFD_CLOEXEC, 3);
        if (p->fds[p->n_fds] < 0) {
            int r = -errno;
            pending_free(l, p);
            return r;
        }
    }
    *l->last = p;
    l->last = &p->next;
    if (!l->pending++)
        loop_mod(l->loop, l->io, EPOLLIN | EPOLLOUT, NULL);
    return 0;
}

int link_send(struct link *l, enum proto_type type, const void *body, const int *fds, int n_fds)
{
    if (!l->io)
        return -ENOTCONN;
    if (!l->first) {
        int r = proto_send(l->fd, type, body, fds, n_fds, NULL);
        if (r != -EAGAIN) /* a peer that is gone is met by the loop, as the end of the file */
            return r == -EPIPE || r == -ECONNRESET ? 0 : r;
    }
    return queue(l, type, body, fds, n_fds);
}
