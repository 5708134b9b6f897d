/* Secrets and variables of a Space: what may be set, and what follows from a change. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/site.h"

#include <jansson.h>
#include <stdbool.h>

/* Checks and stores one; a secret is sealed here. A NULL description keeps the one that is there.
 * `warning` (may be NULL) gets a sentence for who set it, or "". The Space's workers get it from
 * their next start on: env_changed. */
int env_set(struct app *app, int64_t space_id, bool secret, const char *name, const char *value,
            const char *description, char warning[200], struct err *err);
/* -ENOENT where there is none. */
int env_delete(struct app *app, int64_t space_id, bool secret, const char *name, struct err *err);
/* For a new Space: "secrets" and "variables" as Hugging Face's create has them, arrays of {key,
 * value, description?}; NULL is fine. The first that is wrong ends it. */
int env_set_all(struct app *app, int64_t space_id, const json_t *secrets, const json_t *variables,
                struct err *err);
/* {KEY: {description, updatedAt}}, with `value` for variables. NULL with err. */
json_t *env_json(struct app *app, int64_t space_id, bool secrets, struct err *err);

/* The variables of another Space, but for those whose names `secrets` ([{key, value}]) has. */
int env_copy(struct app *app, int64_t from_id, int64_t to_id, const json_t *secrets,
             struct err *err);

/* What its workers are started with has changed: as on Hugging Face a Space that runs, starts or
 * failed is restarted; one that sleeps or was stopped has it at its next start. Where it is a
 * variable and npm or a command of the card makes what is shown, that is built anew, asleep or not.
 * What goes wrong there shows in the Space's stage. */
void env_changed(struct app *app, const struct space *space, bool variable);
