#include "runner/budget.h"

static bool take(struct budget *b, const struct budget_claim *c)
{
    uint64_t need = c->need ? c->need : 1;
    if (b->taken >= b->max || need > b->max - b->taken)
        return false;
    b->taken += need;
    return true;
}

bool budget_take(struct budget *b, struct budget_claim *c)
{
    if (c->waits)
        return false;
    if (!b->first && take(b, c))
        return true;
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

void budget_occupy(struct budget *b, uint64_t n)
{
    b->taken += n;
}

void budget_release(struct budget *b, uint64_t n)
{
    b->taken -= n < b->taken ? n : b->taken;
}

struct budget_claim *budget_next(struct budget *b)
{
    struct budget_claim *c = b->first;
    if (!c || !take(b, c))
        return NULL;
    budget_leave(b, c);
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
