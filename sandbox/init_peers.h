/* Who is connected to PID 1: the runner (control) and those that take sockets (dial). */
#pragma once

#include "common/proto.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define PEERS_MAX 208
#define PEERS_MAX_DIAL                                                                             \
    192 /* so that there is always room for a control connection; each loop of each                \
           gateway has one */

enum peer_role { PEER_NEW, PEER_CONTROL, PEER_DIAL };

struct peer {
    int fd;
    enum peer_role role;
    uint64_t since_ms; /* CLOCK_MONOTONIC, of accept */
};

struct peers {
    struct peer p[PEERS_MAX];
    int n;
};

/* Takes one waiting connection, non-blocking. Where the table is full, the oldest that has not said
 * HELLO makes room, else the new one is refused. */
void peers_accept(struct peers *ps, int listener);
void peers_add(struct peers *ps, int fd, enum peer_role role);
void peers_drop(struct peers *ps, int i);
/* Drops those that connected and never said who they are. */
void peers_expire(struct peers *ps);
bool peers_any_control(const struct peers *ps);
/* To every control connection; one that does not read is dropped. */
void peers_tell_control(struct peers *ps, enum proto_type type, const void *body);

/* What HELLO makes of a connection: false if it must be dropped. */
bool peers_hello(struct peers *ps, int i, uint32_t role);
/* Answers DIAL with fresh sockets of this network namespace: false if it must be dropped. */
bool peers_dial(struct peers *ps, int i, uint32_t count);
