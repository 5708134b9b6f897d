/* textgen: a language model that writes character by character, as a server.
 *
 *   textgen                  serves on 127.0.0.1:$PORT
 *   textgen --score FILE     prints the bits per character that the model needs for a text
 *
 *   GET  /                   the page
 *   GET  /api/info           what the model is, as JSON
 *   GET, POST /api/generate  prompt, n (characters), temperature, seed, pace (ms between two
 *                            characters) as parameters; answers with server-sent events, one a
 *                            character: data: {"t":"x"}, and at the end event: done
 *
 * One thread, one epoll loop. The model is mapped, not read: the server is up before most of it was
 * ever touched. A stream has at most one event waiting to be sent, so a reader who is slow slows
 * only its own text down, and one who leaves is noticed at once. */
#include "http.h"
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    IN_MAX = 16384,
    OUT_MAX = 4096,
    LENGTH_MAX = 20000,
    PACE_MAX_MS = 1000,
    BATCH = 64, /* characters of one stream before others get their turn */
};

struct conn {
    int fd; /* -1: free */
    char in[IN_MAX];
    size_t in_len;
    char out[OUT_MAX]; /* a header or one event */
    size_t out_len, out_sent;
    const char *page; /* what follows `out`; not owned */
    size_t page_left;
    bool waits_for_room, close_after;
    /* A text that is being written. */
    bool streaming;
    struct context context;
    unsigned left, written, pace_ms;
    float temperature;
    double bits;
    uint64_t random, due_ms;
};

static struct model model;
static struct conn conns[CONNECTIONS_MAX];
static int epoll_fd;
static const char *page;
static size_t page_len;

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void drop(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

static void watch(struct conn *c, bool room)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | (room ? EPOLLOUT : 0), .data.ptr = c};

    if (room != c->waits_for_room)
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    c->waits_for_room = room;
}

/* Sends what waits: 1 when all of it is out, 0 when the reader must catch up, -1 when it left. */
static int flush(struct conn *c)
{
    while (c->out_sent < c->out_len || c->page_left) {
        bool head = c->out_sent < c->out_len;
        ssize_t n = send(c->fd, head ? c->out + c->out_sent : c->page,
                         head ? c->out_len - c->out_sent : c->page_left,
                         MSG_NOSIGNAL | MSG_DONTWAIT | (head && c->page_left ? MSG_MORE : 0));

        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return 0;
        }
        if (n < 0)
            return -1;
        if (head) {
            c->out_sent += (size_t)n;
        } else {
            c->page += n;
            c->page_left -= (size_t)n;
        }
    }
    c->out_len = c->out_sent = 0;
    watch(c, false);
    return 1;
}

/* --- writing text --- */

static float next_uniform(struct conn *c)
{
    c->random ^= c->random << 13; /* xorshift64 */
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (float)(c->random >> 40) / (float)(1 << 24);
}

/* Puts one event into `out` as a chunk of the body. */
static void put_event(struct conn *c, const char *event)
{
    c->out_len += (size_t)snprintf(c->out + c->out_len, OUT_MAX - c->out_len, "%zx\r\n%s\r\n",
                                   strlen(event), event);
}

static void put_character(struct conn *c)
{
    float p[MODEL_SYMBOLS_MAX];
    char event[64];

    model_predict(&model, &c->context, p);
    unsigned symbol = model_draw(&model, p, c->temperature, next_uniform(c));
    unsigned char ch = model.alphabet[symbol];

    c->bits -= (double)log2f(p[symbol]);
    context_push(&model, &c->context, ch);
    c->left--;
    c->written++;
    if (ch == '\n')
        snprintf(event, sizeof(event), "data: {\"t\":\"\\n\"}\n\n");
    else
        snprintf(event, sizeof(event), "data: {\"t\":\"%s%c\"}\n\n",
                 ch == '"' || ch == '\\' ? "\\" : "", ch);
    put_event(c, event);
}

static void put_end(struct conn *c)
{
    char event[128];

    snprintf(event, sizeof(event),
             "event: done\ndata: {\"characters\":%u,\"bits_per_character\":%.3f}\n\n", c->written,
             c->written ? c->bits / c->written : 0.0);
    put_event(c, event);
    c->out_len += (size_t)snprintf(c->out + c->out_len, OUT_MAX - c->out_len, "0\r\n\r\n");
    c->streaming = false;
}

