/* What stands behind a proxy in the gateway's bench, and the floor, as small as can be so that it
 * costs little itself:
 *
 *   http_tools origin PORT COUNTER       answers a request for /N with N bytes, keep-alive, once
 *                                        its body (Content-Length or chunks) is there
 *   http_tools relay PORT ORIGIN_PORT    the floor: bytes both ways, nothing is parsed
 *
 * COUNTER is a file whose first 8 bytes are kept at the number of requests answered. */
#include "net.h"

#include <stdbool.h>
#include <sys/mman.h>

#define LAST_CHUNK "\r\n0\r\n\r\n" /* never in a body of x */
#define LAST_CHUNK_LEN 7

/* ---- origin ---- */

struct origin_conn {
    size_t body;    /* of the request: bytes that are still to come */
    size_t answer;  /* of the answer: bytes that are still to be sent */
    size_t content; /* ... of which so many are x */
    size_t head_len;
    bool chunked;
    bool answered;             /* `head` is the answer's */
    char tail[LAST_CHUNK_LEN]; /* the last bytes of chunks */
    char head[2048];           /* of the request, then of the answer */
};

static volatile uint64_t *count;
static char xs[1 << 18];

static void answer(struct origin_conn *c)
{
    const char *path = strchr(c->head, '/');
    size_t n = path ? strtoul(path + 1, NULL, 10) : 0;
    c->head_len = (size_t)snprintf(c->head, sizeof c->head,
                                   "HTTP/1.1 200 OK\r\nServer: origin\r\n"
                                   "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                                   n);
    c->content = n;
    c->answer = c->head_len + n;
    c->answered = true;
    ++*count;
}

/* Takes what a head says of the body. */
static void head_is_there(struct origin_conn *c)
{
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->chunked = strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
    c->body = length ? strtoul(length + 17, NULL, 10) : 0;
    memset(c->tail, 0, sizeof c->tail);
    if (!c->chunked && !c->body)
        answer(c);
}

static void take(struct origin_conn *c, const char *p, size_t n)
{
    while (n) {
        if (c->chunked) {
            char last[2 * LAST_CHUNK_LEN];
            size_t k = n < LAST_CHUNK_LEN ? n : LAST_CHUNK_LEN;
            memcpy(last, c->tail, LAST_CHUNK_LEN);
            memcpy(last + LAST_CHUNK_LEN, p + n - k, k);
            memcpy(c->tail, last + k, LAST_CHUNK_LEN);
            if (memcmp(c->tail, LAST_CHUNK, LAST_CHUNK_LEN) == 0) {
                c->chunked = false;
                answer(c);
            }
            return;
        }
        if (c->body) {
            size_t k = n < c->body ? n : c->body;
            c->body -= k;
            p += k;
            n -= k;
            if (!c->body)
                answer(c);
            continue;
        }
        if (c->answered) {
            c->answered = false;
            c->head_len = 0;
        }
        size_t had = c->head_len, k = n;
        if (k > sizeof c->head - 1 - had)
            k = sizeof c->head - 1 - had;
        if (!k) {
            fprintf(stderr, "origin: a head of more than %zu bytes\n", sizeof c->head);
            exit(1);
        }
        memcpy(c->head + had, p, k);
        c->head[had + k] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (!end) {
            c->head_len += k;
            return;
        }
        c->head_len = (size_t)(end + 4 - c->head);
        k = c->head_len - had;
        end[2] = '\0';
        p += k;
        n -= k;
        head_is_there(c);
    }
}

static void give(int fd, struct origin_conn *c)
{
    while (c->answer) {
        ssize_t n;
        if (c->answer > c->content) {
            size_t of_x = c->content < sizeof xs ? c->content : sizeof xs;
            size_t of_head = c->answer - c->content;
            struct iovec v[2] = {{c->head + c->head_len - of_head, of_head}, {xs, of_x}};
            struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
            n = sendmsg(fd, &m, MSG_NOSIGNAL);
        } else {
            n = send(fd, xs, c->answer < sizeof xs ? c->answer : sizeof xs, MSG_NOSIGNAL);
        }
        if (n <= 0)
            return;
        c->answer -= (size_t)n;
        if (c->content > c->answer)
            c->content = c->answer;
    }
}

static _Noreturn void origin(int port, const char *counter_path)
{
    int counter_fd = open(counter_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (counter_fd < 0 || ftruncate(counter_fd, 4096) < 0)
        die(counter_path);
    count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, counter_fd, 0);
    static struct origin_conn *conns[MAX_FDS];
    static char buf[1 << 18];
    int ep = epoll_create1(EPOLL_CLOEXEC), lfd = listen_on(port);
    struct epoll_event events[256];

    memset(xs, 'x', sizeof xs);
    watch(ep, lfd, (uint64_t)lfd);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = (int)events[i].data.u64, c;
            if (fd == lfd) {
                while ((c = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    no_delay(c);
                    if (!conns[c] && !(conns[c] = malloc(sizeof *conns[c])))
                        die("malloc");
                    memset(conns[c], 0, sizeof *conns[c]);
                    watch(ep, c, (uint64_t)c);
                }
                continue;
            }
            ssize_t got = -1;
            while ((events[i].events & EPOLLIN) && (got = recv(fd, buf, sizeof buf, 0)) > 0) {
                take(conns[fd], buf, (size_t)got);
                if ((size_t)got < sizeof buf)
                    break;
            }
            if ((events[i].events & EPOLLIN) && (got == 0 || (got < 0 && errno != EAGAIN))) {
                close(fd);
                continue;
            }
            give(fd, conns[fd]);
        }
    }
}

