/* `vitrine gateway restart`: another gateway in the place of the one that serves, without a lost
 * request (cli/gateways.c does it, in `vitrine up`). */
#include "cmd.h"
#include "upask.h"

#include <stdio.h>
#include <string.h>

int cmd_gateway(int argc, char **argv)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    struct serveropts opts = {0};
    struct err err = {0};
    bool json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'j')
            json = true;
        else
            serveropts_take(&opts, o, optarg);
    }
    if (argc - optind != 1 || strcmp(argv[optind], "restart") != 0)
        return cmd_usage(argv[0], "say what is to be done: restart");
    if (up_ask(&opts, UP_RESTART_GATEWAY, NULL, NULL, &err) < 0)
        return cmd_fail(argv[0], &err);
    puts(json ? "{\"restarted\": true}"
              : "a new gateway serves; the old one finishes what it has (`vitrine status`)");
    return CMD_DONE;
}