/* Writes what is due. False: the reader left. */
static bool advance(struct conn *c, uint64_t now)
{
    for (int i = 0; i < BATCH && c->streaming && c->out_len == 0 && now >= c->due_ms; i++) {
        if (c->left)
            put_character(c);
        else
            put_end(c);
        c->due_ms += c->pace_ms;
        if (c->due_ms + 1000 < now) /* after a pause, no burst */
            c->due_ms = now;
        if (flush(c) < 0)
            return false;
    }
    return true;
}

static double number(const struct http_request *req, const char *name, double otherwise, double min,
                     double max)
{
    char text[32], *end;
    double v = http_param(req, name, text, sizeof(text)) ? strtod(text, &end) : otherwise;

    return v >= min ? (v <= max ? v : max) : min;
}

static void start_stream(struct conn *c, const struct http_request *req)
{
    char prompt[2048] = "";

    http_param(req, "prompt", prompt, sizeof(prompt));
    c->context = (struct context){0};
    for (const char *p = prompt; *p; p++)
        context_push(&model, &c->context,
                     model_symbol(&model, (unsigned char)*p) >= 0 ? (unsigned char)*p : ' ');
    if (!*prompt) /* as after a paragraph */
        for (int i = 0; i < 2; i++)
            context_push(&model, &c->context, '\n');
    c->left = (unsigned)number(req, "n", 400, 1, LENGTH_MAX);
    c->pace_ms = (unsigned)number(req, "pace", 12, 0, PACE_MAX_MS);
    c->temperature = (float)number(req, "temperature", 0.7, 0, 3);
    c->random = (uint64_t)number(req, "seed", 0, 0, 1e15) * 0x9e3779b97f4a7c15ULL;
    if (c->random == 0 && getrandom(&c->random, sizeof(c->random), 0) < 0)
        c->random = now_ms();
    c->random |= 1;
    c->written = 0;
    c->bits = 0;
    c->due_ms = now_ms();
    c->streaming = true;
    c->out_len = (size_t)snprintf(c->out, OUT_MAX,
                                  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n");
}

/* --- requests --- */

static void answer(struct conn *c, const struct http_request *req, const char *status,
                   const char *type, const char *body, size_t len)
{
    c->out_len = (size_t)snprintf(
        c->out, OUT_MAX, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
        type, len, c->close_after ? "Connection: close\r\n" : "");
    c->page = body;
    c->page_left = req->head_only ? 0 : len;
}

static void answer_info(struct conn *c, const struct http_request *req)
{
    static char json[512];
    int n = snprintf(json, sizeof(json),
                     "{\"order\":%u,\"symbols\":%u,\"contexts\":%u,\"trained_characters\":%u,"
                     "\"model_bytes\":%zu,\"held_out_bits_per_character\":%.4f}\n",
                     model.order, model.symbols, model.contexts, model.trained, model.map_len,
                     (double)model.held_out_bits);

    answer(c, req, "200 OK", "application/json", json, (size_t)n);
}

static void handle(struct conn *c, const struct http_request *req)
{
    c->close_after = !req->keep_alive;
    if (strcmp(req->path, "/api/generate") == 0)
        start_stream(c, req);
    else if (strcmp(req->path, "/api/info") == 0)
        answer_info(c, req);
    else if (strcmp(req->path, "/") == 0)
        answer(c, req, "200 OK", "text/html; charset=utf-8", page, page_len);
    else
        answer(c, req, "404 Not Found", "text/plain", "no such page\n", 13);
}

/* Goes on with a connection until it must wait. */
static void step(struct conn *c)
{
    uint64_t now = now_ms();

    for (;;) {
        struct http_request req;
        int r = flush(c);

        if (r < 0 || (r == 1 && !c->streaming && c->close_after)) {
            drop(c);
            return;
        }
        if (r == 0)
            return;
        if (c->streaming) {
            if (!advance(c, now))
                drop(c);
            else if (!c->streaming && c->out_len == 0)
                continue;
            return;
        }
        long used = http_parse(c->in, c->in_len, &req);

        if (used == 0 && c->in_len < IN_MAX)
            return;
        if (used <= 0) {
            c->close_after = true;
            answer(c, &req, "400 Bad Request", "text/plain", "not understood\n", 15);
            c->in_len = 0;
            continue;
        }
        handle(c, &req);
        c->in_len -= (size_t)used;
        memmove(c->in, c->in + used, c->in_len);
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        drop(c);
        return;
    }
    if (events & EPOLLIN) {
        ssize_t n = c->in_len < IN_MAX
                        ? recv(c->fd, c->in + c->in_len, IN_MAX - c->in_len, MSG_DONTWAIT)
                        : 0;

        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        c->in_len += n > 0 ? (size_t)n : 0;
    }
    step(c);
}

static void accept_one(int listen_fd)
{
    int one = 1, fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *c = conns;

    if (fd < 0)
        return;
    while (c < conns + CONNECTIONS_MAX && c->fd >= 0)
        c++;
    if (c == conns + CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    /* Each character leaves by itself. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->fd = fd;
    c->in_len = c->out_len = c->out_sent = c->page_left = 0;
    c->waits_for_room = c->close_after = c->streaming = false;

    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        drop(c);
}

/* Lets every stream write that is due; how long until the next one is, -1 for never. */
static int advance_all(void)
{
    uint64_t now = now_ms(), next = UINT64_MAX;

    for (struct conn *c = conns; c < conns + CONNECTIONS_MAX; c++) {
        if (c->fd < 0 || !c->streaming || c->waits_for_room)
            continue;
        if (now >= c->due_ms)
            step(c);
        if (c->fd >= 0 && c->streaming && !c->waits_for_room && c->due_ms < next)
            next = c->due_ms;
    }
    return next == UINT64_MAX ? -1 : next > now ? (int)(next - now) : 0;
}

static int serve(unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[64], ev = {.events = EPOLLIN, .data.ptr = NULL};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (struct conn *c = conns; c < conns + CONNECTIONS_MAX; c++)
        c->fd = -1;
    if (fd < 0 || epoll_fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 256) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        perror("textgen: cannot listen");
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 64, advance_all());

        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                accept_one(fd);
            else
                on_event(events[i].data.ptr, events[i].events);
        }
    }
}

