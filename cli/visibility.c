/* `vitrine visibility NAME [public|protected|private]`: who may see a Space. */
#include "cmd.h"
#include "options.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int set(struct client *c, const struct spacename *n, const char *visibility, json_t **ret,
               struct err *err)
{
    char path[400];
    _cleanup_buf_ struct buf body = BUF_INIT(1024);
    _cleanup_close_ int fd = memfd_create("body", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "%s/settings", n->path);
    if (fd < 0 || buf_puts(&body, "{\"visibility\":") < 0 || buf_json(&body, visibility) < 0 ||
        buf_puts(&body, "}") < 0 || write_all(fd, body.data, body.len) < 0)
        return err_set(err, EIO, "cannot keep the request");
    struct client_request rq = {
        .method = "PUT", .path = path, .body_fd = fd, .body_size = body.len, .timeout_ms = 60000};
    return client_json(c, &rq, ret, err);
}

int cmd_visibility(int argc, char **argv)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    struct spacename n;
    struct err err = {0};
    bool json = false;
    if (options_json(argc, argv, &json) != 0)
        return CMD_USAGE;
    int given = argc - optind;
    if (given < 1 || given > 2)
        return cmd_usage(argv[0], "give the name of one Space, and what it is to be");
    int r = options_space(argv[optind], &n, &c, &err);
    if (r == 0)
        r = given == 2 ? set(c, &n, argv[optind + 1], &answer, &err)
                       : client_get(c, n.path, &answer, &err);
    if (r == 0 && json) {
        _cleanup_json_ json_t *o =
            json_pack("{s:s, s:s}", "id", n.id, "visibility", json_str(answer, "visibility"));
        r = json_print(o, &err);
    } else if (r == 0) {
        printf("%s %s\n", n.id, json_str(answer, "visibility"));
    }
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
