/* Users and organisations: the owners of Spaces, in one namespace of names, letters' case aside.
 *
 * A namespace may have Spaces without being in here: those that the operator submitted under that
 * name. A user or organisation that gets the name later has them from then on. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct site;

/* What somebody may do with the Spaces of a namespace; each includes those before it. */
enum right {
    MAY_NOTHING,
    MAY_READ,  /* private ones too, and logs */
    MAY_WRITE, /* make, change, delete them */
    MAY_ADMIN, /* say who else may */
};
const char *right_name(enum right r); /* "read", "write", "admin"; "none" */
/* False where it is none of read, write, admin. */
bool right_parse(const char *name, enum right *ret);

/* The name under which the holder of the admin token is known: nobody else gets it. */
#define OPERATOR_NAME "admin"

struct owner {
    int64_t id;
    char name[97];
    bool is_org;
};

/* -EINVAL a name that cannot be, -EEXIST one that is taken. */
int owners_add(struct site *s, const char *name, bool is_org, struct err *err);
/* 1, 0 where there is none, or negative errno. */
int owners_find(struct site *s, const char *name, struct owner *ret, struct err *err);
/* With its tokens and memberships. -ENOENT, -EBUSY while it has Spaces. */
int owners_delete(struct site *s, const char *name, struct err *err);

/* MAY_NOTHING takes the member away. -ENOENT where one of them is not there, -EINVAL where they are
 * not an organisation and a user. */
int owners_set_member(struct site *s, const char *org, const char *user, enum right right,
                      struct err *err);
/* What the user may do in that namespace: all in their own, their role's in an organisation. */
int owners_right(struct site *s, int64_t user_id, const char *owner, enum right *ret,
                 struct err *err);

/* [{name, type: "user"|"org", createdAt, spaces, tokens, members: [{user, role}]}], by name; with
 * `only` that one alone. NULL with err. */
json_t *owners_json(struct site *s, const char *only, struct err *err);
/* What huggingface_hub calls an overview: {user or name, type, fullname, numSpaces, ...}. `all`:
 * what is private of them counts, too. NULL with err: -ENOENT where there is none. */
json_t *owners_overview(struct site *s, const char *name, bool all, struct err *err);
/* [{name, roleInOrg}] of the organisations where the user is a member. NULL with err. */
json_t *owners_orgs_json(struct site *s, int64_t user_id, struct err *err);
