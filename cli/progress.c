#include "progress.h"

#include "common/util.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_MS 80
#define SAY_AFTER_MS 5000 /* without a terminal */
#define BAR_WIDTH 24

void progress_begin(struct progress *p)
{
    *p = (struct progress){.tty = isatty(STDERR_FILENO), .began_ms = mono_ms()};
}

void progress_phase(struct progress *p, const char *phase)
{
    snprintf(p->phase, sizeof(p->phase), "%s", phase);
    p->phase_began_ms = p->said_ms = mono_ms();
    p->drawn_ms = 0;
    progress_update(p, 0, 0, NULL);
}

static void draw(struct progress *p, uint64_t done, uint64_t total, const char *detail,
                 uint64_t now)
{
    char bar[BAR_WIDTH + 1] = "", amount[80] = "", a[32], b[32];
    if (total) {
        unsigned filled = (unsigned)((double)done / (double)total * BAR_WIDTH);
        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', filled > BAR_WIDTH ? BAR_WIDTH : filled);
        format_bytes(done, a);
        format_bytes(total, b);
        snprintf(amount, sizeof(amount), "[%s] %s of %s  ", bar, a, b);
    }
    uint64_t s = (now - p->began_ms) / 1000;
    fprintf(stderr, "\r\033[K%-8s %s%s%s%llu:%02llu", p->phase, amount, detail ? detail : "",
            detail ? "  " : "", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
    fflush(stderr);
    p->drawn = true;
}

void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *detail)
{
    uint64_t now = mono_ms();
    if (p->tty) {
        if (p->drawn_ms && now - p->drawn_ms < REDRAW_MS)
            return;
        p->drawn_ms = now;
        draw(p, done, total, detail, now);
    } else if (now - p->said_ms >= SAY_AFTER_MS) {
        char a[32] = "", b[32] = "";
        if (total) {
            format_bytes(done, a);
            format_bytes(total, b);
        }
        fprintf(stderr, "%s: %s%s%s%s%s%llu s\n", p->phase, a, total ? " of " : "", b,
                detail ? detail : "", total || detail ? ", " : "",
                (unsigned long long)((now - p->phase_began_ms) / 1000));
        p->said_ms = now;
    }
}

void progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
