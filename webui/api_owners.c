/* Users, organisations, members, tokens, and "who am I". */
#include "webui/api.h"

#include "common/util.h"
#include "webui/body.h"
#include "webui/owners.h"
#include "webui/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (24 * 3600000LL)
#define DAYS_MAX 36500

enum MHD_Result api_whoami(struct req *r)
{
    struct err err = {0};
    bool user = r->auth == AUTH_USER;
    json_t *orgs = user ? owners_orgs_json(r->app->site, r->token.user_id, &err) : json_array();
    if (!orgs)
        return req_fail(r, &err);
    const char *name = auth_name(r);
    return req_json(r, 200,
                    json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:{s:s, s:{s:s, s:s}}}", "type",
                              "user", "id", name, "name", name, "fullname", name, "isPro", 0,
                              "orgs", orgs, "auth", "type", "access_token", "accessToken",
                              "displayName", user ? r->token.name : "admin token", "role",
                              user ? right_name(r->token.right) : "write"));
}

enum MHD_Result api_admin_users(struct req *r)
{
    struct err err = {0};
    json_t *users = owners_json(r->app->site, NULL, &err);
    return users ? req_json(r, 200, json_pack("{s:o}", "users", users)) : req_fail(r, &err);
}

static enum MHD_Result answer_owner(struct req *r, const char *name)
{
    struct err err = {0};
    json_t *found = owners_json(r->app->site, name, &err);
    if (!found)
        return req_fail(r, &err);
    json_t *one = json_incref(json_array_get(found, 0));
    json_decref(found);
    return one ? req_json(r, 200, one)
               : req_error(r, 404, "there is no user or organisation \"%s\"", name);
}

enum MHD_Result api_admin_user_add(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    if (!body_object(r, &body, &answer))
        return answer;
    const char *name = body_text(body, "name"), *type = body_text(body, "type");
    bool is_org = strcmp(type, "org") == 0;
    if (!is_org && *type && strcmp(type, "user") != 0)
        return req_error(r, 400, "the type \"%.40s\" is neither user nor org", type);
    if (owners_add(r->app->site, name, is_org, &err) < 0)
        return req_fail(r, &err);
    return answer_owner(r, name);
}

enum MHD_Result api_admin_user_delete(struct req *r)
{
    struct err err = {0};
    if (owners_delete(r->app->site, r->name, &err) < 0)
        return req_fail(r, &err);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

enum MHD_Result api_members(struct req *r)
{
    return answer_owner(r, r->owner);
}

enum MHD_Result api_member_set(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    enum right right = MAY_NOTHING;
    if (!body_object(r, &body, &answer))
        return answer;
    const char *role = body_text(body, "role");
    if (strcmp(r->method, "PUT") == 0 && !right_parse(role, &right))
        return req_error(r, 400, "the role \"%.40s\" is none of read, write, admin", role);
    if (owners_set_member(r->app->site, r->owner, r->name, right, &err) < 0)
        return req_fail(r, &err);
    return answer_owner(r, r->owner);
}

enum MHD_Result api_admin_tokens(struct req *r)
{
    struct err err = {0};
    json_t *tokens = tokens_json(r->app->site, req_query(r, "user"), &err);
    return tokens ? req_json(r, 200, json_pack("{s:o}", "tokens", tokens)) : req_fail(r, &err);
}

enum MHD_Result api_admin_token_new(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    enum right right;
    if (!body_object(r, &body, &answer))
        return answer;
    const char *role = body_text(body, "role"), *user = body_text(body, "user");
    const char *name = body_text(body, "name");
    const json_t *limit = json_object_get(body, "days");
    json_int_t days = json_integer_value(limit);
    if (!right_parse(role, &right))
        return req_error(r, 400, "the role \"%.40s\" is none of read, write, admin", role);
    /* "30" is no number: taken for 0 it would be a token without an end */
    if ((limit && !json_is_null(limit) && !json_is_integer(limit)) || days < 0 || days > DAYS_MAX)
        return req_error(r, 400, "\"days\" is a number of 1 to %d, or 0 for a token without an end",
                         DAYS_MAX);
    char secret[TOKEN_SIZE];
    int64_t id, expires = days ? (int64_t)now_ms() + days * DAY_MS : 0;
    if (tokens_add(r->app->site, user, *name ? name : "token", right, expires, secret, &id, &err) <
        0)
        return req_fail(r, &err);
    return req_json(r, 200,
                    json_pack("{s:I, s:s, s:s, s:s, s:s}", "id", (json_int_t)id, "user", user,
                              "name", *name ? name : "token", "role", role, "token", secret));
}

enum MHD_Result api_admin_token_revoke(struct req *r)
{
    struct err err = {0};
    char *end;
    long long id = strtoll(r->what, &end, 10);
    if (*end)
        return req_error(r, 400, "\"%s\" is no token's number: `vitrine token list` shows them",
                         r->what);
    if (tokens_revoke(r->app->site, id, &err) < 0)
        return req_fail(r, &err);
    return req_json(r, 200, json_pack("{s:b}", "ok", 1));
}

/* GET /api/users/NAME/overview, /api/organizations/NAME/overview */
enum MHD_Result api_overview(struct req *r)
{
    struct err err = {0};
    bool org = strncmp(r->path, "/api/organizations/", 19) == 0;
    json_t *o = owners_overview(r->app->site, r->owner, auth_may(r, r->owner, MAY_READ), &err);
    if (!o)
        return req_fail(r, &err);
    if ((strcmp(json_string_value(json_object_get(o, "type")), "org") == 0) == org)
        return req_json(r, 200, o);
    json_decref(o);
    return req_error(r, 404, "%s is %s", r->owner, org ? "no organisation" : "no user");
}

/* GET /api/organizations/NAME/members: [{user, fullname, type, role}] */
enum MHD_Result api_org_members(struct req *r)
{
    struct err err = {0};
    json_t *found = owners_json(r->app->site, r->owner, &err), *out = json_array(), *m;
    if (!found) {
        json_decref(out);
        return req_fail(r, &err);
    }
    const json_t *one = json_array_get(found, 0);
    bool is_org = one && strcmp(json_string_value(json_object_get(one, "type")), "org") == 0;
    size_t i;
    json_array_foreach(json_object_get(one, "members"), i, m) json_array_append_new(
        out, json_pack("{s:O, s:O, s:s, s:s, s:O}", "user", json_object_get(m, "user"), "fullname",
                       json_object_get(m, "user"), "avatarUrl", "", "type", "user", "role",
                       json_object_get(m, "role")));
    json_decref(found);
    if (is_org)
        return req_json(r, 200, out);
    json_decref(out);
    return req_error(r, 404, "there is no organisation \"%s\"", r->owner);
}
