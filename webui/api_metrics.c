#include "webui/api.h"

#include "common/cleanup.h"
#include "webui/link.h"

#include <string.h>

#define TEXT_MAX (32u << 20)
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* By the visitor's address, which the gateway sets. */
static bool from_this_machine(struct req *r)
{
    const char *address = req_header(r, "X-Forwarded-For");
    return address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0);
}

enum MHD_Result api_metrics(struct req *r)
{
    struct err err = {0};
    struct buf b = BUF_INIT(TEXT_MAX);
    bool open = strcmp(r->app->conf->server_metrics, "loopback") == 0 && from_this_machine(r);
    if (!open && !auth_is_admin(r->auth))
        return req_error(r, 401,
                         "this needs the administrator: send the admin token as Authorization: "
                         "Bearer (credentials_file in Prometheus), or set [server] metrics = "
                         "loopback and ask from this machine");
    _cleanup_close_ int fd = link_metrics(r->app->link, &err);
    if (fd < 0)
        return req_fail(r, &err);
    int e = buf_read_fd(&b, fd);
    if (e < 0) {
        buf_free(&b);
        return req_error(r, 500, "the counters cannot be read");
    }
    return req_text(r, 200, TEXT_TYPE, &b);
}
