/* Connection buffers: two sizes, recycled, taken when bytes come and given back when they are gone,
 * so that an idle connection has none. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GBUF_SMALL (4 * 1024 - 32)  /* most heads, most answers */
#define GBUF_LARGE (32 * 1024 - 32) /* the longest head there may be, and bodies in bulk */

struct gbuf {
    uint32_t head, tail, cap; /* data[head..tail) is there, [tail..cap) is room */
    struct gbuf *next;        /* in the pool */
    char data[];
};

struct gbuf_pool {
    struct gbuf *small, *large; /* recycled ones, of which only a bounded number is kept */
    uint32_t n_small, n_large, most_small, most_large;
};

static inline size_t gbuf_len(const struct gbuf *b)
{
    return b ? b->tail - b->head : 0;
}
static inline size_t gbuf_room(const struct gbuf *b)
{
    return b ? b->cap - b->tail : 0;
}
static inline char *gbuf_at(struct gbuf *b)
{
    return b->data + b->head;
}

/* One of `pools` that share what may be kept. One that is all 0 keeps nothing. */
void gbuf_pool_init(struct gbuf_pool *p, unsigned pools);
/* An empty buffer with room for at least `room` (at most GBUF_LARGE). NULL without memory. */
struct gbuf *gbuf_take(struct gbuf_pool *p, size_t room);
/* Gives *b back and sets it to NULL; NULL is fine. */
void gbuf_give(struct gbuf_pool *p, struct gbuf **b);
/* Makes room for `room` more bytes by moving the content to the front or into a larger buffer; *b
 * may be NULL. 0, -ENOBUFS where not even the large size has it, -ENOMEM. */
int gbuf_need(struct gbuf_pool *p, struct gbuf **b, size_t room);
/* Drops `n` bytes from the front; an empty buffer starts over. */
void gbuf_consume(struct gbuf *b, size_t n);
void gbuf_pool_free(struct gbuf_pool *p);
