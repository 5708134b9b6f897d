/* See steps.h. */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void steps_mark(struct steps *t, const char *name)
{
    struct timespec now;
    if (t->n == STEPS_MAX || clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return;
    t->s[t->n].name = name;
    t->s[t->n++].done_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void steps_print(const struct steps *t, const char *side)
{
    if (!getenv("VITRINE_SANDBOX_STEPS"))
        return;
    char text[STEPS_MAX * 80];
    size_t at = 0;
    for (int i = 0; i < t->n && at < sizeof(text) - 80; i++)
        at += (size_t)snprintf(text + at, 80, "steps %s: %s %.1f at %.1f\n", side, t->s[i].name,
                               (double)(t->s[i].done_ns - t->s[i ? i - 1 : 0].done_ns) / 1000,
                               (double)t->s[i].done_ns / 1000);
    (void)!write(STDERR_FILENO, text, at);
}
