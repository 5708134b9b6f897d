#include "runner/budget.h"

bool budget_take(struct budget *b, struct budget_claim *c)
{
    if (c->waits)
        return false;
    if (!b->first && b->taken < b->max) {
        b->taken++;
        return true;
    }
    c->waits = true;
    c->next = NULL;
    c->prev = b->last;
    if (b->last)
        b->last->next = c;
    else
        b->first = c;
    b->last = c;
    b->waiting++;
    return false;
}

void budget_leave(struct budget *b, struct budget_claim *c)
{
    if (!c->waits)
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        b->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        b->last = c->prev;
    c->next = c->prev = NULL;
    c->waits = false;
    b->waiting--;
}

void budget_occupy(struct budget *b)
{
    b->taken++;
}

void budget_release(struct budget *b)
{
    if (b->taken)
        b->taken--;
}

struct budget_claim *budget_next(struct budget *b)
{
    struct budget_claim *c = b->first;
    if (!c || b->taken >= b->max)
        return NULL;
    budget_leave(b, c);
    b->taken++;
    return c;
}

int budget_victim(const struct budget_candidate *c, size_t n)
{
    int best = -1;
    for (size_t i = 0; i < n; i++) {
        if (!c[i].asked && (best < 0 || c[i].active_ms < c[best].active_ms))
            best = (int)i;
    }
    return best;
}
