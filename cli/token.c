/* `vitrine token new | list | revoke`: with what users prove themselves. */
#include "cmd.h"
#include "options.h"

#include "common/util.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool json;
    const char *role, *name, *days;
};

/* Alone on stdout, so that a script can take it. */
static int new (struct client *c, const char *user, const struct options *o, json_t **ret,
                struct err *err)
{
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s, s:s, s:I}", "user", user, "role", o->role, "name",
                  o->name ? o->name : "", "days", (json_int_t)(o->days ? atoll(o->days) : 0));
    int r = client_call(c, "POST", "/api/admin/tokens", body, ret, err);
    if (r == 0 && !o->json)
        printf("%s\n", json_str(*ret, "token"));
    return r;
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static int list(struct client *c, const char *user, const struct options *o, json_t **ret,
                struct err *err)
{
    char path[200];
    size_t i;
    json_t *t;
    snprintf(path, sizeof path, "/api/admin/tokens%s%s", user ? "?user=" : "", user ? user : "");
    int r = client_get(c, path, ret, err);
    if (r < 0 || o->json)
        return r;
    printf("%-6s %-20s %-6s %-20s %-24s %-24s %s\n", "ID", "USER", "ROLE", "NAME", "CREATED",
           "LAST USED", "EXPIRES");
    json_array_foreach(json_object_get(*ret, "tokens"), i, t)
        printf("%-6lld %-20s %-6s %-20s %-24s %-24s %s\n",
               (long long)json_integer_value(json_object_get(t, "id")), json_str(t, "user"),
               json_str(t, "role"), json_str(t, "name"), json_str(t, "createdAt"),
               or_dash(json_str(t, "lastUsedAt")), or_dash(json_str(t, "expiresAt")));
    return 0;
}

static int end(struct client *c, const char *id, const struct options *o, json_t **ret,
               struct err *err)
{
    char path[100];
    snprintf(path, sizeof path, "/api/admin/tokens/%s", id);
    int r = client_call(c, "DELETE", path, NULL, ret, err);
    if (r == 0 && !o->json)
        printf("token %s revoked\n", id);
    return r;
}

static bool is_number(const char *text)
{
    size_t len = strlen(text);
    return len && len <= 18 && strspn(text, "0123456789") == len;
}

int cmd_token(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"role", required_argument, NULL, 'r'},
                                          {"name", required_argument, NULL, 'n'},
                                          {"days", required_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    struct options opt = {0};
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'j')
            opt.json = true;
        else
            *(o == 'r' ? &opt.role : o == 'n' ? &opt.name : &opt.days) = optarg;
    }
    char **args = argv + optind;
    int n = argc - optind, r = 0;
    const char *what = n ? args[0] : "", *arg = n > 1 ? args[1] : NULL;
    bool is_new = strcmp(what, "new") == 0, is_list = strcmp(what, "list") == 0;
    if (!is_new && !is_list && strcmp(what, "revoke") != 0)
        return cmd_usage(argv[0], "say new, list or revoke");
    if (n > 2 || (!arg && !is_list))
        return cmd_usage(argv[0], "%s takes one %s", what,
                         is_new || is_list ? "user's name" : "token's number");
    if (is_new != (opt.role != NULL) || (!is_new && (opt.name || opt.days)))
        return cmd_usage(argv[0], is_new ? "new needs --role read|write|admin"
                                         : "--role, --name and --days are for new");
    if (opt.days && (!is_number(opt.days) || atoll(opt.days) < 1))
        return cmd_usage(argv[0], "--days needs a number above 0");
    if (!is_new && !is_list && !is_number(arg))
        return cmd_usage(argv[0], "\"%s\" is no token's number: `vitrine token list` shows them",
                         arg);
    if ((is_new || is_list) && arg)
        r = name_check(arg, "user's name", &err);
    if (r == 0)
        r = client_open(&c, &err);
    if (r == 0)
        r = is_new    ? new (c, arg, &opt, &answer, &err)
            : is_list ? list(c, arg, &opt, &answer, &err)
                      : end(c, arg, &opt, &answer, &err);
    return options_end(argv[0], r, opt.json, answer, &err);
}
