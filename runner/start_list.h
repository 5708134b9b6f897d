/* The lists of a START message (common/proto.h): argv, env, mounts, net_rules. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct start_list {
    char *bytes;
    uint32_t *len;
    size_t max;
    int failed; /* -EMSGSIZE once something did not fit: the first failure sticks */
};

/* START_LIST(start, argv): of the message's field of that name. */
#define START_LIST(start, name)                                                                    \
    {                                                                                              \
        (start)->name, &(start)->name##_len, sizeof((start)->name), 0                              \
    }

/* Appends one string. */
void start_list_add(struct start_list *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds what a build made (built_add of common/built.h); `arg`: a struct proto_start. */
int start_list_built(void *arg, bool is_mount, const char *text);
