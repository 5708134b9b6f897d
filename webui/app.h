/* What the parts of the site share: one struct, made by main and passed to everything. */
#pragma once

#include "common/conf.h"
#include "common/keys.h"
#include "webui/urls.h"

#include <stdatomic.h>
#include <stdbool.h>

struct auth;
struct hub;
struct life;
struct link;
struct resume_store;
struct locks;
struct site;
struct stats;
struct thumbnails;

struct app {
    const struct conf *conf;
    struct urls urls;
    struct site *site;   /* site.db, ours */
    struct life *life;   /* life.db, the runner's */
    struct link *link;   /* the socket to the runner */
    struct hub *hub;     /* who looks at what, and must be told of changes */
    struct stats *stats; /* last numbers of each worker */
    struct auth *auth;
    struct resume_store *resume; /* uploads that come in several requests */
    struct thumbnails *thumbnails;
    struct locks *locks;                     /* one submission at a time for each Space */
    unsigned char box_pub[KEYS_BOX];         /* secrets are sealed to it */
    unsigned char visit_key[KEYS_VISIT_KEY]; /* signs visits of private Spaces */
    int uploads_fd; /* the folder DATA/uploads, where bodies are kept in nameless files */
    atomic_bool stopping;
    atomic_int streams; /* event streams that are open */
};
