/* What huggingface_hub calls a repository: making, deleting, moving a Space, and what it is set to.
 * The names come in the body, so the handlers ask auth_may themselves. */
#include "webui/api.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/body.h"
#include "webui/community.h"
#include "webui/duplicate.h"
#include "webui/env.h"
#include "webui/hardware.h"
#include "webui/owners.h"
#include "webui/reach.h"
#include "webui/submit.h"
#include "webui/visits.h"
#include "webui/upload.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SLEEP_MAX_S (10LL * 366 * 24 * 3600)

/* Only what a Space is. */
static bool is_space(struct req *r, const json_t *body, enum MHD_Result *answer)
{
    const char *type = body_text(body, "type");
    if (strcmp(type, "space") == 0)
        return true;
    *answer = req_error(r, 400, "there are Spaces here, and no repositories of type \"%.20s\"",
                        *type ? type : "model");
    return false;
}

/* The names become the request's, as if they had been in its path. */
static bool take_names(struct req *r, const char *owner, const char *name, enum MHD_Result *answer)
{
    char why[256];
    if (snprintf(r->owner, sizeof r->owner, "%s", *owner ? owner : auth_name(r)) >=
            (int)sizeof r->owner ||
        snprintf(r->name, sizeof r->name, "%s", name) >= (int)sizeof r->name) {
        *answer = req_error(r, 400, "a name has at most 96 characters");
        return false;
    }
    if (auth_may(r, r->owner, MAY_WRITE))
        return true;
    auth_why_not(r, r->owner, MAY_WRITE, why, sizeof why);
    *answer = req_error(r, 403, "%s", why);
    return false;
}

/* "owner/name" in two. */
static bool split(const char *full, char owner[128], char name[128])
{
    const char *slash = strchr(full, '/');
    return slash && slash != full && !strchr(slash + 1, '/') && slash - full < 128 &&
           snprintf(owner, 128, "%.*s", (int)(slash - full), full) > 0 &&
           snprintf(name, 128, "%s", slash + 1) < 128 && *name;
}

static enum MHD_Result made(struct req *r, unsigned status, const struct space *space,
                            const char *error)
{
    char page[URL_MAX];
    urls_page(&r->app->urls, space->owner, space->name, page);
    json_t *o = json_pack("{s:s, s:s, s:s}", "url", page, "name", space->full, "id", space->full);
    if (error)
        json_object_set_new(o, "error", json_string(error));
    return req_json(r, status, o);
}

static bool sleep_of(const json_t *seconds, int64_t *ret_ms)
{
    int64_t s = json_integer_value(seconds);
    if (!json_is_integer(seconds) || s == 0 || s < -1 || s > SLEEP_MAX_S)
        return false;
    *ret_ms = s < 0 ? -1 : s * 1000;
    return true;
}

struct set_up {
    const json_t *body;
    const struct space *from; /* whose variables it gets as well; NULL: none's */
};

/* What else the request for a new Space says. */
static int set_up(void *arg, struct app *app, const struct space *space, struct err *err)
{
    const struct set_up *with = arg;
    const json_t *body = with->body, *seconds = json_object_get(body, "sleepTimeSeconds");
    const char *visibility = visibility_of(body);
    int64_t sleep_ms;
    int r = visibility ? visibility_set(app, space, visibility, err) : 0;
    if (r == 0 && with->from)
        r = env_copy(app, with->from->id, space->id, json_object_get(body, "secrets"), err);
    if (r == 0)
        r = env_set_all(app, space->id, json_object_get(body, "secrets"),
                        json_object_get(body, "variables"), err);
    const char *hardware = body_text(body, "hardware");
    if (r == 0 && *hardware)
        r = hardware_check(app, hardware, err);
    if (r == 0 && *hardware)
        r = site_set_hardware(app->site, space->id, hardware, err);
    if (r == 0 && json_array_size(json_object_get(body, "volumes")))
        return err_set(err, EINVAL, "%s", API_NO_VOLUMES);
    if (r < 0 || !seconds || json_is_null(seconds))
        return r;
    if (!sleep_of(seconds, &sleep_ms))
        return err_set(err, EINVAL, "sleepTimeSeconds is a number of seconds, or -1");
    return site_set_sleep(app->site, space->id, sleep_ms, err);
}

/* The first commit, as the client expects it: a card that names the SDK. */
static int first_commit(struct req *r, const struct space *space, const char *sdk, struct err *err)
{
    char card[512], base64[1024];
    snprintf(card, sizeof card, "---\ntitle: %s\nsdk: %s\n---\n", space->name, sdk);
    sodium_bin2base64(base64, sizeof base64, (const unsigned char *)card, strlen(card),
                      sodium_base64_VARIANT_ORIGINAL);
    _cleanup_buf_ struct buf body = BUF_INIT(4096);
    _cleanup_close_ int fd = upload_tmpfile(r->app, err);
    if (fd < 0)
        return fd;
    int res = buf_printf(&body,
                         "{\"key\":\"header\",\"value\":{\"summary\":\"initial commit\"}}\n"
                         "{\"key\":\"file\",\"value\":{\"path\":\"README.md\",\"encoding\":"
                         "\"base64\",\"content\":\"%s\"}}\n",
                         base64);
    if (res < 0 || (res = write_all(fd, body.data, body.len)) < 0)
        return upload_write_failed(-res, err);
    struct submit_result result;
    return submit_commit(r->app, space, fd, "main", auth_name(r), &result, err);
}

