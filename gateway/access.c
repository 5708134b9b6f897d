#include "access.h"

#include "blank.h"
#include "route.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/utf8.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)
#define LINE_MAX_BYTES (16 * 1024)
#define FLUSH_AT (BUFFER_BYTES - LINE_MAX_BYTES) /* from here on it is written at once */
#define FLUSH_MS 500
#define SAY_LOST_MS 60000
/* The most that is kept of each, escaped: what is longer is cut, so that a line always fits. */
#define TARGET_MAX 6000
#define REFERER_MAX 3000
#define AGENT_MAX 1500
#define HOST_MAX 800

/* What is known of a request when its head was parsed, ready for the line. */
struct access_line {
    uint64_t number;
    char space[200];
    uint16_t request_len, rest_len;
    /* JSON: all in the first part. Combined: the request line, then referer and user agent. */
    char text[];
};

struct access {
    struct loop *loop;
    int fd; /* -1: none yet, or none any more */
    bool is_pipe;
    bool json;
    struct timer flush;
    char prefix[17];   /* of the ids of this process's requests */
    uint64_t requests; /* numbers them */
    uint64_t lost;     /* lines, since it was said last */
    uint64_t lost_said_ms;
    int64_t second; /* of `stamp` */
    char stamp[32];
    uint32_t len;
    char data[BUFFER_BYTES];
};

/* ---- escaping: nothing that a visitor sends ends a line or a string ---- */

struct pen {
    char *at, *end;
};

static void put(struct pen *o, const char *p, size_t n)
{
    if (n > (size_t)(o->end - o->at))
        n = (size_t)(o->end - o->at);
    memcpy(o->at, p, n);
    o->at += n;
}

#define PUT(o, literal) put(o, "" literal "", sizeof(literal) - 1)

static void puts_to(struct pen *o, const char *s)
{
    put(o, s, strlen(s));
}

/* In decimal, with zeros before it up to `width`. */
static void put_number(struct pen *o, uint64_t v, size_t width)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) || sizeof(digits) - at < width);
    put(o, digits + at, sizeof(digits) - at);
}

/* "\\u00ff", or "\\xff" as Apache has it. */
static void put_hex(struct pen *o, bool json, unsigned char ch)
{
    const char *hex = "0123456789abcdef";
    char text[6] = {'\\', json ? 'u' : 'x', '0', '0', hex[ch >> 4], hex[ch & 15]};
    if (json) {
        put(o, text, 6);
    } else {
        text[2] = text[4];
        text[3] = text[5];
        put(o, text, 4);
    }
}

/* Bytes of the well-formed character at p, 0 where there is none; p need not end with a NUL. */
static size_t utf8_at(const char *p, size_t n)
{
    char one[5] = "";
    memcpy(one, p, n < 4 ? n : 4);
    return utf8_len(one);
}

static bool is_plain(unsigned char ch)
{
    return ch >= 0x20 && ch < 0x7f && ch != '"' && ch != '\\';
}

/* JSON: RFC 8259 section 7, bytes that are no UTF-8 by their value. What does not fit is cut
 * between two characters. */
static void put_escaped(struct pen *o, bool json, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t run = i, room = (size_t)(o->end - o->at);
        while (run < n && run - i < room && is_plain((unsigned char)p[run]))
            run++;
        put(o, p + i, run - i);
        room -= run - i;
        i = run;
        if (i == n)
            return;
        size_t len = json && (unsigned char)p[i] >= 0x80 ? utf8_at(p + i, n - i) : 0;
        if (room < (len ? len : json ? 6 : 4))
            return;
        if (len)
            put(o, p + i, len);
        else
            put_hex(o, json, (unsigned char)p[i]);
        i += len ? len : 1;
    }
}

/* `"p"`, or "-" in the combined format where there is nothing. */
static void put_quoted(struct pen *o, const struct access *a, const char *p, size_t n, size_t most)
{
    PUT(o, "\"");
    struct pen inner = {o->at, o->at + most < o->end ? o->at + most : o->end};
    if (n)
        put_escaped(&inner, a->json, p, n);
    else if (!a->json)
        put(&inner, "-", 1);
    o->at = inner.at;
    put(o, "\"", 1);
}

/* ---- the file ---- */

static void say_lost(struct access *a)
{
    uint64_t now = a->loop->now_ms;
    if (!a->lost || (a->lost_said_ms && now - a->lost_said_ms < SAY_LOST_MS))
        return;
    log_warn(NULL, "gateway.access",
             "%llu lines of the access log were lost: its file takes no more",
             (unsigned long long)a->lost);
    a->lost = 0;
    a->lost_said_ms = now;
}

/* How much goes in one call. To the end of a file all of it; but other loops (crew.h), and a
 * gateway that drains, may write to the same pipe, which takes PIPE_BUF bytes whole or not at all:
 * so whole lines of that. A longer one goes alone. */
