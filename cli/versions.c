/* `vitrine versions NAME` and `vitrine rollback NAME VERSION`: what was deployed, and back to it.
 */
#include "cmd.h"
#include "options.h"
#include "follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_versions(const json_t *versions)
{
    size_t i;
    const json_t *v;
    json_array_foreach(versions, i, v)
    {
        printf("%c %4lld  %.12s  %.16s  %s\n",
               json_is_true(json_object_get(v, "current")) ? '*' : ' ',
               (long long)json_integer_value(json_object_get(v, "number")), json_str(v, "sha"),
               json_str(v, "createdAt"), json_str(v, "message"));
    }
}

int cmd_versions(int argc, char **argv)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *versions = NULL;
    struct spacename n;
    struct err err = {0};
    char path[400];
    bool json = false;
    if (options_json(argc, argv, &json) != 0)
        return CMD_USAGE;
    if (argc - optind != 1)
        return cmd_usage(argv[0], "give the name of one Space");
    int r = options_space(argv[optind], &n, &c, &err);
    if (r == 0) {
        snprintf(path, sizeof(path), "%s/versions", n.path);
        r = client_get(c, path, &versions, &err);
    }
    if (r == 0 && !json)
        print_versions(versions);
    return options_end(argv[0], r, json, versions, &err);
}

struct rollback {
    const char *name, *version;
    bool no_wait, json;
};

static int rollback(const struct rollback *o, struct err *err)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    struct spacename n;
    struct progress p;
    char path[400], stage[32] = "";
    int r = spacename_parse(&n, o->name, err);
    if (r == 0)
        r = client_open(&c, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/rollback", n.path);
    _cleanup_json_ json_t *body = json_pack("{s:s}", "version", o->version);
    if (!body)
        return err_set(err, EINVAL, "a version is a number or a sha");
    r = client_call(c, "POST", path, body, &answer, err);
    if (r < 0)
        return r;
    progress_begin(&p);
    if (!o->no_wait)
        r = follow_start(c, &n, json_str(answer, "version"), &p, stage, sizeof(stage), err);
    if (r == 0)
        progress_done(&p);
    progress_end(&p);
    if (r < 0)
        return r;
    if (*stage)
        json_object_set_new(answer, "stage", json_string(stage));
    if (o->json)
        return json_print(answer, err);
    printf("%s is at %.12s, with the files of %s\n", n.id, json_str(answer, "version"), o->version);
    return 0;
}

int cmd_rollback(int argc, char **argv)
{
    static const struct option longs[] = {
        {"no-wait", no_argument, NULL, 'n'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct rollback o = {0};
    struct err err = {0};
    for (int c; (c = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (c == '?')
            return CMD_USAGE;
        o.no_wait |= c == 'n';
        o.json |= c == 'j';
    }
    if (argc - optind != 2)
        return cmd_usage(argv[0], "give the name of a Space, and one of its versions");
    o.name = argv[optind];
    o.version = argv[optind + 1];
    return rollback(&o, &err) < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
