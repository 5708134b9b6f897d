#include "crew.h"

#include "accept.h"
#include "limits.h"
#include "orders.h"
#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define STACK_BYTES (512 * 1024) /* of a thread, beside the place for messages (proto_io.c) */
#define PASS_MS 1000
#define TURN_HANDED 64
/* A connection is handed over where another loop has fewer by more than this: waking it costs more
 * than a small difference does. */
#define SLACK(least) (1 + (least) / 8)
#define CLOSED UINT32_C(0x80000000) /* in a seat's load: nothing comes in any more */

/* On its way to another loop, by a pipe: so small a write is there whole or not at all (pipe(7)).
 */
struct handed {
    int fd;
    bool proxied, tls; /* as its listener is */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer; /* of a Unix socket only the family counts */
};

/* ---- connections that change the loop ---- */

static void on_order(struct loop *l, struct io *io, uint32_t events);

static void on_inbox(struct loop *l, struct io *io, uint32_t events)
{
    if (l->number > 0) /* first what it takes to serve it: certificates */
        on_order(l, &l->crew->members[l->number].from, events);
    for (int i = 0; i < TURN_HANDED; i++) {
        struct handed h;
        struct sockaddr_storage peer = {0};
        if (read(io->fd, &h, sizeof(h)) != sizeof(h))
            break;
        memcpy(&peer, &h.peer, sizeof(h.peer));
        struct listener from = {.proxied = h.proxied, .tls = h.tls};
        accept_take(l, &from, h.fd, &peer);
    }
    if (l->draining && list_empty(&l->clients))
        crew_done(l);
}

static uint32_t load_of(const struct crew *c, unsigned i)
{
    return atomic_load_explicit(&c->seats[i].load, memory_order_relaxed);
}

bool crew_hand_over(struct loop *l, const struct listener *from, int fd,
                    const struct sockaddr_storage *peer)
{
    struct crew *c = l->crew;
    unsigned best = l->number;

    if (c->n == 1)
        return false;
    uint32_t least = load_of(c, best), mine = least;
    for (unsigned i = 0; i < c->n; i++) {
        uint32_t load = load_of(c, i);
        if (load < least) {
            best = i;
            least = load;
        }
    }
    if (mine > least + SLACK(least)) {
        struct crew_seat *seat = &c->seats[best];
        struct handed h = {.fd = fd, .proxied = from->proxied, .tls = from->tls};
        memcpy(&h.peer, peer, sizeof(h.peer));
        if (!(atomic_fetch_add_explicit(&seat->load, 1, memory_order_relaxed) & CLOSED) &&
            write(seat->inbox, &h, sizeof(h)) == sizeof(h))
            return true;
        atomic_fetch_sub_explicit(&seat->load, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&c->seats[l->number].load, 1, memory_order_relaxed);
    return false;
}

/* ---- the others' life ---- */

static bool any_running(const struct crew *c)
{
    for (unsigned i = 1; i < c->n; i++)
        if (c->members[i].running)
            return true;
    return false;
}

void crew_done(struct loop *l)
{
    struct crew *c = l->crew;
    uint32_t none = 0;

    if (c->n > 1 &&
        !atomic_compare_exchange_strong_explicit(&c->seats[l->number].load, &none, CLOSED,
                                                 memory_order_relaxed, memory_order_relaxed) &&
        none != CLOSED)
        return;
    if (l->number == 0)
        c->done = true;
    l->over = l->number > 0 || !any_running(c);
}

static void join(struct crew *c, struct crew_member *m)
{
    if (!m->running)
        return;
    pthread_join(m->thread, NULL);
    m->running = false;
    loop_close(c->members[0].loop, &m->to);
}

/* What a member has to say: it asks for a challenge, or it has ended. */
static void on_member(struct loop *first, struct io *io, uint32_t events)
{
    struct crew *c = first->crew;
    struct crew_member *m = container_of(io, struct crew_member, to);
    (void)events;

    for (;;) {
        struct err err = {0};
        int r = proto_recv(io->fd, &first->msg, 0, &err);
        if (r == -EAGAIN)
            return;
        if (r <= 0)
            break;
        if (first->msg.type == PROTO_SUP_CHALLENGE_ASK)
            (void)proto_send(first->sup_fd, PROTO_SUP_CHALLENGE_ASK,
                             &first->msg.u.sup_challenge_ask, NULL, 0, NULL);
        proto_msg_done(&first->msg);
    }
    join(c, m);
    if (!first->stopping) { /* its visitors are gone; the successor serves on all CPUs again */
        log_error(NULL, "gateway.threads", "a loop has ended: the gateway ends with it");
        first->over = true;
    } else if (c->done && !any_running(c)) {
        first->over = true;
    }
}

static void on_order(struct loop *l, struct io *io, uint32_t events)
{
    (void)events;
    for (;;) {
        struct err err = {0};
        int r = proto_recv(io->fd, &l->msg, 0, &err);
        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            l->over = true;
            return;
        }
        orders_take(l, &l->msg);
        proto_msg_done(&l->msg);
    }
}

static void *run_member(void *arg)
{
    struct crew_member *m = arg;
    struct err err = {0};
    int fd = m->from.fd;

    pthread_barrier_wait(&m->loop->crew->begun);
    if (loop_run(m->loop, &err) < 0)
        log_error(NULL, "gateway.threads", "%s", err.msg);
    loop_free(steal_ptr(m->loop));
    close(fd); /* the first loop sees it, and joins */
    return NULL;
}