static uint32_t piece(const struct access *a, uint32_t done)
{
    const char *from = a->data + done;
    uint32_t len = a->len - done;
    if (!a->is_pipe || len <= PIPE_BUF)
        return len;
    const char *end = memrchr(from, '\n', PIPE_BUF);
    if (!end)
        end = memchr(from, '\n', len);
    return end ? (uint32_t)(end - from) + 1 : len;
}

static void flush(struct access *a)
{
    uint32_t done = 0;

    while (a->fd >= 0 && done < a->len) {
        ssize_t n = write(a->fd, a->data + done, piece(a, done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (uint32_t)n;
    }
    a->len -= done;
    memmove(a->data, a->data + done, a->len);
    if (a->len && !timer_is_set(&a->flush))
        timer_set(a->loop->wheel, &a->flush, a->loop->now_ms + FLUSH_MS);
    say_lost(a);
}

static void on_flush(struct timer *t)
{
    flush(container_of(t, struct access, flush));
}

void access_set_file(struct loop *l, int fd)
{
    struct access *a = l->access;
    if (!a) {
        close(fd);
        return;
    }
    flush(a);
    if (a->fd >= 0 && a->len) { /* its last line may be there in part: it ends there */
        const char *end = memchr(a->data, '\n', a->len);
        uint32_t cut = end ? (uint32_t)(end - a->data) + 1 : a->len;
        a->len -= cut;
        memmove(a->data, a->data + cut, a->len);
        a->lost++;
    }
    close_fd(&a->fd);
    a->fd = fd;
    a->is_pipe = fcntl(fd, F_GETPIPE_SZ) >= 0;
    flush(a);
}

int access_new(struct loop *l, struct err *err)
{
    if (strcmp(l->conf->log_access, "off") == 0)
        return 0;
    struct access *a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(err, ENOMEM, "no memory for the access log");
    /* at its limit a file is full, no more */
    signal(SIGXFSZ, SIG_IGN);
    a->loop = l;
    a->fd = -1;
    a->json = strcmp(l->conf->log_access, "json") == 0;
    a->flush.on_fire = on_flush;
    random_hex(a->prefix, 8);
    l->access = a;
    return 0;
}

void access_free(struct loop *l)
{
    struct access *a = l->access;
    if (!a)
        return;
    flush(a);
    timer_cancel(l->wheel, &a->flush);
    close_fd(&a->fd);
    free(steal_ptr(l->access));
}

/* ---- a line ---- */

/* A stream's request is one of HTTP/1.1 here alone (h2.h). */
static void put_version(struct pen *o, const struct client *c, const struct http1_head *h)
{
    if (c->conn.layer == CONN_STREAM)
        PUT(o, "2.0");
    else if (h->minor)
        PUT(o, "1.1");
    else
        PUT(o, "1.0");
}

static void put_head(struct pen *o, const struct access *a, const struct client *c,
                     const struct http1_head *h, const char *p, uint16_t *request_len)
{
    char target[HTTP1_LINE_MAX + 64], from[2048];
    const char *start = o->at;
    const struct http1_field *ua = NULL, *ref = NULL;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->id == FIELD_USER_AGENT && !ua)
            ua = f;
        else if (f->name_len == 7 && !ref && http1_is(p + f->name, 7, "referer"))
            ref = f;
    }
    size_t target_len = blank_target(p + h->target, h->target_len, target, sizeof(target)),
           from_len = ref ? blank_target(p + ref->value, ref->value_len, from, sizeof(from)) : 0;
    const char *agent = ua ? p + ua->value : "";
    size_t agent_len = ua ? ua->value_len : 0;

    if (a->json) {
        PUT(o, ",\"host\":");
        put_quoted(o, a, p + h->host, h->host_len, HOST_MAX);
        PUT(o, ",\"method\":");
        put_quoted(o, a, p + h->method, h->method_len, 64);
        PUT(o, ",\"target\":");
        put_quoted(o, a, target, target_len, TARGET_MAX);
        PUT(o, ",\"version\":\"");
        put_version(o, c, h);
        PUT(o, "\"");
        PUT(o, ",\"user_agent\":");
        put_quoted(o, a, agent, agent_len, AGENT_MAX);
        PUT(o, ",\"referer\":");
        put_quoted(o, a, from, from_len, REFERER_MAX);
        *request_len = (uint16_t)(o->at - start);
        return;
    }
    put(o, "\"", 1);
    put_escaped(o, false, p + h->method, h->method_len < 64 ? h->method_len : 64);
    put(o, " ", 1);
    struct pen inner = {o->at, o->at + TARGET_MAX};
    put_escaped(&inner, false, target, target_len);
    o->at = inner.at;
    PUT(o, " HTTP/");
    put_version(o, c, h);
    PUT(o, "\"");
    *request_len = (uint16_t)(o->at - start);
    put_quoted(o, a, from, from_len, REFERER_MAX);
    put(o, " ", 1);
    put_quoted(o, a, agent, agent_len, AGENT_MAX);
}

