#include "account.h"

#include "access.h"

void account_begin(struct client *c, const struct http1_head *h)
{
    struct account *a = &c->account;

    a->from_us = c->loop->now_us;
    if (c->loop->access)
        access_begin(c, h);
}

void account_answer(struct client *c, int status)
{
    struct account *a = &c->account;

    a->status = (uint16_t)status;
    a->first_us = c->loop->now_us;
}

void account_end(struct client *c, bool cut)
{
    struct account *a = &c->account;

    if (!a->from_us)
        return;
    if (a->line)
        access_end(c, cut);
    *a = (struct account){0};
}
