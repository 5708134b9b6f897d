/* What an owner put into the environment of a Space: its variables, and its secrets, which are
 * opened here and nowhere else. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "common/proto.h"

#include <stdint.h>

struct runner;

/* Reads the box key once. */
int environment_open(struct runner *r, struct err *err);

/* Adds them to start->env, each in the place of a default of the same name; the secrets last, with
 * their number in start->secrets. -EBADMSG where one was sealed to another key. */
int environment_add(struct proto_start *start, struct runner *r, uint64_t space_id,
                    struct err *err);
/* The variables alone, for a build: those that steer it are left out, and what is set stays. */
int environment_add_variables(struct proto_start *start, struct runner *r, uint64_t space_id,
                              struct err *err);
/* What a build would get. `digest` is over names and values ("" without any), `given` and
 * `left_out` get the names, with ", " between them. */
int environment_of_build(struct runner *r, uint64_t space_id, char digest[65], struct buf *given,
                         struct buf *left_out, struct err *err);
/* Overwrites what is in there, once it was sent. */
void environment_forget(struct proto_start *start);
