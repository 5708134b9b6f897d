/* `vitrine status NAME`: one Space. Without a name: the programs of this machine's `vitrine up`. */
#include "cmd.h"
#include "options.h"
#include "common/util.h"
#include "upask.h"

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
                 {"gpu", "gpus"},          {"since", "lastModified"}};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (*json_str(s, lines[i].key))
            printf("%-8s %s\n", lines[i].label, json_str(s, lines[i].key));
    const char *hardware =
        json_str(json_object_get(json_object_get(s, "runtime"), "hardware"), "current");
    if (*hardware)
        printf("%-8s %s\n", "hardware", hardware);
    const char *data = json_str(json_object_get(s, "data"), "text");
    if (*data)
        printf("%-8s %s\n", "/data", data);
    json_int_t worker = json_integer_value(json_object_get(s, "worker_id"));
    if (worker > 0)
        printf("%-8s %lld\n", "worker", (long long)worker);
}

static void print_program(void *arg, const struct proto_up_program *p)
{
    static const char *const states[] = {
        [UP_STARTING] = "starting", [UP_SERVING] = "serving", [UP_DRAINING] = "draining"};
    const char *state = p->state <= UP_DRAINING && states[p->state] ? states[p->state] : "";
    json_t *list = arg;
    if (list) {
        json_t *j = json_pack("{s:s, s:i, s:s, s:I}", "name", p->name, "pid", (int)p->pid, "state",
                              state, "seconds", (json_int_t)(p->since_ms / 1000));
        if (p->state == UP_DRAINING) {
            json_object_set_new(j, "connections", json_integer(p->connections));
            json_object_set_new(j, "seconds_left", json_integer((json_int_t)(p->left_ms / 1000)));
        }
        json_array_append_new(list, j);
        return;
    }
    printf("%-16s %-9s %7u  since %llu s", p->name, state, p->pid,
           (unsigned long long)p->since_ms / 1000);
    if (p->state == UP_DRAINING)
        printf(": was replaced; %u connections are left, cut off in %llu s", p->connections,
               (unsigned long long)p->left_ms / 1000);
    printf("\n");
}

static int status_of_programs(const char *command, const struct serveropts *opts, bool json)
{
    _cleanup_json_ json_t *list = json ? json_array() : NULL;
    struct err err = {0};
    int r = up_ask(opts, UP_STATUS, print_program, list, &err);
    return options_end(command, r, json, list, &err);
}

int cmd_status(int argc, char **argv)
{
    struct serveropts opts = {0};
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *space = NULL;
    struct spacename n;
    struct err err = {0};
    bool json = false;
    if (options_server(argc, argv, &opts, &json) != 0)
        return CMD_USAGE;
    if (argc == optind)
        return status_of_programs(argv[0], &opts, json);
    if (argc - optind != 1 || opts.data || opts.config)
        return cmd_usage(argv[0], "give the name of one Space");
    int r = options_space(argv[optind], &n, &c, &err);
    if (r == 0)
        r = client_get(c, n.path, &space, &err);
    if (r == 0 && !json)
        print_space(space);
    return options_end(argv[0], r, json, space, &err);
}
