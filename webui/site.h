/* site.db: Spaces, versions, commands. The site is its one writer; one connection behind a mutex
 * serves all threads. */
#pragma once

#include "common/err.h"
#include "common/space_limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct site;

struct space {
    int64_t id;
    char owner[97], name[97];
    char full[200]; /* "owner/name" */
    char label[64];
    int64_t version_id; /* 0 while nothing was accepted */
    int64_t created_ms, updated_ms, deleted_ms;
    int64_t versions_count;
    int64_t sleep_after_ms; /* 0: the configuration's */
    int64_t likes;
    bool kept; /* it was made before anything was submitted, and stays without */
    /* of the current version; texts cut where they are too long */
    char sha[65], content[65], title[256], emoji[40], color_from[16], color_to[16],
        short_description[300], sdk[16];
    int64_t submitted_ms;
    char visibility[12]; /* public private protected */
    char base_path[512]; /* of the current version */
    char hardware[33];   /* the flavour that was chosen, or else suggested; "" none */
    bool pinned;
    char thumbnail[512]; /* as the card has it */
};

/* Whose eyes a list is for. */
struct site_viewer {
    bool all;        /* the operator */
    int64_t user_id; /* 0: nobody */
};

/* Creates or migrates the database. */
int site_open(struct site **ret, const char *path, struct err *err);
void site_close(struct site *s);

/* 1 found, 0 not, or negative errno. Spaces that are being deleted are found by site_find_any only;
 * so are those whose first submission was not accepted yet, but for kept ones. */
int site_find(struct site *s, const char *owner, const char *name, struct space *ret,
              struct err *err);
int site_find_any(struct site *s, const char *owner, const char *name, struct space *ret,
                  struct err *err);
int site_find_id(struct site *s, int64_t id, struct space *ret, struct err *err);

struct site_list {
    struct space *rows; /* owned: free() */
    size_t n;
    bool more; /* there are others after these */
};
enum site_order { SITE_BY_CHANGE, SITE_BY_CREATION, SITE_BY_LIKES };
struct site_search {
    struct site_viewer viewer;
    const char *text;      /* in owner, name, title, description; NULL: all */
    const char *author;    /* NULL: of all */
    const char *tag;       /* in the card's tags, or the sdk; NULL: all */
    enum site_order order; /* the newest, or the most, first */
    size_t offset, limit;
};
int site_list(struct site *s, const struct site_search *search, struct site_list *ret,
              struct err *err);

/* A row without a version; it is swept up at the next start where it got none, unless it is kept.
 * -EEXIST where no host label is free. */
int site_create(struct site *s, const char *owner, const char *name, int64_t *ret_id,
                struct err *err);
int site_keep(struct site *s, int64_t space_id, struct err *err);
/* Another owner, name and host label. -EEXIST where the name is taken, or no label is free. */
int site_rename(struct site *s, int64_t space_id, const char *owner, const char *name,
                struct err *err);
/* -1: it never sleeps. */
int site_set_sleep(struct site *s, int64_t space_id, int64_t sleep_after_ms, struct err *err);

/* In one transaction: a versions row of the job's record, the Space's current version, the deploy
 * command. `message` says where it came from. */
int site_deploy(struct site *s, int64_t space_id, const json_t *record, const char *message,
                int64_t *ret_command, struct err *err);
/* Back to an earlier version where `sha`'s deploy was refused. */
int site_undo_deploy(struct site *s, int64_t space_id, int64_t previous_version, struct err *err);

int site_command(struct site *s, int64_t space_id, const char *verb, int64_t *ret_id,
                 struct err *err);
/* Marks it deleted and asks for it, in one transaction; asking again gives the same command. */
int site_delete(struct site *s, int64_t space_id, int64_t *ret_command, struct err *err);
struct site_limits {
    struct space_limits own; /* where `has` */
    bool has[LIMIT_COUNT];
};
/* Limits that a Space has of its own. */
int site_limits(struct site *s, int64_t space_id, struct site_limits *ret, struct err *err);
/* Those are its own from now on, and no others. */
int site_set_limits(struct site *s, int64_t space_id, const struct site_limits *l, struct err *err);
/* public private protected; with the command that tells the runner, in one transaction. */
int site_set_visibility(struct site *s, int64_t space_id, const char *visibility,
                        int64_t *ret_command, struct err *err);
/* A flavour's name; "" for the one that the card suggests. */
int site_set_hardware(struct site *s, int64_t space_id, const char *flavour, struct err *err);
/* The Space with that host label: as site_find. */
int site_find_label(struct site *s, const char *label, struct space *ret, struct err *err);
/* The Space that had that name, or (not NULL) that label, before it was moved: 1, 0, negative. */
int site_find_moved(struct site *s, const char *owner, const char *name, const char *label,
                    struct space *ret, struct err *err);
/* After the runner did the delete command. */
int site_remove(struct site *s, int64_t space_id, struct err *err);

struct site_deleted {
    int64_t space_id, command_id; /* command_id 0: none was issued */
};
/* What was left over by an earlier run: marked deleted, or created without ever getting a version.
 * *ret is owned by the caller. */
int site_leftovers(struct site *s, struct site_deleted **ret, size_t *ret_n, struct err *err);

/* A submission begins or ends: what is left begun by an earlier run may have moved main. */
int site_submitting(struct site *s, int64_t space_id, bool begins, struct err *err);
/* The ids of those, owned by the caller. */
int site_half_submitted(struct site *s, int64_t **ret, size_t *ret_n, struct err *err);

/* The version's sha ("" if there is none), its README body and its card as JSON (owned by the
 * caller). */
int site_version_sha(struct site *s, int64_t version_id, char out[65], struct err *err);
int site_version_texts(struct site *s, int64_t version_id, char **ret_readme, char **ret_card,
                       struct err *err);

/* Sessions and login links; `hash` is the SHA-256 of the secret in hex. */
int site_session_add(struct site *s, const char *hash, int64_t expires_ms, struct err *err);
int site_session_valid(struct site *s, const char *hash, struct err *err); /* 1, 0, negative */
int site_session_end(struct site *s, const char *hash, struct err *err);
int site_link_add(struct site *s, const char *hash, struct err *err);
/* 1 where it was there, young enough and unused; it is used from now on. */
int site_link_use(struct site *s, const char *hash, int64_t max_age_ms, struct err *err);
