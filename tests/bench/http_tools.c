/* What the gateway's bench needs besides a proxy, as small as can be so that it costs little
 * itself:
 *
 *   http_tools origin PORT BYTES COUNTER      answers every request with BYTES bytes, keep-alive
 *   http_tools relay PORT ORIGIN_PORT         the floor: bytes both ways, nothing is parsed
 *   http_tools load PORT HOST CONNECTIONS RATE MS
 *                                             GET / at RATE a second (0: as fast as answers come)
 *
 * COUNTER is a file whose first 8 bytes are kept at the number of requests answered. `load` prints
 * "answers p50_us p99_us" and fails where an answer is not what the origin sends. All on
 * 127.0.0.1. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 65536

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int listen_on(int port)
{
    struct sockaddr_in a = address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0)
        die("listen");
    return fd;
}

static int connect_to(int port)
{
    struct sockaddr_in a = address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("connect");
    no_delay(fd);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    if (fd >= MAX_FDS || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

/* ---- origin ---- */

static _Noreturn void origin(int port, size_t bytes, const char *counter_path)
{
    int counter_fd = open(counter_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (counter_fd < 0 || ftruncate(counter_fd, 4096) < 0)
        die(counter_path);
    volatile uint64_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, counter_fd, 0);
    char *answer = malloc(bytes + 256);
    int head = snprintf(answer, 256,
                        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        bytes);
    memset(answer + head, 'x', bytes);
    size_t len = (size_t)head + bytes;
    static struct { /* of an answer that did not fit at once */
        size_t left;
        uint32_t tail; /* the last 4 bytes of the request so far */
    } conns[MAX_FDS];
    int ep = epoll_create1(EPOLL_CLOEXEC), lfd = listen_on(port);
    struct epoll_event events[256];
    char buf[16384];

    watch(ep, lfd, EPOLLIN);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == lfd) {
                int c = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (c >= 0) {
                    no_delay(c);
                    memset(&conns[c], 0, sizeof conns[c]);
                    watch(ep, c, EPOLLIN | EPOLLOUT | EPOLLET);
                }
                continue;
            }
            ssize_t got;
            while ((events[i].events & EPOLLIN) && (got = recv(fd, buf, sizeof buf, 0)) > 0) {
                for (ssize_t k = 0; k < got; k++) {
                    conns[fd].tail = conns[fd].tail << 8 | (uint8_t)buf[k];
                    if (conns[fd].tail == 0x0d0a0d0a) {
                        conns[fd].left += len;
                        ++*count;
                    }
                }
                if ((size_t)got < sizeof buf)
                    break;
            }
            if ((events[i].events & EPOLLIN) && got == 0) {
                close(fd);
                continue;
            }
            while (conns[fd].left) {
                size_t of_this = (conns[fd].left - 1) % len + 1;
                ssize_t sent = send(fd, answer + len - of_this, of_this, MSG_NOSIGNAL);
                if (sent <= 0)
                    break;
                conns[fd].left -= (size_t)sent;
            }
        }
    }
}

/* ---- relay ---- */

static _Noreturn void relay(int port, int origin_port)
{
    static int other[MAX_FDS];
    int ep = epoll_create1(EPOLL_CLOEXEC), lfd = listen_on(port);
    struct epoll_event events[256];
    char buf[65536];

    watch(ep, lfd, EPOLLIN);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == lfd) {
                int c = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (c < 0)
                    continue;
                int o = connect_to(origin_port);
                no_delay(c);
                other[c] = o;
                other[o] = c;
                watch(ep, c, EPOLLIN | EPOLLET);
                watch(ep, o, EPOLLIN | EPOLLET);
                continue;
            }
            if (!other[fd])
                continue;
            ssize_t got = recv(fd, buf, sizeof buf, 0);
            /* only messages that fit in the sockets' buffers are sent through it */
            if (got > 0 && send(other[fd], buf, (size_t)got, MSG_NOSIGNAL) == got)
                continue;
            if (got < 0 && errno == EAGAIN)
                continue;
            int o = other[fd];
            other[fd] = other[o] = 0;
            close(fd);
            close(o);
        }
    }
}

/* ---- load ---- */

