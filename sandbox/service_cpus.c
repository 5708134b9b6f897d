/* See service.h. Not linked into the services themselves. */
#include "service.h"

#include "sandbox/cgroup_places.h"

#include <sched.h>

unsigned service_cpus(unsigned most)
{
    cpu_set_t set;
    unsigned affine = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 0;
    unsigned quota = cgroup_places_cpus(cgroup_places_find());
    if (affine && affine < most)
        most = affine;
    return quota && quota < most ? quota : most;
}