/* ---- relay ---- */

struct way {
    int other;
    size_t at, len;
    char *kept; /* bytes that `other` did not take; then nothing is read */
};

/* 0, -1 at the end. */
static int pass(struct way *w, int fd)
{
    static char buf[32768];
    for (;;) {
        if (w->len) {
            ssize_t n = send(w->other, w->kept + w->at, w->len, MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN ? 0 : -1;
            w->at += (size_t)n;
            w->len -= (size_t)n;
            if (w->len)
                return 0;
        }
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        ssize_t n = send(w->other, buf, (size_t)got, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return -1;
        n = n < 0 ? 0 : n;
        if (n < got) {
            if (!w->kept && !(w->kept = malloc(sizeof buf)))
                die("malloc");
            w->at = 0;
            w->len = (size_t)(got - n);
            memcpy(w->kept, buf + n, w->len);
            return 0;
        }
        if ((size_t)got < sizeof buf)
            return 0;
    }
}

static _Noreturn void relay(int port, int origin_port)
{
    static struct way ways[MAX_FDS];
    int ep = epoll_create1(EPOLL_CLOEXEC), lfd = listen_on(port);
    struct epoll_event events[256];

    watch(ep, lfd, (uint64_t)lfd);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = (int)events[i].data.u64, c;
            if (fd == lfd) {
                while ((c = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    int o = connect_to(origin_port);
                    no_delay(c);
                    ways[c].other = o;
                    ways[o].other = c;
                    ways[c].len = ways[o].len = 0;
                    watch(ep, c, (uint64_t)c);
                    watch(ep, o, (uint64_t)o);
                }
                continue;
            }
            int o = ways[fd].other;
            if (!o)
                continue;
            /* room here is what the other way may wait for */
            if (((events[i].events & EPOLLIN) && pass(&ways[fd], fd) < 0) ||
                ((events[i].events & EPOLLOUT) && ways[o].len && pass(&ways[o], o) < 0)) {
                ways[fd].other = ways[o].other = 0;
                close(fd);
                close(o);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "origin") == 0)
        origin(atoi(argv[2]), argv[3]);
    if (argc == 4 && strcmp(argv[1], "relay") == 0)
        relay(atoi(argv[2]), atoi(argv[3]));
    fprintf(stderr, "usage: see the top of http_tools.c\n");
    return 2;
}
