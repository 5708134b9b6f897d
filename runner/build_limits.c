/* A build's limits of time and disk. */
#include "runner/build_own.h"

#include "common/conf.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/chore.h"
#include "runner/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define LOOK_FIRST_MS 1000
#define LOOK_SHARE 20 /* looking at its size takes at most one such part of the time */

static void on_deadline(void *arg)
{
    struct build *b = arg;
    char text[160];
    snprintf(text, sizeof(text),
             "it took longer than %" PRIu64 " s (build.timeout); ask for less, or the operator for "
             "more time",
             conf_of(b->r)->build_timeout / 1000);
    build_fail(b, text);
    build_give_up(b);
}

static void on_measured(void *arg, int code)
{
    struct build *b = arg;
    uint64_t took = mono_ms() - b->look_ms;
    char size[32], text[200];
    b->look_ms = 0;
    if (b->over || build_is_sealing(b))
        return;
    if (code == EFBIG || code == EMFILE) {
        format_bytes(b->phase == PHASE_MODELS ? conf_of(b->r)->build_preload_size
                                              : conf_of(b->r)->build_size,
                     size);
        if (code == EFBIG)
            snprintf(text, sizeof(text),
                     "it took more than %s of the disk (build.%s); ask for "
                     "less, or the operator for more room",
                     size, b->phase == PHASE_MODELS ? "preload_size" : "size");
        else
            snprintf(text, sizeof(text), "it made more than %" PRIu64 " files (build.inodes)",
                     conf_of(b->r)->build_inodes);
        build_fail(b, text);
        build_give_up(b);
        return;
    }
    uint64_t pause = took * LOOK_SHARE;
    loop_timer_set(b->r->loop, &b->look, pause > LOOK_FIRST_MS ? pause : LOOK_FIRST_MS);
}

static void on_look(void *arg)
{
    struct build *b = arg;
    struct err err = {0};
    b->look_ms = mono_ms();
    if (env_measure(b, on_measured, &err) < 0) {
        b->look_ms = 0;
        loop_timer_set(b->r->loop, &b->look, LOOK_FIRST_MS);
    }
}

void build_limits_init(struct build *b)
{
    b->deadline = (struct loop_timer){.fn = on_deadline, .arg = b};
    b->look = (struct loop_timer){.fn = on_look, .arg = b};
}

void build_watch(struct build *b)
{
    struct runner *r = b->r;
    if (!loop_timer_is_set(&b->deadline))
        loop_timer_set(r->loop, &b->deadline, conf_of(r)->build_timeout);
    if (!loop_timer_is_set(&b->look) && !b->look_ms)
        loop_timer_set(r->loop, &b->look, LOOK_FIRST_MS);
}

void build_unwatch(struct build *b)
{
    struct runner *r = b->r;
    loop_timer_cancel(r->loop, &b->deadline);
    loop_timer_cancel(r->loop, &b->look);
    chore_kill_of(r, b);
    b->look_ms = 0;
}
