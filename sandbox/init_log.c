/* See init_log.h. */
#include "init_log.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX_BYTES 25 /* "2026-11-23T06:28:00.123Z " */
#define TICK_MS 250

void init_log_open(struct init_log *l, const int fd[2], uint64_t bytes, uint64_t rate)
{
    *l = (struct init_log){
        .fd = {fd[0], fd[1]}, .part_bytes = bytes / 2, .rate = rate, .tokens = rate};
    l->filled_us = mono_us();
    struct stat st;
    if (l->fd[0] >= 0 && fstat(l->fd[0], &st) == 0)
        l->used = (uint64_t)st.st_size;
}

/* The other part is emptied and goes on. */
static void switch_part(struct init_log *l)
{
    if (l->fd[1] >= 0)
        l->current ^= 1;
    if (ftruncate(l->fd[l->current], 0) == 0)
        l->used = 0;
}

static void put(struct init_log *l, const char *data, size_t len)
{
    if (len == 0)
        return;
    while (len) {
        if (l->used >= l->part_bytes)
            switch_part(l);
        uint64_t room = l->used < l->part_bytes ? l->part_bytes - l->used : 0;
        size_t n = len < room ? len : (size_t)room;
        ssize_t done = n ? pwrite(l->fd[l->current], data, n, (off_t)l->used) : 0;
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) { /* a full disk: the program goes on, its log does not */
            l->dropped += len;
            return;
        }
        l->used += (uint64_t)done;
        data += done;
        len -= (size_t)done;
        l->mid_line = data[-1] != '\n';
    }
}

static void put_prefix(struct init_log *l, size_t line_len)
{
    char stamp[PREFIX_BYTES + 1];
    time_iso(now_ms(), stamp);
    stamp[PREFIX_BYTES - 1] = ' ';
    /* a line that fits into one part is not torn */
    if (l->used + PREFIX_BYTES + line_len > l->part_bytes &&
        PREFIX_BYTES + line_len <= l->part_bytes)
        switch_part(l);
    put(l, stamp, PREFIX_BYTES);
}

static void refill(struct init_log *l)
{
    uint64_t now = mono_us(), gone = now - l->filled_us;
    if (gone > 1000000)
        gone = 1000000;
    uint64_t more = l->rate * gone / 1000000;
    if (more == 0)
        return;
    l->tokens = l->tokens + more > l->rate ? l->rate : l->tokens + more;
    l->filled_us = now;
}

void init_log_note(struct init_log *l, const char *text)
{
    if (l->fd[0] < 0)
        return;
    if (l->mid_line)
        put(l, "\n", 1);
    put_prefix(l, strlen(text) + 1);
    put(l, text, strlen(text));
    put(l, "\n", 1);
}

void init_log_tick(struct init_log *l, bool now)
{
    if (l->dropped == 0)
        return;
    refill(l);
    if (!now && l->tokens < l->rate / 2)
        return;
    char text[160], rate[32];
    uint64_t dropped = l->dropped;
    l->dropped = 0;
    format_bytes(l->rate, rate);
    snprintf(text, sizeof(text), "vitrine: %llu bytes of output dropped here (limit %s a second)",
             (unsigned long long)dropped, rate);
    init_log_note(l, text);
}

void init_log_write(struct init_log *l, const char *data, size_t len)
{
    if (l->fd[0] < 0)
        return;
    if (l->rate)
        refill(l);
    init_log_tick(l, false);
    while (len) {
        if (l->dropped) { /* until there is room for a while again, not for a line at a time */
            l->dropped += len;
            return;
        }
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline - data) + 1 : len;
        size_t cost = n + (l->mid_line ? 0 : PREFIX_BYTES);
        if (l->rate && cost > l->tokens) {
            l->dropped += len;
            l->was_too_fast = true;
            return;
        }
        l->tokens -= l->rate ? cost : 0;
        if (!l->mid_line)
            put_prefix(l, n);
        put(l, data, n);
        data += n;
        len -= n;
    }
}

int init_log_wait_ms(const struct init_log *l)
{
    return l->dropped ? TICK_MS : -1;
}
