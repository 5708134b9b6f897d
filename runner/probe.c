#include "runner/probe.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"
#include "runner/link.h"
#include "runner/loop.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ATTEMPT_MS 10000 /* a server that accepts and stays silent is asked again after this */
#define REDIAL_MS 20

struct probe {
    struct worker *worker;
    void (*on_ready)(struct worker *w);
    struct link dial;
    struct loop_timer timer; /* the next attempt, or the end of this one */
    uint64_t since_us;
    int fd; /* the socket of this attempt, or one that was refused and can be used again */
    struct loop_io *io;
    bool asked; /* the request is on its way */
    int last_status;
    char head[512]; /* its beginning; interim answers (1xx) whole */
    size_t head_len;
    int request_len;
    char request[1024];
};

int probe_last_status(const struct probe *p)
{
    return p ? p->last_status : 0;
}

static void drop_socket(struct probe *p)
{
    loop_del(p->worker->r->loop, &p->io);
    close_fd(&p->fd);
}

void probe_free(struct probe *p)
{
    if (!p)
        return;
    loop_timer_cancel(p->worker->r->loop, &p->timer);
    drop_socket(p);
    link_close(&p->dial);
    free(p);
}

/* 1 ms at first: a compiled demo listens within a few; an interpreter takes longer, and there it
 * matters less. */
static void retry(struct probe *p)
{
    uint64_t age_us = mono_us() - p->since_us;
    uint64_t in_us = age_us < 200000 ? 1000 : age_us < 2000000 ? 5000 : 50000;
    loop_timer_set_us(p->worker->r->loop, &p->timer, in_us);
}

static void attempt(struct probe *p);

/* The status of the answer; 0 while it is not there yet, -1 where it is no HTTP. */
static int final_status(struct probe *p)
{
    while (p->head_len >= strlen("HTTP/1.1 200")) {
        int status = 0;
        if (sscanf(p->head, "HTTP/1.%*1d %3d", &status) != 1 || status < 100)
            return -1;
        if (status >= 200)
            return status;
        const char *end = strstr(p->head, "\r\n\r\n");
        if (!end)
            return 0;
        p->head_len -= (size_t)(end + 4 - p->head);
        memmove(p->head, end + 4, p->head_len + 1);
    }
    return 0;
}

static void on_socket(void *arg, uint32_t events)
{
    (void)events;
    struct probe *p = arg;
    if (!p->asked) {
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error == ECONNREFUSED) { /* nobody listens yet; the socket is as good as new */
            loop_del(p->worker->r->loop, &p->io);
            retry(p);
            return;
        }
        if (error || send(p->fd, p->request, (size_t)p->request_len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
                         p->request_len) {
            drop_socket(p);
            retry(p);
            return;
        }
        p->asked = true;
        if (loop_mod(p->worker->r->loop, p->io, EPOLLIN, NULL) < 0) {
            drop_socket(p);
            retry(p);
        }
        return;
    }
    ssize_t n = recv(p->fd, p->head + p->head_len, sizeof(p->head) - 1 - p->head_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int status = -1;
    if (n > 0) {
        p->head_len += (size_t)n;
        p->head[p->head_len] = 0;
        status = final_status(p);
        if (status == 0 && p->head_len < sizeof(p->head) - 1)
            return;
    }
    drop_socket(p);
    if (status > 0)
        p->last_status = status;
    if (status > 0 && status < 500)
        p->on_ready(p->worker);
    else
        retry(p);
}

static void connect_socket(struct probe *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p->worker->version.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p->asked = false;
    p->head_len = 0;
    if (fd_set_nonblock(p->fd, true) < 0 ||
        (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) ||
        !(p->io = loop_add(p->worker->r->loop, p->fd, EPOLLOUT, on_socket, p, NULL))) {
        drop_socket(p);
        retry(p);
        return;
    }
    loop_timer_set(p->worker->r->loop, &p->timer, ATTEMPT_MS);
}

static void on_dial(void *arg, struct proto_msg *m)
{
    struct probe *p = arg;
    if (p->fd >= 0 || m->type != PROTO_DIALED)
        return;
    if (m->n_fds < 1 || !fd_is_tcp(m->fds[0])) {
        retry(p);
        return;
    }
    p->fd = steal_fd(&m->fds[0]);
    connect_socket(p);
}

static void on_dial_gone(void *arg, const char *why)
{
    (void)why;
    struct probe *p = arg;
    if (p->fd < 0)
        loop_timer_set(p->worker->r->loop, &p->timer, REDIAL_MS);
}

/* One step towards an answer: a connection to PID 1, a socket from it, a connection with that. */
static void attempt(struct probe *p)
{
    if (p->io) /* this attempt took too long */
        drop_socket(p);
    if (p->fd >= 0) {
        connect_socket(p);
        return;
    }
    if (!link_is_open(&p->dial)) {
        int fd = worker_dial(p->worker, NULL);
        if (fd < 0 || link_open(&p->dial, p->worker->r->loop, fd, NULL) < 0) {
            loop_timer_set(p->worker->r->loop, &p->timer, REDIAL_MS);
            return;
        }
    }
    struct proto_dial ask = {.count = 1};
    link_send(&p->dial, PROTO_DIAL, &ask, NULL, 0);
    loop_timer_set(p->worker->r->loop, &p->timer, ATTEMPT_MS);
}

static void on_timer(void *arg)
{
    attempt(arg);
}

int probe_new(struct probe **ret, struct worker *w, const char *host,
              void (*on_ready)(struct worker *w), struct err *err)
{
    struct probe *p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(err, ENOMEM, "no memory for a readiness probe");
    *p = (struct probe){.worker = w, .on_ready = on_ready, .fd = -1, .since_us = mono_us()};
    p->timer = (struct loop_timer){.fn = on_timer, .arg = p};
    p->dial = (struct link){.on_msg = on_dial, .on_gone = on_dial_gone, .arg = p};
    const char *path = w->version.base_path[0] == '/' ? w->version.base_path : "/";
    p->request_len = snprintf(p->request, sizeof(p->request),
                              "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: vitrine-probe\r\n"
                              "Accept: */*\r\nConnection: close\r\n\r\n",
                              path, host);
    bool odd = false;
    for (const char *c = path; *c; c++)
        odd |= (unsigned char)*c <= ' ' || *c == 0x7f;
    if (odd || p->request_len >= (int)sizeof(p->request)) {
        free(p);
        return err_set(err, EINVAL, "base_path is no path of a URL, or too long");
    }
    attempt(p);
    *ret = p;
    return 0;
}
