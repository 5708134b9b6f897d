#include "conn.h"

#include "h2.h"
#include "tls.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

void conn_note(struct conn *c, uint32_t events)
{
    if (events & EPOLLIN)
        c->readable = true;
    if (events & EPOLLOUT)
        c->writable = true;
    if (events & EPOLLRDHUP) {
        c->fin = true;
        c->readable = true;
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* what came before the reset can perhaps still be read; writing cannot help any more */
        c->fin = true;
        c->readable = true;
        c->writable = true;
        if (events & EPOLLERR)
            c->broken = true;
    }
}

int conn_room(struct loop *l, struct conn *c)
{
    size_t len = gbuf_len(c->in), want = 1;
    if (!c->in || c->in->cap < GBUF_LARGE)
        want = c->bulk || (c->in && gbuf_room(c->in) < GBUF_SMALL / 4) ? GBUF_LARGE - len : 1;
    else if (gbuf_room(c->in) < GBUF_SMALL)
        want = GBUF_LARGE - len;
    if (want == 0)
        return -ENOBUFS;
    bool fresh = !c->in;
    int r = gbuf_need(&l->bufs, &c->in, want);
    if (r == 0 && fresh && c->answers)
        c->in->head = c->in->tail = CONN_FRONT;
    return r;
}

int conn_read(struct loop *l, struct conn *c)
{
    if (__builtin_expect(c->layer != CONN_PLAIN, 0))
        return c->layer == CONN_TLS ? tls_read(l, c) : h2_read(l, c);
    if (!c->readable)
        return -EAGAIN;
    if (c->eof)
        return 0;
    int r = conn_room(l, c);
    if (r < 0)
        return r;
    size_t room = conn_read_room(c);
    ssize_t n = recv(c->io.fd, c->in->data + c->in->tail, room, MSG_DONTWAIT);
    if (n > 0) {
        c->in->tail += (uint32_t)n;
        c->bulk = (size_t)n == room || (c->bulk && (size_t)n >= GBUF_SMALL);
        /* less than asked for means that there is nothing left: the next edge tells */
        if ((size_t)n < room && !c->fin)
            c->readable = false;
        return (int)n;
    }
    int e = n == 0 ? 0 : errno;
    if (gbuf_len(c->in) == 0)
        gbuf_give(&l->bufs, &c->in);
    if (n == 0) {
        c->eof = true;
        return 0;
    }
    if (e == EAGAIN || e == EINTR) {
        c->readable = false;
        return -EAGAIN;
    }
    c->broken = true;
    c->eof = true;
    return -e;
}

int conn_write(struct loop *l, struct conn *c, const char *extra, size_t extra_len)
{
    size_t done = 0;

    if (__builtin_expect(c->layer != CONN_PLAIN, 0))
        return c->layer == CONN_TLS ? tls_write(l, c, extra, extra_len)
                                    : h2_write(l, c, extra, extra_len);
    while (gbuf_len(c->out) + (extra_len - done) > 0) {
        if (!c->writable)
            break;
        size_t head = gbuf_len(c->out);
        struct iovec iov[2] = {
            {.iov_base = head ? gbuf_at(c->out) : NULL, .iov_len = head},
            {.iov_base = (char *)(uintptr_t)extra + done, .iov_len = extra_len - done},
        };
        ssize_t n;
        if (head && extra_len > done) {
            struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
            n = sendmsg(c->io.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
            struct iovec *v = head ? &iov[0] : &iov[1];
            n = send(c->io.fd, v->iov_base, v->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                c->writable = false;
                break;
            }
            c->broken = true;
            return -errno;
        }
        size_t sent = (size_t)n;
        /* a short write says that the socket is full: the next edge tells */
        if (sent < head + (extra_len - done))
            c->writable = false;
        size_t of_head = sent < head ? sent : head;
        if (of_head)
            gbuf_consume(c->out, of_head);
        done += sent - of_head;
    }
    if (c->out && gbuf_len(c->out) == 0)
        gbuf_give(&l->bufs, &c->out);
    return (int)done;
}

void conn_trim(struct loop *l, struct conn *c)
{
    if (c->in && gbuf_len(c->in) == 0)
        gbuf_give(&l->bufs, &c->in);
    if (c->out && gbuf_len(c->out) == 0)
        gbuf_give(&l->bufs, &c->out);
}

int conn_half_close(struct conn *c)
{
    if (c->layer == CONN_STREAM) {
        h2_half_close(c);
        return 0;
    }
    if (c->tls)
        tls_bye(c);
    return shutdown(c->io.fd, SHUT_WR) < 0 ? -errno : 0;
}

void conn_close(struct loop *l, struct conn *c, bool reset)
{
    if (c->layer == CONN_STREAM)
        h2_close(l, c, reset);
    if (c->tls) {
        if (!reset && c->io.fd >= 0)
            tls_bye(c);
        tls_end(l, c);
    }
    if (c->io.fd >= 0) {
        /* hostile: a tenant that set SO_LINGER on its duplicate could make close() wait */
        struct linger linger = {.l_onoff = reset};
        if (reset || c->hostile)
            setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        loop_close(l, &c->io);
    }
    gbuf_give(&l->bufs, &c->in);
    gbuf_give(&l->bufs, &c->out);
}
