/* Who asks: the admin token, or a session that began with it or with a one-time link. */
#pragma once

#include "common/err.h"

#include <stdbool.h>

struct auth;
struct req;
struct site;

enum auth_kind {
    AUTH_NONE,
    AUTH_WRONG,   /* a token that is not the right one */
    AUTH_BLOCKED, /* a token, which is not looked at: there were too many wrong ones */
    AUTH_TOKEN,
    AUTH_SESSION,
};

#define AUTH_COOKIE "__Host-vitrine"

/* Reads the token's file once. */
int auth_new(struct auth **ret, struct site *site, const char *token_path, struct err *err);
void auth_free(struct auth *a);

enum auth_kind auth_of(struct req *r);
static inline bool auth_is_admin(enum auth_kind k)
{
    return k == AUTH_TOKEN || k == AUTH_SESSION;
}

/* Does the browser say that the request comes from a page of ours? */
bool auth_same_origin(struct req *r);

/* Compares in constant time. */
bool auth_token_right(struct auth *a, const char *token);

/* Has this visitor's address had so many failures in the last minute that it may not try again?
 * Asked before a secret is looked at. Never true for loopback: that is the operator, or a proxy in
 * front whose visitors would lock one another out. */
bool auth_blocked(struct req *r);
/* Counts a failure of this visitor's address; true where it has had too many in the last minute. */
bool auth_failed_too_often(struct req *r);

/* Begins a session: its cookie goes into the answer. */
int auth_begin(struct req *r, struct err *err);
int auth_end(struct req *r, struct err *err);

/* A new one-time login link's secret (64 hex digits), valid for an hour. */
int auth_link_new(struct auth *a, char out[65], struct err *err);
/* 1 where the secret was good; it is not any more. */
int auth_link_use(struct auth *a, const char *secret, struct err *err);
