/* Who may see a Space, on the side of the site: its visibility, and visits of private ones. */
#pragma once

#include "common/err.h"
#include "webui/app.h"
#include "webui/site.h"

struct proto_token_ask;

/* public, private or protected: -EINVAL for anything else. The gateway knows it when this returns,
 * but for -ETIMEDOUT, where it hears of it later. */
int visibility_set(struct app *app, const struct space *space, const char *visibility,
                   struct err *err);
/* What a request's body says of it: "visibility", or else "private", as Hugging Face has both. NULL
 * where neither is there. */
const char *visibility_of(const json_t *body);
/* What the gateway asks of the site by way of the runner: may that token's holder see the Space? */
bool visits_may(struct app *app, const struct proto_token_ask *ask);