struct load_conn {
    uint64_t sent_ns;
    size_t got, want; /* bytes of the answer; want is 0 until its head is whole */
    char head[4096];
    size_t head_len;
};

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Takes answer bytes; 1 where the answer is whole. */
static int take(struct load_conn *c, const char *p, size_t n)
{
    if (!c->want) {
        size_t all = c->head_len + n;
        if (c->head_len + n >= sizeof c->head)
            n = sizeof c->head - 1 - c->head_len;
        memcpy(c->head + c->head_len, p, n);
        c->head_len += n;
        c->head[c->head_len] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (!end)
            return 0;
        char *length = strcasestr(c->head, "content-length:");
        if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !length) {
            fprintf(stderr, "not what was expected: %.200s\n", c->head);
            exit(1);
        }
        c->want = strtoul(length + 15, NULL, 10);
        c->got = all - (size_t)(end + 4 - c->head);
    } else {
        c->got += n;
    }
    if (c->got < c->want)
        return 0;
    c->want = c->got = c->head_len = 0;
    return 1;
}

static int load(int port, const char *host, int n_conns, double rate, uint64_t ms)
{
    static struct load_conn conns[MAX_FDS];
    static int idle[MAX_FDS];
    int n_idle = 0, ep = epoll_create1(EPOLL_CLOEXEC);
    size_t answers = 0, cap = 1 << 16;
    uint32_t *us = malloc(cap * sizeof *us);
    char request[512], buf[65536];
    size_t len = (size_t)snprintf(request, sizeof request,
                                  "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n"
                                  "Accept: */*\r\nAccept-Encoding: gzip\r\n\r\n",
                                  host);
    struct epoll_event events[256];

    for (int i = 0; i < n_conns; i++) {
        int fd = connect_to(port);
        watch(ep, fd, EPOLLIN | EPOLLET);
        idle[n_idle++] = fd;
    }
    uint64_t start = now_ns(), end = start + ms * 1000000, now = start, sent = 0;
    while (now < end) {
        uint64_t due = rate > 0 ? (uint64_t)((double)(now - start) * rate / 1e9) + 1 : UINT64_MAX;
        while (n_idle && sent < due) {
            int fd = idle[--n_idle];
            conns[fd].sent_ns = rate > 0 ? start + (uint64_t)((double)sent * 1e9 / rate) : now;
            if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
                die("send");
            sent++;
        }
        struct timespec wait = {.tv_nsec = 100000000};
        if (rate > 0 && n_idle) {
            uint64_t next = start + (uint64_t)((double)sent * 1e9 / rate);
            now = now_ns();
            wait.tv_nsec = next > now ? (long)(next - now) : 0;
            if (wait.tv_nsec > 100000000)
                wait.tv_nsec = 100000000;
        }
        int n = epoll_pwait2(ep, events, 256, &wait, NULL);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            ssize_t got;
            while ((got = recv(fd, buf, sizeof buf, 0)) > 0) {
                if (take(&conns[fd], buf, (size_t)got)) {
                    if (answers == cap)
                        us = realloc(us, (cap *= 2) * sizeof *us);
                    us[answers++] = (uint32_t)((now - conns[fd].sent_ns) / 1000);
                    idle[n_idle++] = fd;
                }
                if ((size_t)got < sizeof buf)
                    break;
            }
            if (got == 0 || (got < 0 && errno != EAGAIN))
                die("the proxy closed a connection");
        }
    }
    qsort(us, answers, sizeof *us, compare_u32);
    printf("%zu %u %u\n", answers, answers ? us[answers / 2] : 0,
           answers ? us[answers * 99 / 100] : 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "origin") == 0)
        origin(atoi(argv[2]), strtoul(argv[3], NULL, 10), argv[4]);
    if (argc == 4 && strcmp(argv[1], "relay") == 0)
        relay(atoi(argv[2]), atoi(argv[3]));
    if (argc == 7 && strcmp(argv[1], "load") == 0)
        return load(atoi(argv[2]), argv[3], atoi(argv[4]), atof(argv[5]),
                    strtoul(argv[6], NULL, 10));
    fprintf(stderr, "usage: see the top of http_tools.c\n");
    return 2;
}
