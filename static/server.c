#include "static/server.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

enum {
    CONNECTIONS_MAX = 1024,
    EVENTS_MAX = 64,
    SEND_AT_ONCE = 1 << 20, /* of one file before others get their turn */
    DISCARD_MAX = 64 << 20, /* of a body that nobody asked for */
};

enum phase {
    PHASE_READ,    /* a request's head comes in */
    PHASE_SEND,    /* an answer goes out */
    PHASE_DISCARD, /* answered; what still comes in is thrown away until the other side closes, for
                      closing first would reset the connection under the answer */
};

struct conn {
    int fd;
    enum phase phase;
    struct conn *prev, *next; /* of all connections, the one that waits longest first */
    size_t in_len;
    size_t discarded;
    size_t sent; /* of answer.head */
    struct answer answer;
    char in[REQUEST_HEAD_MAX];
};

struct server {
    int epoll_fd, listen_fd;
    const struct site *site;
    struct conn list; /* head of the ring */
    unsigned count;
};

static void unlink_conn(struct conn *c)
{
    c->prev->next = c->next;
    c->next->prev = c->prev;
}

static void link_last(struct server *s, struct conn *c)
{
    c->prev = s->list.prev;
    c->next = &s->list;
    c->prev->next = c;
    s->list.prev = c;
}

static void close_conn(struct server *s, struct conn *c)
{
    unlink_conn(c);
    s->count--;
    close_fd(&c->answer.file_fd);
    close(c->fd);
    free(c);
}

static int set_phase(struct server *s, struct conn *c, enum phase phase)
{
    struct epoll_event ev = {.events = phase == PHASE_SEND ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    bool same = (c->phase == PHASE_SEND) == (phase == PHASE_SEND);

    c->phase = phase;
    return same ? 0 : epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

/* The next request that is whole in the buffer gets its answer. False: there is none yet. */
static bool take_request(struct server *s, struct conn *c)
{
    struct request req;
    size_t len = request_head_len(c->in, c->in_len);
    int status;

    if (len == 0 && c->in_len < sizeof(c->in))
        return false;
    c->sent = 0;
    status = len == 0 ? 431 : request_parse(c->in, len, &req);
    if (status)
        answer_status(status, &c->answer);
    else
        answer_request(s->site, &req, &c->answer);
    if (!c->answer.close) {
        c->in_len -= len;
        memmove(c->in, c->in + len, c->in_len);
    }
    return true;
}

/* 1: all of it went out; 0: later; negative: the connection is broken. */
static int send_answer(struct conn *c)
{
    struct answer *a = &c->answer;
    size_t budget = SEND_AT_ONCE;

    while (c->sent < a->head_len) {
        ssize_t n = send(c->fd, a->head + c->sent, a->head_len - c->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT | (a->remaining ? MSG_MORE : 0));

        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->sent += (size_t)n;
    }
    while (a->remaining > 0 && budget > 0) {
        off_t offset = (off_t)a->offset;
        size_t want = a->remaining < budget ? (size_t)a->remaining : budget;
        ssize_t n = sendfile(c->fd, a->file_fd, &offset, want);

        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0) /* the file became shorter than what was promised */
            return -EIO;
        a->offset += (uint64_t)n;
        a->remaining -= (uint64_t)n;
        budget -= (size_t)n;
    }
    if (a->remaining > 0)
        return 0;
    close_fd(&a->file_fd);
    return 1;
}

/* Reads what is there. 1: more may come; 0: nothing now; negative: ended or broken. */
static int receive(struct conn *c)
{
    char *into = c->phase == PHASE_READ ? c->in + c->in_len : c->in;
    size_t room = c->phase == PHASE_READ ? sizeof(c->in) - c->in_len : sizeof(c->in);
    ssize_t n = recv(c->fd, into, room, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    if (c->phase == PHASE_READ)
        c->in_len += (size_t)n;
    else
        c->discarded += (size_t)n;
    return c->discarded > DISCARD_MAX ? -EFBIG : 1;
}

/* Does what can be done on one connection; negative: it is to be closed. */
static int serve(struct server *s, struct conn *c)
{
    int r;

    if (c->phase != PHASE_SEND) {
        r = receive(c);
        if (r <= 0 || c->phase == PHASE_DISCARD)
            return r;
    }
    for (;;) {
        if (c->phase == PHASE_READ) {
            if (!take_request(s, c))
                return 0;
        }
        r = send_answer(c);
        if (r < 0)
            return r;
        if (r == 0)
            return set_phase(s, c, PHASE_SEND);
        if (c->answer.close) {
            shutdown(c->fd, SHUT_WR);
            return set_phase(s, c, PHASE_DISCARD);
        }
        if (set_phase(s, c, PHASE_READ) < 0)
            return -EIO;
    }
}

static void add_conn(struct server *s, int fd)
{
    struct conn *c;

    /* Who waits longest makes room: an idle kept-alive connection first. */
    if (s->count >= CONNECTIONS_MAX) {
        struct conn *victim = s->list.next;

        for (struct conn *i = s->list.next; i != &s->list; i = i->next)
            if (i->phase == PHASE_READ && i->in_len == 0) {
                victim = i;
                break;
            }
        close_conn(s, victim);
    }
    c = malloc(sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    c->fd = fd;
    c->phase = PHASE_READ;
    c->in_len = c->discarded = c->sent = 0;
    c->answer.file_fd = -1;
    c->answer.remaining = 0;
    link_last(s, c);
    s->count++;

    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        close_conn(s, c);
}

static void accept_all(struct server *s)
{
    for (int i = 0; i < EVENTS_MAX; i++) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            /* Out of descriptors: let go of one, and the listener stays readable. */
            if ((errno == EMFILE || errno == ENFILE) && s->count > 0)
                close_conn(s, s->list.next);
            return;
        }
        add_conn(s, fd);
    }
}

int server_run(int listen_fd, const struct site *site)
{
    _cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct server s = {.epoll_fd = epoll_fd, .listen_fd = listen_fd, .site = site};
    struct epoll_event events[EVENTS_MAX], ev = {.events = EPOLLIN, .data.ptr = NULL};

    s.list.prev = s.list.next = &s.list;
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev) < 0)
        return -errno;
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        bool new_ones = false;

        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (!c) {
                new_ones = true;
                continue;
            }
            if (serve(&s, c) < 0) {
                close_conn(&s, c);
            } else {
                unlink_conn(c);
                link_last(&s, c);
            }
        }
        /* Last, for it may close connections that this round's events are about. */
        if (new_ones)
            accept_all(&s);
    }
}
