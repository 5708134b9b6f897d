#include "progress.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 80
#define SAY_AFTER_MS 5000 /* without a terminal */
#define SAY_DETAIL 60     /* bytes */
#define BAR_WIDTH 24
#define PULSE_WIDTH 4 /* what goes to and fro in a bar whose end is not known */
#define PULSE_STEP_MS 120

void progress_begin(struct progress *p)
{
    *p = (struct progress){.tty = isatty(STDERR_FILENO)};
}

void progress_begin_silent(struct progress *p)
{
    *p = (struct progress){.silent = true};
}

static unsigned columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

/* "1.2 MiB of 3 MiB", "3 MiB", or "" */
static void format_amount(const struct progress *p, bool finished, char *out, size_t len)
{
    char a[32], b[32];
    format_bytes(p->done, a);
    format_bytes(p->total, b);
    if (!p->total)
        *out = 0;
    else if (finished)
        snprintf(out, len, "%s", b);
    else
        snprintf(out, len, "%s of %s", a, b);
}

static void make_bar(const struct progress *p, bool finished, uint64_t now, char bar[BAR_WIDTH + 1])
{
    unsigned from = 0, to = BAR_WIDTH;
    if (!finished && p->total) {
        to = (unsigned)((double)p->done / (double)p->total * BAR_WIDTH);
        to = to > BAR_WIDTH ? BAR_WIDTH : to;
    } else if (!finished) {
        unsigned span = BAR_WIDTH - PULSE_WIDTH,
                 at = (unsigned)((now - p->phase_began_ms) / PULSE_STEP_MS % (2 * span));
        from = at < span ? at : 2 * span - at;
        to = from + PULSE_WIDTH;
    }
    memset(bar, '.', BAR_WIDTH);
    memset(bar + from, '#', to - from);
    bar[BAR_WIDTH] = 0;
}

/* Cuts at `len` bytes, not in the middle of a character. */
static void cut(char *text, size_t len)
{
    if (strlen(text) <= len)
        return;
    while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    text[len] = 0;
}

static void draw(struct progress *p, bool finished, uint64_t now)
{
    char bar[BAR_WIDTH + 1], amount[80], line[160];
    uint64_t s = (now - p->phase_began_ms) / 1000;
    make_bar(p, finished, now, bar);
    format_amount(p, finished, amount, sizeof(amount));
    int n = snprintf(line, sizeof(line), "%-7s[%s] %llu:%02llu%s%s", p->phase, bar,
                     (unsigned long long)(s / 60), (unsigned long long)(s % 60),
                     *amount ? "  " : "", amount);
    unsigned width = columns() - 1;
    fputs("\r\033[K", stderr);
    cut(line, width);
    fputs(line, stderr);
    if (*p->detail && (unsigned)n + 2 < width) {
        struct terminal t = {0};
        char detail[sizeof(p->detail)];
        snprintf(detail, sizeof(detail), "%s", p->detail);
        cut(detail, width - (unsigned)n - 2);
        fputs("  ", stderr);
        terminal_write(&t, stderr, detail, strlen(detail));
    }
    if (finished)
        fputc('\n', stderr);
    fflush(stderr);
}

static void say(const struct progress *p, uint64_t now)
{
    char amount[80];
    struct terminal t = {0};
    format_amount(p, false, amount, sizeof(amount));
    fprintf(stderr, "%s: %s%s", p->phase, amount, *amount ? ", " : "");
    char detail[SAY_DETAIL + 1];
    snprintf(detail, sizeof(detail), "%.*s", SAY_DETAIL, p->detail);
    terminal_write(&t, stderr, detail, strlen(detail));
    fprintf(stderr, "%s%llu s\n", *p->detail ? ", " : "",
            (unsigned long long)((now - p->phase_began_ms) / 1000));
}

static void show(struct progress *p)
{
    uint64_t now = mono_ms();
    if (p->silent || !*p->phase)
        return;
    if (p->tty && (!p->drawn_ms || now - p->drawn_ms >= REDRAW_MS)) {
        p->drawn_ms = now;
        draw(p, false, now);
    } else if (!p->tty && now - p->said_ms >= SAY_AFTER_MS) {
        p->said_ms = now;
        say(p, now);
    }
}

void progress_phase(struct progress *p, const char *phase)
{
    if (!strcmp(p->phase, phase))
        return;
    progress_done(p);
    snprintf(p->phase, sizeof(p->phase), "%s", phase);
    p->phase_began_ms = p->said_ms = mono_ms();
    p->drawn_ms = 0;
    show(p);
}

void progress_update(struct progress *p, uint64_t done, uint64_t total, const char *detail)
{
    p->done = done;
    p->total = total;
    snprintf(p->detail, sizeof(p->detail), "%s", detail ? detail : "");
    p->detail[strcspn(p->detail, "\r\n")] = 0;
    show(p);
}

void progress_done(struct progress *p)
{
    if (p->tty && *p->phase)
        draw(p, true, mono_ms());
    p->phase[0] = p->detail[0] = 0;
    p->done = p->total = 0;
}

void progress_end(struct progress *p)
{
    if (p->tty && *p->phase)
        fputs("\r\033[K", stderr);
    p->phase[0] = 0;
}
