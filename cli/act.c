/* `vitrine start | stop | restart | pause | resume | rebuild | cancel | delete NAME`: one command
 * of the runner each.
 */
#include "cmd.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

int cmd_act(int argc, char **argv)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    struct spacename n;
    struct err err = {0};
    char path[400];
    bool json = false, remove = !strcmp(argv[0], "delete");
    if (options_json(argc, argv, &json) != 0)
        return CMD_USAGE;
    if (argc - optind != 1)
        return cmd_usage(argv[0], "give the name of one Space");
    int r = options_space(argv[optind], &n, &c, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    snprintf(path, sizeof(path), remove ? "%s" : "%s/%s", n.path, argv[0]);
    struct client_request rq = {
        .method = remove ? "DELETE" : "POST", .path = path, .body_fd = -1, .timeout_ms = 60000};
    r = client_json(c, &rq, &answer, &err);
    if (r == 0 && !json)
        printf("%s %s\n", n.id, remove ? "deleted" : json_str(answer, "stage"));
    return options_end(argv[0], r, json, answer, &err);
}
