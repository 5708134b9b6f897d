#include "account.h"

#include "access.h"
#include "tally.h"

void account_begin(struct client *c, const struct http1_head *h)
{
    struct account *a = &c->account;

    a->from_us = c->loop->now_us;
    if (c->loop->access)
        access_begin(c, h);
}

static void leave(struct client *c)
{
    struct account *a = &c->account;
    struct tally *t = a->tally;

    a->tally = NULL;
    t->in_flight--;
    if (a->stream == ACCOUNT_WEBSOCKET)
        t->websockets--;
    else if (a->stream == ACCOUNT_EVENTS)
        t->streams--;
    tally_touch(c->loop, t);
    tally_unref(c->loop, t);
}

void account_enter(struct client *c, struct tally *t)
{
    struct account *a = &c->account;

    if (a->tally == t)
        return;
    if (a->tally)
        leave(c);
    a->tally = t;
    t->refs++;
    t->in_flight++;
    tally_touch(c->loop, t);
}

void account_answer(struct client *c, int status)
{
    struct account *a = &c->account;

    a->status = (uint16_t)status;
    a->first_us = c->loop->now_us;
}

void account_stream(struct client *c, enum account_stream kind)
{
    struct account *a = &c->account;

    if (!a->tally || a->stream)
        return;
    a->stream = (uint8_t)kind;
    if (kind == ACCOUNT_WEBSOCKET)
        a->tally->websockets++;
    else
        a->tally->streams++;
    tally_touch(c->loop, a->tally);
}

static void count(struct client *c)
{
    const struct account *a = &c->account;
    struct tally *t = a->tally ? a->tally : tally_none(c->loop);
    struct tally_counts *n = &t->counts;
    unsigned class = a->status / 100u;

    n->requests[class < TALLY_CLASSES ? class : 0]++;
    n->bytes_in += c->up.bytes;
    n->bytes_out += c->down.bytes;
    if (a->first_us) {
        uint64_t us = a->first_us - a->from_us;
        n->first_byte[tally_bucket(us)]++;
        n->first_byte_us += us;
    }
    if (!a->stream) {
        uint64_t us = c->loop->now_us - a->from_us;
        n->duration[tally_bucket(us)]++;
        n->duration_us += us;
    }
    if (a->tally)
        leave(c);
    else
        tally_touch(c->loop, t);
}

void account_end(struct client *c, bool cut)
{
    struct account *a = &c->account;

    if (!a->from_us)
        return;
    if (a->line)
        access_end(c, cut);
    count(c);
    *a = (struct account){0};
}
