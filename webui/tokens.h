/* Tokens of users: 256 random bits, of which only the SHA-256 is kept. */
#pragma once

#include "common/err.h"
#include "webui/owners.h"

#define TOKEN_PREFIX "vt_"
#define TOKEN_SIZE (sizeof TOKEN_PREFIX + 64) /* with the NUL */

struct token {
    int64_t id, user_id;
    char user[97], name[97];
    enum right right; /* the most that it may do */
};

/* Puts the new token into `out`: nobody can read it again. `expires_ms` 0: never. -ENOENT where
 * there is no such user, -EINVAL for an organisation or a name that is too long. */
int tokens_add(struct site *s, const char *user, const char *name, enum right right,
               int64_t expires_ms, char out[TOKEN_SIZE], int64_t *ret_id, struct err *err);
/* 1 where that is a token that holds (and was used now), 0 not, or negative errno. */
int tokens_find(struct site *s, const char *secret, struct token *ret, struct err *err);
/* -ENOENT where there is none of that number. */
int tokens_revoke(struct site *s, int64_t id, struct err *err);

/* [{id, user, name, role, createdAt, lastUsedAt, expiresAt}]; `user` NULL: of all. NULL with err.
 */
json_t *tokens_json(struct site *s, const char *user, struct err *err);