void access_begin(struct client *c, const struct http1_head *h)
{
    struct access *a = c->loop->access;
    char text[LINE_MAX_BYTES];
    struct pen o = {text, text + sizeof(text)};
    uint16_t request_len = 0;

    if (h)
        put_head(&o, a, c, h, gbuf_at(c->conn.in), &request_len);
    else if (!a->json) {
        puts_to(&o, "\"-\"");
        request_len = 3;
        puts_to(&o, "\"-\" \"-\"");
    }
    size_t len = (size_t)(o.at - text);
    struct access_line *line = malloc(sizeof(*line) + len);
    if (!line) {
        a->lost++;
        return;
    }
    line->number = ++a->requests;
    line->space[0] = '\0';
    line->request_len = request_len;
    line->rest_len = (uint16_t)(len - request_len);
    memcpy(line->text, text, len);
    c->account.line = line;
}

void access_space(struct client *c, const struct route *r)
{
    memcpy(c->account.line->space, r->space, sizeof(r->space));
}

void access_id(const struct client *c, char out[ACCESS_ID])
{
    char *end = out + ACCESS_ID - 1;
    struct pen o = {out, end};
    out[0] = '\0';
    puts_to(&o, c->loop->access->prefix);
    PUT(&o, "-");
    put_number(&o, c->account.line->number, 1);
    *o.at = '\0';
}

/* "28/Nov/2026:14:58:31 +0000", or the same up to the second as JSON has it. */
static const char *stamp_of(struct access *a, const struct timespec *ts)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (ts->tv_sec == a->second)
        return a->stamp;
    struct tm tm;
    gmtime_r(&ts->tv_sec, &tm);
    int year = (tm.tm_year + 1900) % 10000;
    if (a->json)
        snprintf(a->stamp, sizeof(a->stamp), "%04d-%02d-%02dT%02d:%02d:%02d", year,
                 (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
                 tm.tm_sec % 100);
    else
        snprintf(a->stamp, sizeof(a->stamp), "%02d/%s/%04d:%02d:%02d:%02d +0000", tm.tm_mday % 100,
                 months[tm.tm_mon], year, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    a->second = ts->tv_sec;
    return a->stamp;
}

static void put_ms(struct pen *o, uint64_t us)
{
    put_number(o, us / 1000, 1);
    PUT(o, ".");
    put_number(o, us % 1000, 3);
}

void access_end(struct client *c, bool cut)
{
    struct access *a = c->loop->access;
    const struct account *t = &c->account;
    struct access_line *line = t->line;
    struct timespec ts;

    if (a->len > FLUSH_AT)
        flush(a);
    if (a->len > FLUSH_AT) {
        a->lost++;
        free(line);
        return;
    }
    struct pen o = {a->data + a->len, a->data + sizeof(a->data)};
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (a->json) {
        char id[ACCESS_ID];
        access_id(c, id);
        PUT(&o, "{\"time\":\"");
        puts_to(&o, stamp_of(a, &ts));
        PUT(&o, ".");
        put_number(&o, (uint64_t)ts.tv_nsec / 1000000, 3);
        PUT(&o, "Z\",\"id\":\"");
        puts_to(&o, id);
        PUT(&o, "\",\"address\":\"");
        puts_to(&o, c->ip);
        PUT(&o, "\"");
        put(&o, line->text, line->request_len);
        if (line->space[0]) {
            PUT(&o, ",\"space\":");
            put_quoted(&o, a, line->space, strlen(line->space), HOST_MAX);
        }
        PUT(&o, ",\"status\":");
        put_number(&o, t->status, 1);
        PUT(&o, ",\"bytes_in\":");
        put_number(&o, c->up.bytes, 1);
        PUT(&o, ",\"bytes_out\":");
        put_number(&o, c->down.bytes, 1);
        PUT(&o, ",\"duration_ms\":");
        put_ms(&o, c->loop->now_us - t->from_us);
        if (t->first_us) {
            PUT(&o, ",\"first_byte_ms\":");
            put_ms(&o, t->first_us - t->from_us);
        }
        puts_to(&o, t->cold ? ",\"cold\":true" : ",\"cold\":false");
        puts_to(&o, cut ? ",\"cut\":true}\n" : ",\"cut\":false}\n");
    } else {
        puts_to(&o, c->ip);
        PUT(&o, " - - [");
        puts_to(&o, stamp_of(a, &ts));
        PUT(&o, "] ");
        put(&o, line->text, line->request_len);
        PUT(&o, " ");
        put_number(&o, t->status, 1);
        PUT(&o, " ");
        put_number(&o, c->down.bytes, 1);
        PUT(&o, " ");
        put(&o, line->text + line->request_len, line->rest_len);
        PUT(&o, "\n");
    }
    a->len = (uint32_t)(o.at - a->data);
    free(line);
    if (a->len > FLUSH_AT)
        flush(a);
    else if (!timer_is_set(&a->flush))
        timer_set(c->loop->wheel, &a->flush, c->loop->now_ms + FLUSH_MS);
}
