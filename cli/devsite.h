/* What `vitrine dev` tells the runner that builds for it, by rows of a site.db as webui's: each
 * folder is a Space of the owner `local`, each look at it a version. And what the runner wrote down
 * of that. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define DEVSITE_KEY 65

/* What a build led to: keys of DATA/envs (common/built.h), "" for none. */
struct devsite_result {
    char env[DEVSITE_KEY], layer[DEVSITE_KEY], models[DEVSITE_KEY];
    uint32_t uid_index; /* of the Space, as vitrine-sandbox takes it */
};

struct devsite;

int devsite_open(struct devsite **ret, const char *data, struct err *err);
void devsite_close(struct devsite *s); /* NULL is fine */

/* Before the runner starts: nothing that an earlier one was in the midst of is gone on with, and
 * folders that nobody has run for `keep_ms` are forgotten. */
int devsite_tidy(struct devsite *s, uint64_t keep_ms, struct err *err);

struct devsite_ids {
    int64_t space, version, command;
};
/* The folder's Space is to be built as `sha` (of its tree) and `record` (job/record.h) say. */
int devsite_deploy(struct devsite *s, const char *folder, const char *sha, const json_t *record,
                   struct devsite_ids *ret, struct err *err);
int devsite_stop(struct devsite *s, int64_t space, struct err *err);

int devsite_result(struct devsite *s, const struct devsite_ids *ids, struct devsite_result *ret,
                   struct err *err);
/* The reason of its stage, or "". */
void devsite_reason(struct devsite *s, int64_t space, char *out, size_t size);
/* Whether Python files of an environment are still to be compiled. */
bool devsite_compiles(struct devsite *s);
