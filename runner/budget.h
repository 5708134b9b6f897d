/* Places for workers, or whatever else there is a number of (GPUs). A place is taken in one step
 * (there is no check-then-start), waiting Spaces get theirs in the order in which they asked. Pure:
 * who sleeps to make room is budget_victim's choice, and the caller's deed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in who waits, zeroed at birth. */
struct budget_claim {
    struct budget_claim *next, *prev;
    bool waits;
    uint64_t need; /* places, all or none; 0 is one */
    void *arg;
};

struct budget {
    uint64_t max;
    uint64_t taken;
    struct budget_claim *first, *last; /* those who wait, oldest first */
    uint64_t waiting;
};

/* Takes what it needs and returns true; or puts the claim at the end of the line (once) and returns
 * false. Nobody overtakes: while others wait, a newcomer waits behind them. */
bool budget_take(struct budget *b, struct budget_claim *c);
/* Leaves the line; fine if it is not in it. */
void budget_leave(struct budget *b, struct budget_claim *c);
/* Counts n places of a worker that runs already (adopted), whatever the maximum says. */
void budget_occupy(struct budget *b, uint64_t n);
/* A worker is gone: its places are free. */
void budget_release(struct budget *b, uint64_t n);
/* If there is room for the first in line: takes what it needs and returns its claim; else NULL. */
struct budget_claim *budget_next(struct budget *b);

struct budget_candidate {
    uint64_t active_ms; /* when it was last in use */
    bool asked;         /* asked to sleep already, or known to be in use */
};
/* The index of the one that was not in use for the longest time, -1 where there is none to ask. */
int budget_victim(const struct budget_candidate *c, size_t n);
