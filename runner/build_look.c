/* What a version has of what it needs. */
#include "runner/build.h"

#include "runner/build_env.h"
#include "runner/build_own.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/runner.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_there(const struct runner *r, uint64_t space_id, const char *sha, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof(path), "%s/versions/%" PRIu64 "/%s/%s", r->data, space_id, sha,
                    name) < (int)sizeof(path) &&
           lstat(path, &st) == 0;
}

bool build_is_whole(struct runner *r, const char *key)
{
    return life_env_known(r, key) && env_is_there(r, key);
}

/* Nobody has to look inside: its SDK brings nothing, and there is no file that asks for anything.
 */
static bool asks_for_nothing(struct runner *r, uint64_t space_id, const struct version *v)
{
    if (strcmp(v->sdk, "static") == 0)
        return !build_card_asks(r, space_id, v);
    if (is_there(r, space_id, v->sha, "packages.txt"))
        return false;
    if (strcmp(v->sdk, "node") == 0)
        return !is_there(r, space_id, v->sha, "package.json") && !build_card_asks(r, space_id, v);
    return (strcmp(v->sdk, "python") == 0 || strcmp(v->sdk, "command") == 0) &&
           !is_there(r, space_id, v->sha, "requirements.txt") &&
           !is_there(r, space_id, v->sha, "pre-requirements.txt") &&
           !build_card_asks(r, space_id, v);
}

enum build_state build_look(struct runner *r, uint64_t space_id, const struct version *v,
                            char env[65], char layer[65], char models[65])
{
    env[0] = layer[0] = models[0] = 0;
    if (asks_for_nothing(r, space_id, v))
        return BUILD_NO_ENV;
    if (life_build_env(r, space_id, v->id, env, NULL) != 1)
        return BUILD_MISSING;
    if (life_build_layer(r, space_id, v->id, layer, NULL) != 1 ||
        (layer[0] && !build_is_whole(r, layer)) ||
        life_build_models(r, space_id, v->id, models, NULL) != 1 ||
        (models[0] && !build_is_whole(r, models)))
        return BUILD_MISSING;
    if (!env[0])
        return BUILD_NO_ENV;
    return build_is_whole(r, env) ? BUILD_HAS_ENV : BUILD_MISSING;
}
