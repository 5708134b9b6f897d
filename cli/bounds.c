#include "bounds.h"

#include "common/log.h"
#include "common/util.h"
#include "sandbox/service.h"

#include <stdlib.h>
#include <string.h>

#define THREADS_EXTRA 64 /* beside one for each request to the site */

struct bounds {
    const struct conf *conf;
    struct service_groups *groups;
};

static bool kind_of(const struct bounds *b, enum proto_role role, enum service_kind *ret)
{
    *ret = role == ROLE_GATEWAY ? SERVICE_GATEWAY : SERVICE_WEBUI;
    return b && (role == ROLE_GATEWAY || role == ROLE_WEBUI);
}

struct bounds *bounds_open(const struct conf *conf)
{
    struct err err = {0};
    char name[65];
    struct bounds *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->conf = conf;
    sha256_hex(conf->server_data, strlen(conf->server_data), name);
    name[16] = '\0'; /* as the runner names its starter's */
    if (service_groups_open(&b->groups, name, &err) == 0)
        return b;
    log_info(NULL, "up.group", "the memory of gateway and webui has no bound: %s", err.msg);
    free(b);
    return NULL;
}

void bounds_close(struct bounds *b)
{
    if (b)
        service_groups_close(b->groups);
    free(b);
}

void bounds_make(struct bounds *b, enum proto_role role)
{
    struct err err = {0};
    enum service_kind kind;
    if (!kind_of(b, role, &kind))
        return;
    uint32_t threads = role == ROLE_WEBUI ? (uint32_t)b->conf->gateway_site_connections : 0;
    if (service_group_make(b->groups, kind, b->conf->sandbox_services_memory,
                           threads + THREADS_EXTRA, &err) < 0)
        log_warn(NULL, "up.group", "%s", err.msg);
}

void bounds_join(const struct bounds *b, enum proto_role role)
{
    struct err err = {0};
    enum service_kind kind;
    if (kind_of(b, role, &kind) && service_group_join(b->groups, kind, &err) < 0)
        log_warn(NULL, "up.group", "%s", err.msg);
}

bool bounds_ran_out(struct bounds *b, enum proto_role role)
{
    enum service_kind kind;
    return kind_of(b, role, &kind) && service_group_ran_out(b->groups, kind);
}
