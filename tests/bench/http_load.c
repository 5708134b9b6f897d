/* The load of the gateway's bench:
 *
 *   http_load PORT HOST CONNECTIONS RATE MS BYTES [close] [length=N|chunked=N] [tls [full|resume]]
 *
 * connects, says "ready" and awaits a line; then asks for /BYTES at RATE a second (0: as fast as
 * answers come), and prints "answers p50_us", and p99_us of each window of WINDOW_MS, or of as many
 * windows as have WINDOW_ANSWERS at that rate: a stall of the machine is in one of them, what a
 * proxy costs in all.
 * It fails where an answer is not what the origin sends. close: a connection a request. length,
 * chunked: POST with N bytes, in chunks of 16 KiB. full, resume: each connection of TLS makes a new
 * session, or resumes that of the first one. */
#include "net.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>

#define CHUNK 16384
#define WINDOW_MS 100
#define WINDOW_ANSWERS 200

struct conn {
    int fd;
    SSL *ssl;
    bool open; /* the handshake is over, where there is one */
    bool busy; /* a request is under way */
    bool resumes;
    uint64_t sent_ns;
    size_t sent;      /* bytes of the request that went */
    size_t got, want; /* bytes of the answer; want is 0 until its head is whole */
    size_t head_len;
    char head[4096];
};

static int port, ep;
static bool close_each, full, resume;
static SSL_CTX *ctx;
static SSL_SESSION *session;
static char *request;
static size_t request_len;
static struct conn *conns;
static int *idle, n_idle;

struct answer {
    uint32_t us;
    uint32_t window;
};
static struct answer *got;
static size_t n_got, got_cap;
static uint64_t start_ns, window_ns;

static _Noreturn void fail(const char *what)
{
    if (ERR_peek_error())
        ERR_print_errors_fp(stderr);
    fprintf(stderr, "http_load: %s\n", what);
    exit(1);
}

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    if (!resume || session)
        return 0;
    session = s;
    return 1;
}

static void open_conn(struct conn *c)
{
    c->fd = connect_to(port);
    if (ctx) {
        c->ssl = SSL_new(ctx);
        if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
            fail("SSL_new");
        SSL_set_connect_state(c->ssl);
        /* a copy: with the next ticket OpenSSL takes the session for used */
        SSL_SESSION *copy = session ? SSL_SESSION_dup(session) : NULL;
        c->resumes = copy && SSL_set_session(c->ssl, copy);
        SSL_SESSION_free(copy);
    }
    c->open = !c->ssl;
    watch(ep, c->fd, (uint64_t)(c - conns));
}

static void close_conn(struct conn *c)
{
    if (c->ssl) {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
    c->fd = -1;
}

/* -1: not now; 0: the end */
static ssize_t transfer(struct conn *c, bool out, char *p, size_t n)
{
    if (!c->ssl) {
        ssize_t r = out ? send(c->fd, p, n, MSG_NOSIGNAL) : recv(c->fd, p, n, 0);
        if (r < 0 && errno != EAGAIN)
            die(out ? "send" : "recv");
        return r;
    }
    size_t done = 0;
    int r = out ? SSL_write_ex(c->ssl, p, n, &done) : SSL_read_ex(c->ssl, p, n, &done);
    if (r == 1)
        return (ssize_t)done;
    switch (SSL_get_error(c->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        fail("TLS");
    }
}

/* Takes answer bytes; true where the answer is whole. */
static bool take(struct conn *c, const char *p, size_t n)
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
            return false;
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
        return false;
    c->want = c->got = c->head_len = 0;
    return true;
}

static void put(struct conn *c)
{
    while (c->open && c->busy && c->sent < request_len) {
        ssize_t n = transfer(c, true, request + c->sent, request_len - c->sent);
        if (n <= 0)
            return;
        c->sent += (size_t)n;
    }
}

static void step(struct conn *c, uint64_t now)
{
    static char buf[1 << 18];

    if (!c->open) {
        int r = SSL_do_handshake(c->ssl);
        if (r != 1) {
            int e = SSL_get_error(c->ssl, r);
            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
                fail("handshake");
            return;
        }
        if (full && SSL_session_reused(c->ssl))
            fail("a session was resumed");
        if (c->resumes && !SSL_session_reused(c->ssl))
            fail("a session was not resumed");
        c->open = true;
    }
    put(c);
    ssize_t n;
    while (c->fd >= 0 && (n = transfer(c, false, buf, sizeof buf)) >= 0) {
        if (n == 0) {
            if (!close_each || c->busy)
                fail("the proxy closed a connection");
            close_conn(c);
            idle[n_idle++] = (int)(c - conns);
            return;
        }
        if (take(c, buf, (size_t)n)) {
            if (n_got == got_cap)
                got = realloc(got, (got_cap = got_cap * 2 + 65536) * sizeof *got);
            got[n_got++] =
                (struct answer){.us = (uint32_t)((now - c->sent_ns) / 1000),
                                .window = (uint32_t)((c->sent_ns - start_ns) / window_ns)};
            c->busy = false;
            if (!close_each)
                idle[n_idle++] = (int)(c - conns);
        }
        if (!c->ssl && !close_each && (size_t)n < sizeof buf)
            return;
    }
}

static int by_us(const void *a, const void *b)
{
    uint32_t x = ((const struct answer *)a)->us, y = ((const struct answer *)b)->us;
    return x < y ? -1 : x > y;
}

static int by_window(const void *a, const void *b)
{
    uint32_t x = ((const struct answer *)a)->window, y = ((const struct answer *)b)->window;
    return x != y ? (x < y ? -1 : 1) : by_us(a, b);
}

static void print_found(void)
{
    qsort(got, n_got, sizeof *got, by_us);
    printf("%zu %u", n_got, n_got ? got[n_got / 2].us : 0);
    qsort(got, n_got, sizeof *got, by_window);
    for (size_t i = 0, n; i < n_got; i += n) {
        for (n = 1; i + n < n_got && got[i + n].window == got[i].window; n++)
            ;
        printf(" %u", got[i + n * 99 / 100].us);
    }
    puts("");
}

/* Into the request, of which there is enough. */
static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    request_len += (size_t)vsnprintf(request + request_len, 1024, format, args);
    va_end(args);
}

