#include "gbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_SMALL 2048 /* 8 MiB */
#define KEPT_LARGE 256  /* 8 MiB */

void gbuf_pool_init(struct gbuf_pool *p, unsigned pools)
{
    *p = (struct gbuf_pool){.most_small = KEPT_SMALL / pools, .most_large = KEPT_LARGE / pools};
}

struct gbuf *gbuf_take(struct gbuf_pool *p, size_t room)
{
    struct gbuf **list = room <= GBUF_SMALL ? &p->small : &p->large;
    struct gbuf *b = *list;
    uint32_t cap = room <= GBUF_SMALL ? GBUF_SMALL : GBUF_LARGE;

    if (room > GBUF_LARGE)
        return NULL;
    if (b) {
        *list = b->next;
        --*(cap == GBUF_SMALL ? &p->n_small : &p->n_large);
    } else {
        b = malloc(sizeof(*b) + cap);
        if (!b)
            return NULL;
        b->cap = cap;
    }
    b->head = b->tail = 0;
    b->next = NULL;
    return b;
}

void gbuf_give(struct gbuf_pool *p, struct gbuf **bp)
{
    struct gbuf *b = *bp;
    if (!b)
        return;
    *bp = NULL;
    if (b->cap == GBUF_SMALL && p->n_small < p->most_small) {
        b->next = p->small;
        p->small = b;
        p->n_small++;
    } else if (b->cap == GBUF_LARGE && p->n_large < p->most_large) {
        b->next = p->large;
        p->large = b;
        p->n_large++;
    } else {
        free(b);
    }
}

int gbuf_need(struct gbuf_pool *p, struct gbuf **bp, size_t room)
{
    struct gbuf *b = *bp;
    size_t len = gbuf_len(b);

    if (b && gbuf_room(b) >= room)
        return 0;
    if (len + room > GBUF_LARGE)
        return -ENOBUFS;
    if (b && b->cap >= len + room) {
        memmove(b->data, b->data + b->head, len);
        b->head = 0;
        b->tail = (uint32_t)len;
        return 0;
    }
    struct gbuf *n = gbuf_take(p, len + room);
    if (!n)
        return -ENOMEM;
    if (b) {
        memcpy(n->data, b->data + b->head, len);
        n->tail = (uint32_t)len;
        gbuf_give(p, bp);
    }
    *bp = n;
    return 0;
}

void gbuf_consume(struct gbuf *b, size_t n)
{
    b->head += (uint32_t)n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

static void free_list(struct gbuf *b)
{
    while (b) {
        struct gbuf *next = b->next;
        free(b);
        b = next;
    }
}

void gbuf_pool_free(struct gbuf_pool *p)
{
    free_list(p->small);
    free_list(p->large);
    *p = (struct gbuf_pool){0};
}
