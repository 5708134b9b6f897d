/* `vitrine limits NAME [LIMIT=VALUE ...]`: what a Space may use. */
#include "cmd.h"
#include "options.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int add_encoded(struct buf *out, const char *text, size_t len)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        r = isalnum(c) || c == '_' || c == '.' ? buf_printf(out, "%c", c)
                                               : buf_printf(out, "%%%02X", c);
    }
    return r < 0 ? r : 0;
}

/* "memory=2G" "cpu=default" becomes a form's body. */
static int encode(char **pairs, int n, struct buf *out, struct err *err)
{
    for (int i = 0; i < n; i++) {
        const char *equals = strchr(pairs[i], '=');
        if (!equals || equals == pairs[i] || !equals[1])
            return err_set(err, EINVAL, "\"%s\" is not LIMIT=VALUE (memory=2G, or memory=default)",
                           pairs[i]);
        if ((i && buf_puts(out, "&") < 0) ||
            add_encoded(out, pairs[i], (size_t)(equals - pairs[i])) < 0 || buf_puts(out, "=") < 0 ||
            add_encoded(out, equals + 1, strlen(equals + 1)) < 0)
            return err_set(err, E2BIG, "too many limits at once");
    }
    return 0;
}

static int set(struct client *c, const char *path, const struct buf *body, json_t **ret,
               struct err *err)
{
    _cleanup_close_ int fd = memfd_create("limits", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot keep the request");
    int r = write_all(fd, body->data, body->len);
    if (r < 0)
        return err_set(err, -r, "cannot keep the request");
    struct client_request rq = {
        .method = "POST", .path = path, .body_fd = fd, .body_size = body->len, .timeout_ms = 60000};
    return client_json(c, &rq, ret, err);
}

static void print(const json_t *answer)
{
    size_t i;
    json_t *o;
    printf("%-12s %-10s %-10s %-12s %s\n", "LIMIT", "VALUE", "DEFAULT", "IN USE", "OF");
    json_array_foreach(json_object_get(answer, "limits"), i, o)
    {
        const char *used = json_str(o, "used");
        printf("%-12s %-10s %-10s %-12s %s\n", json_str(o, "name"),
               json_is_true(json_object_get(o, "own")) ? json_str(o, "value") : "default",
               json_str(o, "default"), *used ? used : "-", json_str(o, "about"));
    }
}

int cmd_limits(int argc, char **argv)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *answer = NULL;
    _cleanup_buf_ struct buf body = BUF_INIT(4096);
    struct spacename n;
    struct err err = {0};
    char path[400];
    bool json = false;
    if (options_json(argc, argv, &json) != 0)
        return CMD_USAGE;
    if (argc - optind < 1)
        return cmd_usage(argv[0], "give the name of one Space");
    int given = argc - optind - 1;
    int r = spacename_parse(&n, argv[optind], &err);
    if (r == 0 && encode(argv + optind + 1, given, &body, &err) < 0)
        return cmd_usage(argv[0], "%s", err.msg);
    if (r == 0)
        r = client_open(&c, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    snprintf(path, sizeof(path), "%s/limits", n.path);
    r = given ? set(c, path, &body, &answer, &err) : client_get(c, path, &answer, &err);
    if (r == 0 && !json)
        print(answer);
    if (r == 0 && given && !json)
        printf("%s\n", json_str(answer, "note"));
    return options_end(argv[0], r, json, answer, &err);
}