static bool is_sdk(const char *sdk)
{
    return *sdk && strspn(sdk, "abcdefghijklmnopqrstuvwxyz") == strlen(sdk) && strlen(sdk) < 16;
}

enum MHD_Result api_repo_create(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct space space;
    if (!body_object(r, &body, &answer) || !is_space(r, body, &answer) ||
        !take_names(r, body_text(body, "organization"), body_text(body, "name"), &answer))
        return answer;
    const char *sdk = body_text(body, "sdk");
    if (*sdk && !is_sdk(sdk))
        return req_error(r, 400, "\"%.20s\" is no SDK: static, gradio, streamlit, ...", sdk);
    int res = submit_create(r->app, r->owner, r->name, set_up, &(struct set_up){.body = body},
                            &space, &err);
    if (res == -EEXIST && *space.full)
        return made(r, 409, &space, err.msg);
    if (res == 0 && is_sdk(sdk) && (res = first_commit(r, &space, sdk, &err)) < 0) {
        struct err later = {0};
        (void)submit_delete(r->app, &space, &later);
    }
    return res < 0 ? req_fail(r, &err) : made(r, 200, &space, NULL);
}

enum MHD_Result api_space_duplicate(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct space space;
    struct view v;
    char owner[128], name[128];
    if (!reach_files(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    if (!split(body_text(body, "repository"), owner, name))
        return req_error(r, 400, "\"repository\" is a name like OWNER/NAME");
    if (!take_names(r, owner, name, &answer))
        return answer;
    int res = submit_create(r->app, owner, name, set_up,
                            &(struct set_up){.body = body, .from = &v.space}, &space, &err);
    if (res == -EEXIST && *space.full)
        return made(r, 409, &space, err.msg);
    if (res == 0 && (res = duplicate_files(r->app, &v.space, &space, auth_name(r), &err)) < 0) {
        struct err later = {0};
        (void)submit_delete(r->app, &space, &later);
    }
    return res < 0 ? req_fail(r, &err) : made(r, 200, &space, NULL);
}

enum MHD_Result api_repo_delete(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    if (!body_object(r, &body, &answer) || !is_space(r, body, &answer) ||
        !take_names(r, body_text(body, "organization"), body_text(body, "name"), &answer))
        return answer;
    return api_space_delete(r);
}

enum MHD_Result api_repo_move(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct space space;
    char owner[128], name[128], to_owner[128], to_name[128];
    if (!body_object(r, &body, &answer) || !is_space(r, body, &answer))
        return answer;
    if (!split(body_text(body, "fromRepo"), owner, name) ||
        !split(body_text(body, "toRepo"), to_owner, to_name))
        return req_error(r, 400, "fromRepo and toRepo are names like OWNER/NAME");
    struct view v;
    if (!take_names(r, to_owner, to_name, &answer) || !take_names(r, owner, name, &answer) ||
        !reach_space(r, &v, &answer))
        return answer;
    if (submit_move(r->app, owner, name, to_owner, to_name, &err) < 0)
        return req_fail(r, &err);
    int found = site_find(r->app->site, to_owner, to_name, &space, &err);
    return found == 1  ? made(r, 200, &space, NULL)
           : found < 0 ? req_fail(r, &err)
                       : req_error(r, 404, "%s/%s was deleted meanwhile", to_owner, to_name);
}

enum MHD_Result api_space_sleep(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    int64_t sleep_ms;
    if (!reach_space(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    if (!sleep_of(json_object_get(body, "seconds"), &sleep_ms))
        return req_error(r, 400, "\"seconds\" is a number above 0, or -1 for never");
    if (site_set_sleep(r->app->site, v.space.id, sleep_ms, &err) < 0 ||
        submit_command(r->app, &v.space, "refresh", &err) < 0)
        return req_fail(r, &err);
    return api_space_runtime(r);
}

enum MHD_Result api_space_like(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    if (r->auth != AUTH_USER)
        return req_error(r, 400, "only users like Spaces: send a user's token");
    if (community_like(r->app->site, v.space.id, r->token.user_id, strcmp(r->method, "POST") == 0,
                       &err) < 0)
        return req_fail(r, &err);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

enum MHD_Result api_space_likers(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    json_t *likers = community_likers(r->app->site, v.space.id, &err);
    return likers ? req_json(r, 200, likers) : req_fail(r, &err);
}

/* GET /api/users/USER/likes */
enum MHD_Result api_user_likes(struct req *r)
{
    struct err err = {0};
    json_t *found = owners_json(r->app->site, r->owner, &err);
    if (!found)
        return req_fail(r, &err);
    const char *type = json_string_value(json_object_get(json_array_get(found, 0), "type"));
    bool is_user = type && strcmp(type, "user") == 0;
    json_decref(found);
    if (!is_user)
        return req_error(r, 404, "there is no user \"%s\"", r->owner);
    json_t *liked = community_liked(r->app->site, r->owner, &err);
    if (!liked)
        return req_fail(r, &err);
    for (size_t i = json_array_size(liked); i-- > 0;) {
        json_t *o = json_array_get(liked, i);
        if (strcmp(body_text(o, "visibility"), "private") == 0 &&
            !auth_may(r, body_text(o, "owner"), MAY_READ)) {
            json_array_remove(liked, i);
            continue;
        }
        json_object_del(o, "visibility");
        json_object_del(o, "owner");
    }
    return req_json(r, 200, liked);
}
