/* See service.h. Not linked into the services themselves. */
#include "service.h"

#include "common/cleanup.h"
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct service_groups {
    struct cgroup_host host;
    struct cgroup_group groups[SERVICE_GROUPS];
    int joins[SERVICE_GROUPS][CGROUP_HIERARCHIES], n_joins[SERVICE_GROUPS]; /* of v1 */
};

static void drop(struct service_groups *g, unsigned i)
{
    while (g->n_joins[i] > 0)
        close(g->joins[i][--g->n_joins[i]]);
    (void)cgroup_remove(&g->host, &g->groups[i]);
    g->groups[i].name[0] = '\0';
}

int service_groups_open(struct service_groups **ret, const char *name, struct err *err)
{
    _cleanup_free_ struct service_groups *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(err, ENOMEM, "no memory for control groups");
    char instance[64];
    /* beside the starter's, whose folder has the name alone */
    snprintf(instance, sizeof(instance), "%.40s-up", name);
    int r = cgroup_host_open(&g->host, instance, true, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(g);
    return 0;
}

void service_groups_close(struct service_groups *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < SERVICE_GROUPS; i++)
        drop(g, i);
    cgroup_host_sweep(&g->host); /* of a killed one, whose programs were still there at our start */
    cgroup_host_close(&g->host);
    free(g);
}

int service_group_make(struct service_groups *g, unsigned i, uint64_t memory_bytes, uint32_t pids,
                       struct err *err)
{
    struct cgroup_limits limits = {.memory_bytes = memory_bytes, .pids = pids};
    char unconfirmed[64];
    drop(g, i);
    int r = cgroup_create(&g->host, &g->groups[i], err);
    int n = r < 0 ? r : cgroup_create_v1(&g->host, &g->groups[i], g->joins[i], err);
    if (n < 0)
        return n;
    g->n_joins[i] = n;
    r = cgroup_set_limits(&g->host, &g->groups[i], &limits, unconfirmed, err);
    return r == 0 && unconfirmed[0]
               ? err_set(err, ENOTSUP, "the kernel did not confirm these limits: %s", unconfirmed)
               : r;
}

/* "0" is the writer itself. */
int service_group_join(const struct service_groups *g, unsigned i, struct err *err)
{
    const struct cgroup_group *group = &g->groups[i];
    for (int k = 0; k < g->n_joins[i]; k++)
        if (write(g->joins[i][k], "0", 1) < 0)
            return err_errno(err, "join a control group");
    _cleanup_close_ int unified = group->name[0] ? cgroup_unified_fd(&g->host, group) : -1;
    _cleanup_close_ int procs =
        unified < 0 ? -1 : openat(unified, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (unified >= 0 && (procs < 0 || write(procs, "0", 1) < 0))
        return err_errno(err, "join a control group");
    return 0;
}

bool service_group_ran_out(struct service_groups *g, unsigned i)
{
    struct cgroup_stat stat;
    return cgroup_stat(&g->host, &g->groups[i], &stat) && stat.oom_kills > 0;
}
