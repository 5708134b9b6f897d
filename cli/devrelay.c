#include "devrelay.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/http1.h"
#include "common/proto.h"
#include "common/util.h"
#include "devpage.h"
#include "listener.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define VISITORS_MAX 200
#define WAIT_MS 60000 /* for a program that does not listen yet */
#define RETRY_MS 30
#define CONNECT_MS 5000
#define BUFFER_BYTES 65536
#define EVENTS_MS 100         /* how soon a page is told */
#define EVENTS_ALIVE_MS 10000 /* a line now and then, which shows who has left */

struct devrelay {
    int listeners[2];
    char dial_path[640];
    atomic_uint port; /* in the sandbox */
    atomic_int visitors;
    _Atomic uint64_t program; /* which one pages are of: another number after each start */
};

struct visit {
    struct devrelay *r;
    int fd;
};

static const char no_program[] =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\nRefresh: 1\r\nConnection: close\r\n\r\n"
    "<!doctype html><title>vitrine dev</title>"
    "<p>The program does not run; the terminal says why. This page "
    "looks again by itself.\n";

void devrelay_set(struct devrelay *r, uint16_t port)
{
    atomic_store(&r->port, port);
}

void devrelay_reload(struct devrelay *r)
{
    atomic_store(&r->program, now_ms());
}

/* A socket in the network of the sandbox: the descriptor, or -errno. */
static int dial(const struct devrelay *r, int timeout_ms)
{
    _cleanup_close_ int sock = proto_connect_path(r->dial_path, NULL);
    struct proto_hello hello = {.role = HELLO_DIAL};
    struct proto_dial ask = {.count = 1};
    if (sock < 0)
        return sock;
    struct proto_msg *m = calloc(1, sizeof(*m));
    int n = m ? proto_send_wait(sock, PROTO_HELLO, &hello, NULL, 0, timeout_ms, NULL) : -ENOMEM;
    if (n == 0)
        n = proto_send_wait(sock, PROTO_DIAL, &ask, NULL, 0, timeout_ms, NULL);
    if (n == 0)
        n = proto_recv(sock, m, timeout_ms, NULL);
    int fd = n > 0 && m->type == PROTO_DIALED && m->n_fds == 1 ? steal_fd(&m->fds[0]) : -ECONNRESET;
    if (n > 0)
        proto_msg_done(m);
    free(m);
    return n < 0 ? n : fd;
}

/* A connection to the program: the descriptor, or -errno. */
static int connect_in(const struct devrelay *r, uint16_t port, int timeout_ms)
{
    _cleanup_close_ int fd = dial(r, timeout_ms);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = 0;
    socklen_t len = sizeof(error);
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        return -errno;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, timeout_ms) <= 0)
        return -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
        return error ? -error : -errno;
    return steal_fd(&fd);
}

/* One direction of a visit. */
struct flow {
    int from, to;
    size_t start, len;
    bool ended, told; /* nothing more comes; and the other side knows */
    char *data;
};

