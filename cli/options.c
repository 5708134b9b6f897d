#include "options.h"

#include "cmd.h"

int options_json(int argc, char **argv, bool *ret_json)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        *ret_json = true;
    }
    return 0;
}

int options_server(int argc, char **argv, struct serveropts *ret, bool *ret_json)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'j')
            *ret_json = true;
        else
            serveropts_take(ret, o, optarg);
    }
    return 0;
}

int options_space(const char *name, struct spacename *ret, struct client **ret_client,
                  struct err *err)
{
    int r = spacename_parse(ret, name, err);
    return r < 0 ? r : client_open(ret_client, err);
}

int options_end(const char *command, int r, bool json, const json_t *answer, struct err *err)
{
    if (r == 0 && json)
        r = json_print(answer, err);
    return r < 0 ? cmd_fail(command, err) : CMD_DONE;
}
