/* Secrets and variables of a Space in site.db. A secret's value comes here sealed. */
#pragma once

#include "common/err.h"
#include "common/space_env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct site;

struct site_env {
    char name[SPACE_ENV_NAME];
    char description[SPACE_ENV_DESCRIPTION];
    char *value; /* of a variable; NULL for a secret */
    int64_t updated_ms;
};

struct site_envs {
    struct site_env *rows;
    size_t n;
};
void site_envs_free(struct site_envs *l);
#define _cleanup_envs_ __attribute__((cleanup(site_envs_free)))

/* All secrets, or all variables, by name. */
int site_env_list(struct site *s, int64_t space_id, bool secrets, struct site_envs *ret,
                  struct err *err);
/* Sets one; `value_len` is that of the value before it was sealed, a NULL description keeps what
 * is there. -EEXIST where the name is one of the other kind, -EINVAL where the Space would have too
 * many or too large ones. */
int site_env_set(struct site *s, int64_t space_id, bool secret, const char *name, const char *value,
                 size_t value_len, const char *description, struct err *err);
/* 1, or 0 where there is none. */
int site_env_delete(struct site *s, int64_t space_id, bool secret, const char *name,
                    struct err *err);