/* --- the rest --- */

/* Maps a whole file; NULL where it cannot be. */
static const char *map_file(const char *path, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *map = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        *ret_len = (size_t)st.st_size;
    }
    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

static int score(const char *path)
{
    struct context context = {0};
    float p[MODEL_SYMBOLS_MAX];
    double bits = 0;
    size_t len, n = 0;
    const char *text = map_file(path, &len);

    for (size_t i = 0; text && i < len; i++) {
        int symbol = model_symbol(&model, (unsigned char)text[i]);

        if (symbol < 0)
            continue;
        model_predict(&model, &context, p);
        bits -= (double)log2f(p[symbol]);
        context_push(&model, &context, (unsigned char)text[i]);
        n++;
    }
    if (n == 0) {
        fprintf(stderr, "textgen: %s: no text\n", path);
        return 1;
    }
    printf("%zu characters, %.4f bits per character\n", n, bits / (double)n);
    return 0;
}

/* The bundle's files lie beside the program. */
static int go_home(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0)
        return 0; /* then the current folder must be it */
    path[n] = '\0';
    *strrchr(path, '/') = '\0';
    return chdir(*path ? path : "/");
}

int main(int argc, char **argv)
{
    const char *port = getenv("PORT");
    /* The argument is a path of the caller's, so it is opened before the folder changes. */
    char *text = argc == 3 && strcmp(argv[1], "--score") == 0 ? realpath(argv[2], NULL) : NULL;

    if (argc > 1 && !text) {
        fprintf(stderr, "usage: textgen [--score FILE]\n");
        return 2;
    }
    int r = go_home() < 0 ? -errno : model_open(&model, "model.bin");

    if (r < 0) {
        fprintf(stderr, "textgen: model.bin: %s\n", strerror(-r));
        return 1;
    }
    if (text)
        return score(text);
    page = map_file("index.html", &page_len);
    if (!page) {
        fprintf(stderr, "textgen: index.html cannot be read\n");
        return 1;
    }
    printf("textgen: order %u, %u contexts, %.3f bits per character on held-out text\n",
           model.order, model.contexts, (double)model.held_out_bits);
    fflush(stdout);
    return serve(port ? (unsigned)strtoul(port, NULL, 10) : 7860);
}
