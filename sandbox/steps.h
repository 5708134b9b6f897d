/* When each step of making a sandbox was done: a clock's reading a step, always taken (it costs
 * some 50 ns), printed to standard error where the environment has VITRINE_SANDBOX_STEPS. */
#pragma once

#include <stdint.h>

#define STEPS_MAX 40

struct steps {
    struct {
        const char *name;
        uint64_t done_ns; /* CLOCK_MONOTONIC */
    } s[STEPS_MAX];
    int n;
};

/* `name` is kept as a pointer: a literal. Beyond STEPS_MAX it is forgotten. */
void steps_mark(struct steps *t, const char *name);
/* Lines "steps SIDE: NAME TOOK at WHEN" in microseconds (since the mark before, of the clock), if
 * they were asked for; names of at most 30 characters. */
void steps_print(const struct steps *t, const char *side);