static void make_request(const char *host, size_t bytes, size_t body, bool chunked)
{
    request = malloc(4096 + body + body / CHUNK * 16);
    if (!request)
        die("malloc");
    say("%s /%zu HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip\r\n%s",
        body ? "POST" : "GET", bytes, host, close_each ? "Connection: close\r\n" : "");
    if (chunked)
        say("Transfer-Encoding: chunked\r\n");
    else if (body)
        say("Content-Length: %zu\r\n", body);
    say("\r\n");
    for (size_t left = body, n; left; left -= n) {
        n = chunked && left > CHUNK ? CHUNK : left;
        if (chunked)
            say("%zx\r\n", n);
        memset(request + request_len, 'x', n);
        request_len += n;
        if (chunked)
            say("\r\n");
    }
    if (chunked)
        say("0\r\n\r\n");
}

static void run(double rate, uint64_t ms)
{
    struct epoll_event events[256];
    uint64_t start = now_ns(), end = start + ms * 1000000, now = start, sent = 0;

    start_ns = start;
    window_ns = WINDOW_MS * 1000000ULL;
    if (rate > 0 && rate * WINDOW_MS < WINDOW_ANSWERS * 1000.0)
        window_ns = (uint64_t)(WINDOW_ANSWERS * 1e9 / rate);
    while (now < end) {
        uint64_t due = rate > 0 ? (uint64_t)((double)(now - start) * rate / 1e9) + 1 : UINT64_MAX;
        while (n_idle && sent < due) {
            struct conn *c = &conns[idle[--n_idle]];
            c->sent_ns = rate > 0 ? start + (uint64_t)((double)sent * 1e9 / rate) : now_ns();
            c->sent = 0;
            c->busy = true;
            if (close_each) {
                open_conn(c);
                if (c->ssl)
                    SSL_do_handshake(c->ssl);
            }
            put(c);
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
            struct conn *c = &conns[events[i].data.u64];
            if (c->fd >= 0)
                step(c, now);
        }
    }
}

static void wait_once(void)
{
    struct epoll_event events[16];
    int n = epoll_wait(ep, events, 16, 1000);
    if (n == 0)
        fail("no answer to a handshake");
    for (int i = 0; i < n; i++)
        step(&conns[events[i].data.u64], 0);
}

static void start_tls(void)
{
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        fail("SSL_CTX_new");
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

int main(int argc, char **argv)
{
    size_t body = 0;
    bool chunked = false, tls = false;

    if (argc < 7) {
        fprintf(stderr, "usage: see the top of http_load.c\n");
        return 2;
    }
    for (int i = 7; i < argc; i++) {
        const char *eq = strchr(argv[i], '=');
        if (eq)
            body = strtoul(eq + 1, NULL, 10);
        chunked |= strncmp(argv[i], "chunked=", 8) == 0;
        close_each |= strcmp(argv[i], "close") == 0;
        tls |= strcmp(argv[i], "tls") == 0;
        full |= strcmp(argv[i], "full") == 0;
        resume |= strcmp(argv[i], "resume") == 0;
    }
    port = atoi(argv[1]);
    int n_conns = atoi(argv[3]);
    close_each |= full || resume;
    make_request(argv[2], strtoul(argv[6], NULL, 10), body, chunked);
    if (tls)
        start_tls();
    ep = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)n_conns, sizeof *conns);
    idle = calloc((size_t)n_conns, sizeof *idle);
    for (int i = 0; i < n_conns; i++) {
        conns[i].fd = -1;
        if (!close_each)
            open_conn(&conns[i]);
        while (!close_each && !conns[i].open) /* the handshake is no part of what is measured */
            wait_once();
        idle[n_idle++] = i;
    }
    if (resume) {
        open_conn(&conns[0]);
        while (!session)
            wait_once();
        close_conn(&conns[0]);
    }
    char line[16];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    run(atof(argv[4]), strtoul(argv[5], NULL, 10));
    print_found();
    return 0;
}
