/* `vitrine list`: all Spaces and their stage. */
#include "cmd.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_table(const json_t *spaces)
{
    size_t i;
    json_t *s;
    int width = 4;
    json_array_foreach(spaces, i, s)
    {
        int len = (int)strlen(json_str(s, "id"));
        width = len > width ? len : width;
    }
    printf("%-*s  %-20s  %-9s  %s\n", width, "NAME", "STAGE", "SDK", "URL");
    json_array_foreach(spaces, i, s)
        printf("%-*s  %-20s  %-9s  %s\n", width, json_str(s, "id"), json_str(s, "stage"),
               json_str(s, "sdk"), json_str(s, "url"));
}

int cmd_list(int argc, char **argv)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *spaces = NULL;
    struct err err = {0};
    bool json = false;
    if (options_json(argc, argv, &json) != 0)
        return CMD_USAGE;
    if (optind < argc)
        return cmd_usage(argv[0], "takes no argument");
    int r = client_open(&c, &err);
    if (r == 0)
        r = client_get(c, "/api/spaces", &spaces, &err);
    if (r == 0 && !json_is_array(spaces))
        r = err_set(&err, EIO, "%s gave no list; is that a Vitrine?", client_url(c));
    if (r == 0 && !json)
        print_table(spaces);
    return options_end(argv[0], r, json, spaces, &err);
}