static bool flow_run(struct flow *f)
{
    if (!f->len && !f->ended) {
        ssize_t n = recv(f->from, f->data, BUFFER_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        f->ended = n == 0;
        f->start = 0;
        f->len = n > 0 ? (size_t)n : 0;
    }
    if (f->len) {
        ssize_t n = send(f->to, f->data + f->start, f->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        f->start += n > 0 ? (size_t)n : 0;
        f->len -= n > 0 ? (size_t)n : 0;
    }
    if (f->ended && !f->len && !f->told) {
        f->told = true;
        shutdown(f->to, SHUT_WR);
    }
    return true;
}

/* Both ways, until both sides have ended; `in` has what the visitor said already. */
static void carry(struct flow in)
{
    int visitor = in.from, program = in.to;
    struct flow out = {.from = program, .to = visitor, .data = in.data + BUFFER_BYTES};
    while (!(in.told && out.told)) {
        struct pollfd p[2] = {
            {.fd = visitor,
             .events = (short)((!in.len && !in.ended ? POLLIN : 0) | (out.len ? POLLOUT : 0))},
            {.fd = program,
             .events = (short)((!out.len && !out.ended ? POLLIN : 0) | (in.len ? POLLOUT : 0))},
        };
        for (int i = 0; i < 2; i++)
            if (!p[i].events)
                p[i].fd = -1; /* a hang-up would be told over and over */
        if ((poll(p, 2, -1) < 0 && errno != EINTR) || !flow_run(&in) || !flow_run(&out))
            return;
    }
}

/* Waits while the program is on its way up. */
static int reach(struct devrelay *r)
{
    uint64_t end = mono_ms() + WAIT_MS;
    uint16_t port;
    while ((port = (uint16_t)atomic_load(&r->port)) && mono_ms() < end) {
        int fd = connect_in(r, port, CONNECT_MS);
        if (fd >= 0)
            return fd;
        poll(NULL, 0, RETRY_MS);
    }
    return -ECONNREFUSED;
}

/* Reads until the head of a request is whole: its length, or 0 where it is none that is known here
 * (it passes then as it is). *ret_len: the bytes in `data`. */
static int read_head(int fd, struct http1_head *h, char *data, size_t *ret_len)
{
    int n = 0;
    *ret_len = 0;
    while (n == 0 && *ret_len < HTTP1_HEAD_MAX) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t more =
            poll(&p, 1, WAIT_MS) > 0 ? recv(fd, data + *ret_len, HTTP1_HEAD_MAX - *ret_len, 0) : 0;
        if (more <= 0)
            return 0;
        *ret_len += (size_t)more;
        n = http1_parse_request(h, data, *ret_len);
    }
    return n > 0 ? n : 0;
}

/* One request a connection: so each of them is looked at. In place; the new length of all. */
static size_t close_afterwards(const struct http1_head *h, char *data, size_t len)
{
    static const char close[] = "Connection: close\r\n\r\n";
    _cleanup_buf_ struct buf out = BUF_INIT(BUFFER_BYTES);
    const char *from = data, *end = data + h->len;
    if (h->upgrade_websocket)
        return len;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        const char *line = data + f->name,
                   *next = memchr(data + f->value + f->value_len, '\n', 8192);
        if (f->id != FIELD_CONNECTION || !next)
            continue;
        (void)buf_append(&out, from, (size_t)(line - from));
        from = next + 1;
    }
    if (buf_append(&out, from, (size_t)(end - 2 - from)) < 0 || buf_puts(&out, close) < 0 ||
        buf_append(&out, end, len - h->len) < 0)
        return len;
    memcpy(data, out.data, out.len);
    return out.len;
}

/* Tells a page which program runs, and again whenever that is another one. */
static void events(const struct devrelay *r, int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};
    uint64_t told = 0, told_ms = 0;
    char line[64];
    if (send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL) < 0)
        return;
    do {
        uint64_t now = atomic_load(&r->program), ms = mono_ms();
        int n = now != told ? snprintf(line, sizeof(line), "data: %" PRIu64 "\n\n", now)
                : ms - told_ms > EVENTS_ALIVE_MS ? snprintf(line, sizeof(line), ":\n\n")
                                                 : 0;
        if (n && send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0)
            return;
        told_ms = n ? ms : told_ms;
        told = now;
    } while (poll(&p, 1, EVENTS_MS) == 0);
}

static bool asks_for(const struct http1_head *h, const char *data, const char *path)
{
    return h->target_len == strlen(path) && memcmp(data + h->target, path, h->target_len) == 0;
}

