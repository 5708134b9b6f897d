/* How a version is run: command line, environment, mounts and limits of its worker, by its SDK. */
#pragma once

#include "common/err.h"
#include "common/proto.h"
#include "common/space_limits.h"

struct runner;
struct space;
struct worker;

/* Fills everything of `start` that does not depend on how workers are made (worker.c does the
 * rest). -ENOTSUP for an SDK that this version does not run. */
int recipe_worker(struct proto_start *start, struct runner *r, const struct space *s,
                  const struct worker *w, struct err *err);
/* 0, or -ENOTSUP with the reason. */
int recipe_check_sdk(const char *sdk, struct err *err);
/* The sandbox's size, for jobs too. */
void recipe_limits(struct proto_start *start, const struct runner *r, const struct space_limits *l);
/* "owner-name.localhost:8080", as visitors write it */
void recipe_host(const struct runner *r, const char *label, char *out, size_t size);
