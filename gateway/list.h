/* Doubly linked lists inside the objects that are on them. A link that is on no list points to
 * itself or is zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

static inline void list_init(struct link *l)
{
    l->prev = l->next = l;
}
static inline bool list_linked(const struct link *l)
{
    return l->next && l->next != l;
}
static inline bool list_empty(const struct link *head)
{
    return head->next == head;
}
static inline void list_remove(struct link *l)
{
    if (!l->next)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
static inline void list_insert(struct link *prev, struct link *l)
{
    l->prev = prev;
    l->next = prev->next;
    prev->next->prev = l;
    prev->next = l;
}
static inline void list_push_front(struct link *head, struct link *l)
{
    list_insert(head, l);
}
static inline void list_push_back(struct link *head, struct link *l)
{
    list_insert(head->prev, l);
}
/* Moves all of `from` to `to`, which must be empty; `from` is empty then. */
static inline void list_move_all(struct link *to, struct link *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}
