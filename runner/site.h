/* What people said: reads of site.db, which is webui's. It may not exist yet; each call tries to
 * open it then. Copies are handed out: nothing here points into the database. */
#pragma once

#include "common/err.h"
#include "common/headers.h"
#include "common/space_limits.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct runner;

struct site_space {
    uint64_t id;
    char owner[97], name[97];
    char label[64];
    uint64_t version_id;     /* 0: nothing was submitted */
    uint64_t sleep_after_ms; /* the configuration's where the Space has none of its own */
    bool deleted;
    bool is_private; /* only who may read its owner's sees it */
};

struct version {
    uint64_t id; /* 0: none */
    char sha[65];
    char title[200], emoji[32], sdk[32];
    char app_file[1024], base_path[512];
    uint32_t port;
    uint64_t start_timeout_ms;
    bool no_embedding;
    uint8_t headers[HEADER_COUNT]; /* headers.h */
};

struct site_command {
    uint64_t id, space_id, version_id;
    char verb[32];
};

/* 1 found, 0 no such one, negative errno where site.db cannot be read. */
int site_space(struct runner *r, uint64_t id, struct site_space *ret, struct err *err);
int site_space_id(struct runner *r, const char *label, uint64_t *ret_id, struct err *err);
/* A Space that is not private had that label, and has another now. */
bool site_label_moved(struct runner *r, const char *label);
int site_version(struct runner *r, uint64_t space_id, uint64_t version_id, struct version *ret,
                 struct err *err);
/* The whole front matter of a version, as JSON. */
int site_card(struct runner *r, uint64_t space_id, uint64_t version_id, struct buf *ret,
              struct err *err);
/* The configuration's limits, with those that the Space has of its own: 0, or a negative errno
 * where site.db cannot be read. */
int site_limits(struct runner *r, uint64_t space_id, struct space_limits *ret, struct err *err);
/* How many GPUs its hardware has: 0, or as above. */
int site_gpus(struct runner *r, uint64_t space_id, unsigned *ret, struct err *err);
/* Calls `each` for every secret (its value sealed), or every variable, of the Space, by name; what
 * is not 0 ends it and is returned. */
int site_env_each(struct runner *r, uint64_t space_id, bool secrets,
                  int (*each)(void *arg, const char *name, const char *value, struct err *err),
                  void *arg, struct err *err);
/* The first command after `after`. */
int site_command_after(struct runner *r, uint64_t after, struct site_command *ret, struct err *err);
