/* `vitrine user add | list | delete | member`: who may have Spaces. */
#include "cmd.h"
#include "options.h"

#include "common/util.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct options {
    bool org, json;
    const char *role;
};

static int add(struct client *c, const char *name, const struct options *o, json_t **ret,
               struct err *err)
{
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s}", "name", name, "type", o->org ? "org" : "user");
    int r = client_call(c, "POST", "/api/admin/users", body, ret, err);
    if (r == 0 && !o->json)
        printf("%s\n", json_str(*ret, "name"));
    return r;
}

static void print_members(const json_t *user)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(user, "members"), i, m)
        printf("%s%s=%s", i ? " " : "", json_str(m, "user"), json_str(m, "role"));
    printf("\n");
}

static int list(struct client *c, const struct options *o, json_t **ret, struct err *err)
{
    size_t i;
    json_t *u;
    int r = client_get(c, "/api/admin/users", ret, err);
    if (r < 0 || o->json)
        return r;
    printf("%-24s %-5s %6s %6s  %s\n", "NAME", "TYPE", "SPACES", "TOKENS", "MEMBERS");
    json_array_foreach(json_object_get(*ret, "users"), i, u)
    {
        printf("%-24s %-5s %6lld %6lld  ", json_str(u, "name"), json_str(u, "type"),
               (long long)json_integer_value(json_object_get(u, "spaces")),
               (long long)json_integer_value(json_object_get(u, "tokens")));
        print_members(u);
    }
    return 0;
}

static int delete (struct client *c, const char *name, const struct options *o, json_t **ret,
                   struct err *err)
{
    char path[200];
    snprintf(path, sizeof path, "/api/admin/users/%s", name);
    int r = client_call(c, "DELETE", path, NULL, ret, err);
    if (r == 0 && !o->json)
        printf("%s deleted\n", name);
    return r;
}

static int member(struct client *c, const char *org, const char *name, const struct options *o,
                  json_t **ret, struct err *err)
{
    char path[300];
    bool out = strcmp(o->role, "none") == 0;
    _cleanup_json_ json_t *body = out ? NULL : json_pack("{s:s}", "role", o->role);
    snprintf(path, sizeof path, "/api/organizations/%s/members/%s", org, name);
    int r = client_call(c, out ? "DELETE" : "PUT", path, body, ret, err);
    if (r == 0 && !o->json) {
        printf("%s: ", org);
        print_members(*ret);
    }
    return r;
}

int cmd_user(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"org", no_argument, NULL, 'o'},
                                          {"role", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    struct options opt = {0};
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'r')
            opt.role = optarg;
        else
            *(o == 'j' ? &opt.json : &opt.org) = true;
    }
    char **args = argv + optind;
    int n = argc - optind, r = 0;
    const char *what = n ? args[0] : "";
    int wants = strcmp(what, "list") == 0                                 ? 1
                : strcmp(what, "add") == 0 || strcmp(what, "delete") == 0 ? 2
                : strcmp(what, "member") == 0                             ? 3
                                                                          : 0;
    if (!wants)
        return cmd_usage(argv[0], "say add, list, delete or member");
    if (n != wants)
        return cmd_usage(argv[0], "%s takes %d name%s", what, wants - 1, wants == 2 ? "" : "s");
    if ((wants == 3) != (opt.role != NULL))
        return cmd_usage(argv[0], wants == 3 ? "member needs --role" : "--role is for member");
    if (opt.org && strcmp(what, "add") != 0)
        return cmd_usage(argv[0], "--org is for add");
    for (int i = 1; r == 0 && i < n; i++)
        r = name_check(args[i], "name", &err);
    if (r == 0)
        r = client_open(&c, &err);
    if (r == 0)
        r = wants == 1                 ? list(c, &opt, &answer, &err)
            : wants == 3               ? member(c, args[1], args[2], &opt, &answer, &err)
            : strcmp(what, "add") == 0 ? add(c, args[1], &opt, &answer, &err)
                                       : delete (c, args[1], &opt, &answer, &err);
    return options_end(argv[0], r, opt.json, answer, &err);
}
