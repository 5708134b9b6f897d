/* See say.h. */
#include "egress/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_PENDING 65536

void say_init(struct say *s, int fd)
{
    *s = (struct say){.fd = fd, .pending = BUF_INIT(MAX_PENDING)};
}

/* FNV-1a */
static uint64_t hash_of(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3u;
    return h;
}

static void put(struct say *s, char *line)
{
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    if (s->pending.len + strlen(line) + 1 <= s->pending.max) {
        (void)buf_puts(&s->pending, line);
        (void)buf_puts(&s->pending, "\n");
    }
    say_flush(s);
}

void say(struct say *s, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    uint64_t h = hash_of(line);
    for (unsigned i = 0; i < s->said && i < SAY_LINES; i++)
        if (s->hashes[i] == h)
            return;
    if (s->said < SAY_LINES)
        s->hashes[s->said++] = h;
    else
        return;
    put(s, line[0] == '@' ? line + 1 : line);
}

void say_runner(struct say *s, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    put(s, line);
}

void say_flush(struct say *s)
{
    while (s->pending.len) {
        ssize_t n = send(s->fd, s->pending.data, s->pending.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            return; /* its end is seen by who reads from it */
        buf_consume(&s->pending, (size_t)n);
    }
}
