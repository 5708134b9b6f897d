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

static bool has_one(const struct bounds *b, enum proto_role role)
{
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

void bounds_make(struct bounds *b, enum proto_role role, unsigned group)
{
    struct err err = {0};
    if (!has_one(b, role))
        return;
    uint32_t threads = role == ROLE_WEBUI ? (uint32_t)b->conf->gateway_site_connections : 0;
    if (service_group_make(b->groups, group, b->conf->sandbox_services_memory,
                           threads + THREADS_EXTRA, &err) < 0)
        log_warn(NULL, "up.group", "%s", err.msg);
}

void bounds_join(const struct bounds *b, enum proto_role role, unsigned group)
{
    struct err err = {0};
    if (has_one(b, role) && service_group_join(b->groups, group, &err) < 0)
        log_warn(NULL, "up.group", "%s", err.msg);
}

bool bounds_ran_out(struct bounds *b, enum proto_role role, unsigned group)
{
    return has_one(b, role) && service_group_ran_out(b->groups, group);
}
