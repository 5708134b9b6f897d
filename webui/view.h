/* A Space as people see it: what site.db and life.db say together. */
#pragma once

#include "webui/app.h"
#include "webui/life.h"
#include "webui/site.h"
#include "webui/urls.h"

#include <jansson.h>

struct view {
    struct space space;
    struct life_space life;
    char stage[32]; /* never empty */
    char title[256];
    char url[URL_MAX], page[URL_MAX];
    char hardware[33];        /* the flavour that it has */
    unsigned gpus;            /* of that */
    char running_version[65]; /* sha, "" where nothing serves */
    int64_t sleep_after_ms;   /* -1: never */
};

void view_of(struct app *app, const struct space *space, struct view *ret);
/* 1, 0 where there is none, or negative errno. */
int view_find(struct app *app, const char *owner, const char *name, struct view *ret,
              struct err *err);

/* The object of GET /api/spaces/O/N; `card` may be NULL. */
json_t *view_json(const struct view *v, json_t *card);
json_t *view_runtime_json(const struct view *v);

/* How a stage is shown: a word for people, and the badge's CSS class. */
const char *stage_word(const char *stage);
const char *stage_class(const char *stage);
/* Would a visit show the demo (perhaps after waking it)? */
bool stage_shows_demo(const char *stage);
