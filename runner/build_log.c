/* A build's log: kept with the Space's, and shown to those who wait for it. */
#include "runner/build_own.h"

#include "common/conf.h"
#include "common/util.h"
#include "runner/gateway.h"
#include "runner/logs.h"
#include "runner/runner.h"
#include "runner/space.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WAIT_LINE_EACH_MS 50

void build_say(struct build *b, const char *step, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    uint64_t now = mono_ms();
    b->logged += strlen(text) + strlen(step) + 28;
    if (b->logged <= conf_of(b->r)->limits_log_size)
        logs_build(b->r, b->space->id, false, "%s: %s", step, text);
    else if (!b->log_cut)
        logs_build(b->r, b->space->id, false,
                   "%s: the log is full (limits.log_size); what follows "
                   "is not kept",
                   step);
    b->log_cut = b->logged > conf_of(b->r)->limits_log_size;
    if (b->cancelled || now - b->wait_line_ms < WAIT_LINE_EACH_MS)
        return;
    b->wait_line_ms = now;
    char line[1024];
    snprintf(line, sizeof(line), "%.20s: %.900s", step, text);
    gateway_wait_line(b->space, line);
}
