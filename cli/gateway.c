/* `vitrine gateway restart`: another gateway in the place of the one that serves, without a lost
 * request (cli/gateways.c does it, in `vitrine up`). */
#include "cmd.h"
#include "options.h"
#include "upask.h"

#include <stdio.h>
#include <string.h>

int cmd_gateway(int argc, char **argv)
{
    struct serveropts opts = {0};
    struct err err = {0};
    bool json = false;
    if (options_server(argc, argv, &opts, &json) != 0)
        return CMD_USAGE;
    if (argc - optind != 1 || strcmp(argv[optind], "restart") != 0)
        return cmd_usage(argv[0], "say what is to be done: restart");
    if (up_ask(&opts, UP_RESTART_GATEWAY, NULL, NULL, &err) < 0)
        return cmd_fail(argv[0], &err);
    puts(json ? "{\"restarted\": true}"
              : "a new gateway serves; the old one finishes what it has (`vitrine status`)");
    return CMD_DONE;
}