int crew_start(void *arg, struct err *err)
{
    struct crew *c = arg;
    pthread_attr_t attr;
    int r;

    if (c->n == 1 || c->members[1].running)
        return 0;
    r = pthread_attr_init(&attr);
    if (r == 0)
        r = pthread_attr_setstacksize(&attr, STACK_BYTES + PROTO_MAX_BYTES);
    if (r == 0)
        r = pthread_barrier_init(&c->begun, NULL, c->n);
    for (unsigned i = 1; r == 0 && i < c->n; i++) {
        struct crew_member *m = &c->members[i];
        r = pthread_create(&m->thread, &attr, run_member, m);
        m->running = r == 0;
    }
    pthread_attr_destroy(&attr);
    if (r) /* those that began wait for ever: the program ends */
        return err_set(err, r, "start a thread: %s", strerror(r));
    /* what libc has to say to the kernel for a new thread is over */
    pthread_barrier_wait(&c->begun);
    return 0;
}

/* ---- messages ---- */

static void pass_to(struct crew_member *m, const struct proto_msg *msg, const int *fd)
{
    struct err err = {0};
    if (m->to.fd >= 0 &&
        proto_send_wait(m->to.fd, msg->type, &msg->u, fd, fd ? 1 : 0, PASS_MS, &err) < 0)
        log_error(NULL, "gateway.threads", "a loop does not hear: %s", err.msg);
}

void crew_pass(struct crew *c, const struct proto_msg *msg)
{
    for (unsigned i = 1; i < c->n; i++) {
        struct crew_member *m = &c->members[i];
        switch (msg->type) {
        case PROTO_SUP_LISTENER:
        case PROTO_SUP_TLS:
        case PROTO_SUP_LOG:
            if (msg->n_fds == 1)
                pass_to(m, msg, &msg->fds[0]);
            break;
        case PROTO_SUP_PEER:
            if ((unsigned)msg->n_fds > i)
                pass_to(m, msg, &msg->fds[i]);
            break;
        case PROTO_SUP_CHALLENGE:
            if (msg->u.sup_challenge.ask_id >> LOOP_ID_SHIFT == i)
                pass_to(m, msg, NULL);
            break;
        case PROTO_SUP_DRAIN:
        case PROTO_SUP_STOP:
            pass_to(m, msg, NULL);
            break;
        default:
            break;
        }
    }
}

void crew_stop(struct crew *c)
{
    struct proto_msg stop = {.type = PROTO_SUP_STOP};
    crew_pass(c, &stop);
}

/* ---- beginning and end ---- */

/* Two SEQPACKET ends, and an inbox. */
static int set_up_member(struct crew *c, unsigned i, struct err *err)
{
    struct crew_member *m = &c->members[i];
    int pair[2];
    int r = proto_pair(pair, err);
    if (r < 0)
        return r;
    m->to = (struct io){.fd = pair[0], .on_event = on_member};
    m->from = (struct io){.fd = pair[1], .on_event = on_order};
    m->loop->sup_fd = m->loop->challenges.sup_fd = m->from.fd;
    r = loop_add_level(c->members[0].loop, &m->to, EPOLLIN);
    if (r == 0)
        r = loop_add_level(m->loop, &m->from, EPOLLIN);
    return r < 0 ? err_set(err, -r, "watch a loop's socket: %s", strerror(-r)) : 0;
}

static int set_up_inbox(struct crew *c, unsigned i, struct err *err)
{
    struct loop *l = c->members[i].loop;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, "make a pipe");
    c->seats[i].inbox = ends[1];
    l->inbox = (struct io){.fd = ends[0], .on_event = on_inbox};
    int r = loop_add_level(l, &l->inbox, EPOLLIN);
    return r < 0 ? err_set(err, -r, "watch a loop's inbox: %s", strerror(-r)) : 0;
}

int crew_new(struct crew **ret, const struct conf *conf, struct err *err)
{
    struct crew *c = aligned_alloc(_Alignof(struct crew), sizeof(*c));
    int r = 0;
    if (!c)
        return err_set(err, ENOMEM, "no memory for the loops");
    memset(c, 0, sizeof(*c));
    /* `up` has said how many; by itself it is one */
    c->n = conf_threads(conf->gateway_threads);
    c->n = c->n ? c->n : 1;
    for (unsigned i = 0; i < CREW_MAX; i++) {
        c->seats[i].inbox = -1;
        c->members[i].to.fd = c->members[i].from.fd = -1;
    }
    c->limits = limits_new(conf->gateway_max_connections);
    if (!c->limits)
        r = err_set(err, ENOMEM, "no memory for the limits");
    for (unsigned i = 0; r == 0 && i < c->n; i++)
        r = loop_new(&c->members[i].loop, conf, c, i, err);
    for (unsigned i = 0; r == 0 && c->n > 1 && i < c->n; i++) {
        r = set_up_inbox(c, i, err);
        if (r == 0 && i > 0)
            r = set_up_member(c, i, err);
    }
    if (r < 0) {
        crew_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void crew_free(struct crew *c)
{
    if (!c)
        return;
    for (unsigned i = 1; i < c->n; i++) {
        struct crew_member *m = &c->members[i];
        if (m->running) {
            shutdown(m->to.fd, SHUT_RDWR);
            join(c, m);
        } else {
            close_fd(&m->to.fd);
            close_fd(&m->from.fd);
        }
        loop_free(m->loop); /* of one that never ran */
    }
    loop_free(c->members[0].loop);
    for (unsigned i = 0; i < c->n; i++)
        close_fd(&c->seats[i].inbox);
    limits_free(c->limits);
    free(c);
}
