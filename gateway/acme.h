/* Answers to http-01 challenges (RFC 8555, 8.3). They are files that an ACME client writes; `up`
 * reads them, since here no path can be opened. No demo ever answers one: it would get a
 * certificate for its host. */
#pragma once

#include "list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct loop;
struct proto_sup_challenge;

struct challenges {
    int sup_fd; /* the supervisor's socket, borrowed */
    struct link waiting;
    uint32_t n_waiting;
    uint64_t last_id;
};

/* What is asked has ids from that one on. */
void acme_init(struct challenges *ch, uint64_t first_id);
/* Whether a request's target is below /.well-known/acme-challenge/. */
bool acme_is_challenge(const char *target, size_t len);
/* Asks `up`; the client is in CLIENT_CHALLENGE then, or has its answer. */
void acme_ask(struct client *c, const char *target, size_t len);
void acme_answer(struct loop *l, const struct proto_sup_challenge *m);
/* The time is over. */
void acme_give_up(struct client *c);
