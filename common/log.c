#include "log.h"

#include "cleanup.h"
#include "utf8.h"
#include "util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

static struct {
    const char *program;
    enum log_format format;
    enum log_level level;
    int fd;
} logger = {"vitrine", LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 2};

void log_init(const char *program, enum log_format format, enum log_level level, int fd)
{
    logger.program = program;
    logger.format = format;
    logger.level = level;
    logger.fd = fd;
}

/* A line that is cut at its ceiling, with room kept for what must close it. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool cut;
};
#define LINE_TAIL 8 /* "...", a quote, a brace, a newline */

static void add_raw(struct line *l, const char *s, size_t n)
{
    if (l->cut || l->len + n > sizeof l->text - LINE_TAIL) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void add(struct line *l, const char *s)
{
    add_raw(l, s, strlen(s));
}

/* Escapes what would break the line (or a terminal): control characters, bytes that are no UTF-8,
 * and within quotes the quote and the backslash. */
static void add_escaped(struct line *l, const char *s, bool json)
{
    while (*s) {
        unsigned char c = (unsigned char)*s;
        char esc[8];
        size_t n = utf8_len(s);
        if (json && (c == '"' || c == '\\')) {
            snprintf(esc, sizeof esc, "\\%c", c);
            add(l, esc);
            n = 1;
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(esc, sizeof esc, json ? "\\u%04x" : "\\x%02x", c);
            add(l, esc);
            n = 1;
        } else if (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0) { /* C1 controls */
            snprintf(esc, sizeof esc, "\\u%04x", (unsigned char)s[1]);
            add(l, esc);
        } else if (n == 0) {
            if (json)
                snprintf(esc, sizeof esc, "\xef\xbf\xbd");
            else
                snprintf(esc, sizeof esc, "\\x%02x", c);
            add(l, esc);
            n = 1;
        } else {
            add_raw(l, s, n);
        }
        s += n;
    }
}

static void add_field(struct line *l, const char *key, const char *value)
{
    add(l, ",\"");
    add(l, key);
    add(l, "\":\"");
    add_escaped(l, value, true);
    add(l, "\"");
}

void log_event(enum log_level level, const struct log_ctx *ctx, const char *event, const char *fmt,
               ...)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    if (level < logger.level)
        return;
    int saved = errno;
    char message[LINE_MAX_BYTES], when[25], id[24];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    time_iso(now_ms(), when);
    const char *space = ctx && ctx->space ? ctx->space : NULL;
    uint64_t worker = ctx ? ctx->worker_id : 0;
    snprintf(id, sizeof id, "%" PRIu64, worker);

    struct line l;
    l.len = 0;
    l.cut = false;
    if (logger.format == LOG_FORMAT_JSON) {
        add(&l, "{\"time\":\"");
        add(&l, when);
        add(&l, "\"");
        add_field(&l, "level", words[level]);
        add_field(&l, "program", logger.program);
        add_field(&l, "event", event);
        if (space)
            add_field(&l, "space", space);
        if (worker) {
            add(&l, ",\"worker\":");
            add(&l, id);
        }
        add(&l, ",\"message\":\"");
        add_escaped(&l, message, true);
        /* The tail fits whatever was cut before it: add_raw leaves room for it. */
        l.len +=
            (size_t)snprintf(l.text + l.len, sizeof l.text - l.len, "%s\"}\n", l.cut ? "..." : "");
    } else {
        add(&l, when);
        add(&l, " ");
        add(&l, words[level]);
        add(&l, " ");
        add(&l, logger.program);
        add(&l, " ");
        add(&l, event);
        if (space) {
            add(&l, " space=");
            add_escaped(&l, space, false);
        }
        if (worker) {
            add(&l, " worker=");
            add(&l, id);
        }
        add(&l, ": ");
        add_escaped(&l, message, false);
        l.len +=
            (size_t)snprintf(l.text + l.len, sizeof l.text - l.len, "%s\n", l.cut ? "..." : "");
    }
    /* One write, so that lines of several programs do not mix; there is nobody to tell if it fails.
     */
    ssize_t n = write(logger.fd, l.text, l.len);
    (void)n;
    errno = saved;
}