static void serve_one(struct devrelay *r, int fd, char *buffers)
{
    struct http1_head h;
    size_t len;
    int head = read_head(fd, &h, buffers, &len);
    if (!len)
        return;
    if (head && asks_for(&h, buffers, DEVPAGE_EVENTS)) {
        events(r, fd);
        return;
    }
    if (head && asks_for(&h, buffers, DEVPAGE_SCRIPT)) {
        devpage_script(fd);
        return;
    }
    uint64_t of = atomic_load(&r->program);
    _cleanup_close_ int program = reach(r);
    if (program < 0)
        (void)send(fd, no_program, sizeof(no_program) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (head && devpage_is_wanted(&h, buffers))
        devpage_carry(fd, steal_fd(&program), &h, buffers, of);
    else
        carry((struct flow){.from = fd,
                            .to = program,
                            .data = buffers,
                            .len = head ? close_afterwards(&h, buffers, len) : len});
}

static void *visit(void *arg)
{
    struct visit *v = arg;
    char *buffers = malloc((size_t)2 * BUFFER_BYTES);
    if (buffers)
        serve_one(v->r, v->fd, buffers);
    free(buffers);
    shutdown(v->fd, SHUT_RDWR);
    close_fd(&v->fd);
    atomic_fetch_sub(&v->r->visitors, 1);
    free(v);
    return NULL;
}

static void welcome(struct devrelay *r, int listener)
{
    _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct visit *v = fd >= 0 ? malloc(sizeof(*v)) : NULL;
    pthread_t thread;
    if (!v)
        return;
    *v = (struct visit){.r = r, .fd = fd};
    if (atomic_fetch_add(&r->visitors, 1) < VISITORS_MAX &&
        pthread_create(&thread, NULL, visit, v) == 0) {
        pthread_detach(thread);
        (void)steal_fd(&fd);
        return;
    }
    atomic_fetch_sub(&r->visitors, 1);
    free(v);
}

static void *serve(void *arg)
{
    struct devrelay *r = arg;
    for (;;) {
        struct pollfd p[2] = {{.fd = r->listeners[0], .events = POLLIN},
                              {.fd = r->listeners[1], .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (p[i].revents)
                welcome(r, r->listeners[i]);
    }
    return NULL;
}

int devrelay_open(struct devrelay **ret, uint16_t *port, const char *dial_path, struct err *err)
{
    static struct devrelay the_relay = {.listeners = {-1, -1}};
    struct devrelay *r = &the_relay;
    char where[64], actual[300];
    snprintf(r->dial_path, sizeof(r->dial_path), "%s", dial_path);
    snprintf(where, sizeof(where), "127.0.0.1:%u", *port);
    r->listeners[0] = listener_tcp(where, 0, actual, sizeof(actual), err);
    if (r->listeners[0] < 0)
        return r->listeners[0];
    *port = (uint16_t)strtoul(strrchr(actual, ':') + 1, NULL, 10);
    snprintf(where, sizeof(where), "[::1]:%u", *port);
    r->listeners[1] = listener_tcp(where, 0, actual, sizeof(actual), NULL);
    devrelay_reload(r);
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
    pthread_t thread;
    int code = pthread_create(&thread, NULL, serve, r);
    if (code)
        return err_set(err, code, "cannot start a thread: %s", strerror(code));
    pthread_detach(thread);
    *ret = r;
    return 0;
}

int devrelay_probe(const struct devrelay *r, int timeout_ms)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: vitrine\r\n"
                                  "Connection: close\r\n\r\n";
    uint16_t port = (uint16_t)atomic_load(&r->port);
    _cleanup_close_ int fd = port ? connect_in(r, port, timeout_ms) : -1;
    char head[64] = "";
    int status = 0;
    if (fd < 0 ||
        send(fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(request) - 1)
        return 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0 || recv(fd, head, sizeof(head) - 1, MSG_DONTWAIT) <= 0)
        return 0;
    /* The rest as well: some programs complain of who leaves in the middle. */
    char rest[4096];
    uint64_t end = mono_ms() + (uint64_t)timeout_ms;
    while (mono_ms() < end && poll(&p, 1, timeout_ms) > 0 &&
           recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
        ;
    return sscanf(head, "HTTP/1.%*1d %3d", &status) == 1 ? status : 0;
}
