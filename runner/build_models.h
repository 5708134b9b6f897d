/* A build's step for preload_from_hub: vitrine-preload makes a cache of what the card asks for,
 * which becomes envs/KEY of that Space alone; the files in it are shared by all (models.h). */
#pragma once

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct build;
struct proto_start;
struct runner;

/* b->preload, from the card. */
void build_models_read_card(struct build *b, json_t *card);
/* Whether there is a hub to ask. Where there is none: true where the program can fetch by itself,
 * which is said, and b->preload is empty then; else false, and the build has failed. */
bool build_models_has_hub(struct build *b);
/* Whether nothing is to be fetched: none is asked for, or the very same was before. */
bool build_models_known(struct build *b);
/* Begins the step where there is something to fetch; goes on with build_begin_env. */
void build_models_begin(struct build *b);
/* Its sandbox is done. */
void build_models_fetched(struct build *b);
/* The sandbox of the step: argv, mounts, environment. */
int build_models_fill(struct build *b, struct proto_start *start);
/* Lines of egress/policy.h: the hub, and the operator's [build] hosts, to which it may redirect. */
int build_models_policy(struct runner *r, struct buf *out);
/* Files that no cache has any more are removed, unless a build is about to use them. */
void build_models_sweep(struct runner *r);
