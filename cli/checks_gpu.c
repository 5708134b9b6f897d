/* What `vitrine check` says about GPUs. */
#include "checks.h"

#include "common/flavours.h"
#include "common/gpus.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "gpus"

static int most(void *arg, const struct flavour *f)
{
    unsigned *n = arg;
    *n = f->gpus > *n ? f->gpus : *n;
    return 0;
}

/* Of the driver's, as its programs look for it; the folders are those of Debian, Fedora and Arch.
 */
static bool has_library(const char *root, const char *name)
{
    static const char *const folders[] = {"usr/lib/*-linux-gnu", "usr/lib64", "usr/lib",
                                          "opt/rocm/lib"};
    bool found = false;
    for (size_t i = 0; !found && i < sizeof(folders) / sizeof(*folders); i++) {
        char pattern[1400];
        glob_t g;
        snprintf(pattern, sizeof(pattern), "%s/%s/%s", strcmp(root, "host") == 0 ? "" : root,
                 folders[i], name);
        found = glob(pattern, 0, NULL, &g) == 0;
        if (found)
            globfree(&g);
    }
    return found;
}

/* NVIDIA's driver makes this one when a program of root's asks for it, and none in a sandbox can.
 */
static bool lacks_uvm(const struct gpu_list *usable)
{
    return usable->n && strncmp(usable->path[0], "/dev/nvidia", 11) == 0 &&
           access("/dev/nvidia-uvm", F_OK) < 0;
}

static void add_usable(struct checks *k, const struct conf *c, const struct gpu_list *usable,
                       unsigned wanted)
{
    char names[400], list[GPUS_MAX * GPU_PATH] = "";
    for (unsigned i = 0; i < usable->n; i++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof(list) - len, "%s%s", len ? " " : "", usable->path[i]);
    }
    gpus_names(list, names, sizeof(names));
    bool nvidia = strstr(list, "/dev/nvidia") != NULL;
    if (lacks_uvm(usable))
        checks_add(k, CHECK_WEAK, false, NAME, "nvidia-modprobe -u -c 0, at each boot",
                   "%.200s, but there is no /dev/nvidia-uvm: CUDA does not begin without", names);
    else if (nvidia && !has_library(c->sandbox_root, "libcuda.so.1"))
        checks_add(k, CHECK_WEAK, false, NAME,
                   "install the driver's libraries there, of the very version of its module",
                   "%.200s, but %.120s has no libcuda.so.1 for workers", names,
                   strcmp(c->sandbox_root, "host") == 0 ? "this machine" : c->sandbox_root);
    else if (!wanted)
        checks_add(k, CHECK_OK, false, NAME, "",
                   "%.200s; no worker gets any: no flavour in [hardware] flavours has gpu=1",
                   names);
    else if (wanted > usable->n)
        checks_add(k, CHECK_WEAK, false, NAME, "take fewer in [hardware] flavours",
                   "%.200s; a flavour asks for %u", names, wanted);
    else
        checks_add(k, CHECK_OK, false, NAME, "", "workers can be given %.200s", names);
}

void checks_gpus(struct checks *k, const struct conf *c)
{
    struct gpu_list all, usable = {0};
    struct err err = {0};
    unsigned wanted = 0;
    (void)flavours_each(c->hardware_flavours, most, &wanted, NULL);
    gpus_find(c->hardware_gpus, &all);
    for (unsigned i = 0; i < all.n; i++) {
        struct err why = {0};
        if (gpu_usable(all.path[i], &why) == 0)
            memcpy(usable.path[usable.n++], all.path[i], GPU_PATH);
        else if (!err.code)
            err = why;
    }
    if (err.code)
        checks_add(k, CHECK_WEAK, false, NAME, "see vitrine.ini(5), gpus", "%.350s", err.msg);
    if (usable.n)
        add_usable(k, c, &usable, wanted);
    else if (!all.n)
        checks_add(
            k, wanted ? CHECK_MISSING : CHECK_OK, false, NAME,
            wanted ? "the driver's devices (/dev/nvidia0; /dev/kfd and /dev/dri/renderD128), or "
                     "no gpu= in [hardware] flavours"
                   : "",
            wanted ? "none, and flavours ask for %u" : "none", wanted);
}
