/* Who asks, and what they may do: the one place where that is decided.
 *
 * The operator (the admin token, or a session that began with it or with a one-time link) may do
 * everything, in every namespace. A user has tokens: one may what its user may in that namespace
 * (owners.h), but no more than its own role. Each route says what it takes (http.h), auth_check
 * asks for it before a byte of the body is read; a handler whose namespace comes in the body asks
 * auth_may itself. */
#pragma once

#include "common/err.h"
#include "webui/tokens.h"

#include <stdbool.h>
#include <stddef.h>

struct app;
struct auth;
struct req;
struct site;

enum auth_kind {
    AUTH_NONE,
    AUTH_WRONG,   /* a token that is not one of ours */
    AUTH_BLOCKED, /* a token, which is not looked at: there were too many wrong ones */
    AUTH_TOKEN,   /* the admin token */
    AUTH_SESSION, /* the operator's */
    AUTH_USER,    /* a user's token: req->token */
};

#define AUTH_COOKIE "__Host-vitrine"

/* Reads the token's file once. */
int auth_new(struct auth **ret, struct site *site, const char *token_path, struct err *err);
void auth_free(struct auth *a);

/* Finds out who asks (req->auth, req->token) and whether they may use the request's route: 0, or
 * the status of the refusal with its sentence in `msg`. */
unsigned auth_check(struct req *r, char *msg, size_t size);

/* Asked again of a request that is being answered for long: may it still? Counts no failure. */
bool auth_still(struct req *r);

static inline bool auth_is_admin(enum auth_kind k)
{
    return k == AUTH_TOKEN || k == AUTH_SESSION;
}

/* May who asks do that with the Spaces of `owner`? What everybody may is not asked here. */
bool auth_may(struct req *r, const char *owner, enum right right);
/* Why not, as a sentence. */
void auth_why_not(struct req *r, const char *owner, enum right right, char *msg, size_t size);
/* The same for a token that came another way (the gateway's, for a private Space): 1 yes, 0 no, or
 * negative errno. Counts no failures. */
int auth_token_may(struct app *app, const char *token, const char *owner, enum right right,
                   struct err *err);
/* The namespace of who asks: the user's name, OPERATOR_NAME, or "". */
const char *auth_name(const struct req *r);

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
