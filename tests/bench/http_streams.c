/* Streams that are parked, for the gateway's bench:
 *
 *   http_streams demo PORT                    answers /N with an event stream, or by 101
 *   http_streams park PORT HOST sse|ws N      opens /0 to /N-1
 *
 * demo: "say" as a line on stdin has it send each of the streams its number, and print to how many.
 * park: prints "open N" when all heads are there (or no more come), then "got N", when each has got
 * its number. Where a stream ends or is answered otherwise it says so. TEST_PATIENCE: how many
 * times as long it waits. */
#include "net.h"

#include <stdbool.h>

#define STALL_NS 3000000000u
#define OPENING_NS 20000000000u

struct stream {
    int fd;
    unsigned number;
    bool open, got, ws;
    size_t len;
    char in[512];
};

static const char sse[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n";
static const char ws[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
static struct stream *streams[MAX_FDS]; /* by descriptor */

static void put(int fd, const char *p, size_t n)
{
    if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send");
}

/* More bytes at the end of what there is, as a string. 0 at the end. */
static bool more(struct stream *s)
{
    size_t room = sizeof s->in - 1 - s->len;
    ssize_t n = recv(s->fd, s->in + s->len, room, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    s->len += (size_t)n;
    s->in[s->len] = '\0';
    return true;
}

static void drop(struct stream *s)
{
    close(s->fd);
    streams[s->fd] = NULL;
    free(s);
}

/* ---- demo ---- */

static unsigned say(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < MAX_FDS; fd++) {
        struct stream *s = streams[fd];
        char text[64];
        if (!s || !s->open)
            continue;
        int len = s->ws ? snprintf(text, sizeof text, "\x81\x0emessage-%06u", s->number)
                        : snprintf(text, sizeof text, "e\r\nmessage-%06u\r\n", s->number);
        put(fd, text, (size_t)len);
        n++;
    }
    return n;
}

static void demo_step(struct stream *s)
{
    if (!more(s)) {
        drop(s);
        return;
    }
    char *path = strchr(s->in, '/');
    if (s->open || !path || !strstr(s->in, "\r\n\r\n"))
        return;
    s->number = (unsigned)strtoul(path + 1, NULL, 10);
    s->ws = strcasestr(s->in, "\r\nsec-websocket-key:") != NULL;
    s->open = true;
    s->len = 0;
    if (s->ws)
        put(s->fd, ws, sizeof ws - 1);
    else
        put(s->fd, sse, sizeof sse - 1);
}

static int demo(int port)
{
    struct epoll_event events[256], in = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC), lfd = listen_on(port);
    char line[64];

    watch(ep, lfd, (uint64_t)lfd);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &in) < 0)
        die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1), c;
        for (int i = 0; i < n; i++) {
            int fd = (int)events[i].data.u64;
            if (fd == 0) {
                if (read(0, line, sizeof line) <= 0)
                    return 0;
                printf("%u\n", say());
                fflush(stdout);
            } else if (fd != lfd) {
                if (streams[fd] && (events[i].events & EPOLLIN))
                    demo_step(streams[fd]);
            } else {
                while ((c = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    no_delay(c);
                    streams[c] = calloc(1, sizeof **streams);
                    if (!streams[c])
                        die("calloc");
                    streams[c]->fd = c;
                    watch(ep, c, (uint64_t)c);
                }
            }
        }
    }
}

/* ---- park ---- */

/* 1: its head has come; 2: its message has. */
static int park_step(struct stream *s)
{
    char want[32];
    int events = 0;
    if (!more(s)) {
        printf("stream %u ended: %.60s\n", s->number, s->in);
        drop(s);
        return -1;
    }
    if (!s->open && strstr(s->in, "\r\n\r\n")) {
        if (strncmp(s->in, s->ws ? ws : sse, 12) != 0) {
            printf("stream %u: %.60s\n", s->number, s->in);
            drop(s);
            return -1;
        }
        s->open = true;
        events |= 1;
    }
    snprintf(want, sizeof want, "message-%06u", s->number);
    /* behind its head there may be zeroes of none: the bytes are text all along */
    if (s->open && !s->got && memmem(s->in, s->len, want, 14)) {
        s->got = true;
        events |= 2;
    }
    return events;
}

static int park(int port, const char *host, bool as_ws, unsigned n)
{
    struct epoll_event events[256];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    unsigned asked = 0, open = 0, got = 0, gone = 0;
    bool said = false;
    const char *patience = getenv("TEST_PATIENCE");
    uint64_t times = patience ? strtoul(patience, NULL, 10) : 1;
    uint64_t late = now_ns() + OPENING_NS * times; /* until all are open */
    uint64_t end = now_ns() + STALL_NS * times;

    while (got + gone < n && now_ns() < end && (said || now_ns() < late)) {
        while (asked < n && asked - open - gone < 32) {
            struct stream *s = calloc(1, sizeof *s);
            char request[512];
            if (!s)
                die("calloc");
            *s = (struct stream){.fd = connect_to(port), .number = asked++, .ws = as_ws};
            streams[s->fd] = s;
            watch(ep, s->fd, (uint64_t)s->fd);
            int len = snprintf(request, sizeof request, "GET /%u HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                               s->number, host,
                               as_ws ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                       "Sec-WebSocket-Version: 13\r\n"
                                     : "");
            put(s->fd, request, (size_t)len);
        }
        int k = epoll_wait(ep, events, 256, 100);
        for (int i = 0; i < k; i++) {
            struct stream *s = streams[events[i].data.u64];
            int e = s && (events[i].events & EPOLLIN) ? park_step(s) : 0;
            if (e && !said)
                end = now_ns() + STALL_NS * times;
            gone += e < 0;
            open += e > 0 && (e & 1);
            got += e > 0 && (e & 2);
        }
        if (!said && open + gone == n) {
            printf("open %u\n", open);
            fflush(stdout);
            said = true;
            end = UINT64_MAX;
        }
    }
    if (!said)
        printf("open %u\n", open);
    printf("got %u\n", got);
    fflush(stdout);
    while (fgetc(stdin) != EOF)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "demo") == 0)
        return demo(atoi(argv[2]));
    if (argc == 6 && strcmp(argv[1], "park") == 0)
        return park(atoi(argv[2]), argv[3], strcmp(argv[4], "ws") == 0,
                    (unsigned)strtoul(argv[5], NULL, 10));
    fprintf(stderr, "usage: see the top of http_streams.c\n");
    return 2;
}
