/* `vitrine status NAME`: one Space. */
#include "cmd.h"
#include "client.h"
#include "spacename.h"

#include <stdio.h>

static void print_space(const json_t *s)
{
    static const struct {
        const char *label, *key;
    } lines[] = {{"name", "id"},           {"title", "title"},
                 {"stage", "stage"},       {"why", "reason"},
                 {"ran into", "ran_into"}, {"url", "url"},
                 {"page", "page"},         {"sdk", "sdk"},
                 {"version", "version"},   {"running", "running_version"},
                 {"since", "lastModified"}};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (*json_str(s, lines[i].key))
            printf("%-8s %s\n", lines[i].label, json_str(s, lines[i].key));
    const char *data = json_str(json_object_get(s, "data"), "text");
    if (*data)
        printf("%-8s %s\n", "/data", data);
    json_int_t worker = json_integer_value(json_object_get(s, "worker_id"));
    if (worker > 0)
        printf("%-8s %lld\n", "worker", (long long)worker);
}

int cmd_status(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *space = NULL;
    struct spacename n;
    struct err err = {0};
    bool json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        json = true;
    }
    if (argc - optind != 1)
        return cmd_usage(argv[0], "give the name of one Space");
    int r = spacename_parse(&n, argv[optind], &err);
    if (r == 0)
        r = client_open(&c, &err);
    if (r == 0)
        r = client_get(c, n.path, &space, &err);
    if (r == 0 && json)
        r = json_print(space, &err);
    else if (r == 0)
        print_space(space);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
