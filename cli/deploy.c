/* `vitrine deploy`: brings a bundle to the server and waits until it runs. */
#include "cmd.h"
#include "client.h"
#include "follow.h"
#include "submit.h"

#include <stdio.h>

struct deploy {
    const char *path, *name;
    bool no_wait, if_changed, json;
};

static int print_result(const struct deploy *d, const json_t *answer, const char *stage,
                        struct err *err)
{
    if (!d->json) {
        printf("%s\n", json_str(answer, "url"));
        return 0;
    }
    _cleanup_json_ json_t *out =
        json_pack("{s:s, s:s, s:s, s:s}", "id", json_str(answer, "id"), "url",
                  json_str(answer, "url"), "version", json_str(answer, "version"), "stage", stage);
    return json_print(out, err);
}

static int deploy(const struct deploy *d, struct err *err)
{
    struct spacename n;
    struct progress p;
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    char stage[32];
    int r = d->name ? spacename_parse(&n, d->name, err) : spacename_of_path(&n, d->path, err);
    if (r == 0)
        r = client_open(&c, err);
    if (r < 0)
        return r;
    progress_begin(&p);
    r = submit(c, d->path, &n, d->if_changed, &p, &answer, err);
    snprintf(stage, sizeof(stage), "%s", json_str(answer, "stage"));
    if (r == 0 && !d->no_wait)
        r = follow_start(c, &n, json_str(answer, "version"), &p, stage, sizeof(stage), err);
    if (r == 0)
        progress_done(&p);
    progress_end(&p);
    return r < 0 ? r : print_result(d, answer, stage, err);
}

int cmd_deploy(int argc, char **argv)
{
    static const struct option longs[] = {{"no-wait", no_argument, NULL, 'n'},
                                          {"if-changed", no_argument, NULL, 'i'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    struct deploy d = {0};
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        d.no_wait |= o == 'n';
        d.if_changed |= o == 'i';
        d.json |= o == 'j';
    }
    if (argc - optind < 1 || argc - optind > 2)
        return cmd_usage(argv[0], "give a folder or an archive, and perhaps a name");
    d.path = argv[optind];
    d.name = argv[optind + 1];
    return deploy(&d, &err) < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
