/* [hardware] gpus, gpu_common: the GPUs that workers may be given, by their devices.
 *
 *   gpus = auto                          NVIDIA's /dev/nvidia0, ...; AMD's /dev/dri/renderD128, ...
 *   gpus = /dev/nvidia0, /dev/nvidia1    these, whatever else there is
 *   gpus = none
 *
 * One GPU is one device. Those that all of a maker's share (/dev/nvidiactl, /dev/kfd) come with any
 * of them. Names of the drivers: Documentation/admin-guide/devices.txt (226: DRM), NVIDIA's README
 * ("Device files"), ROCm's installation guide. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define GPU_PATH 128                           /* bytes of a device's path, with the NUL */
#define GPUS_MAX 64                            /* of a machine */
#define GPUS_PER_WORKER 16                     /* as much as a flavour may ask for */
#define GPUS_TEXT (GPUS_PER_WORKER * GPU_PATH) /* paths with a blank between them */

struct gpu_list {
    unsigned n;
    char path[GPUS_MAX][GPU_PATH];
};

/* The syntax alone: `key` is the option's name, for the message. -EINVAL. */
int gpus_check(const char *setting, const char *key, struct err *err);
/* What the setting of `gpus` means on this machine just now, in order: for auto what is there, else
 * every device of the list, there or not. Names in /dev that are links become what they lead to. */
void gpus_find(const char *setting, struct gpu_list *ret);
/* What auto means, with the folders in which it looks. */
void gpus_scan(const char *dev, const char *sys, struct gpu_list *ret);
/* What the setting of `gpu_common` means beside the GPUs in `given` (a list with blanks). Those of
 * `auto` that are not there are left out. */
void gpus_common(const char *setting, const char *given, struct gpu_list *ret);

/* 0 where a worker could open it: -ENODEV where there is no such character device, -EACCES where
 * its mode does not let everybody read and write. (A worker's uid is its own, and in no group.) */
int gpu_usable(const char *path, struct err *err);
/* Where it appears in a sandbox: under its own name in /dev, and one that lies elsewhere as
 * /dev/LAST-PART. */
void gpu_place(const char *path, char out[GPU_PATH]);
/* "nvidia0, nvidia1" of a list with blanks: what people are told, who need not know the host's
 * paths. */
void gpus_names(const char *given, char *out, size_t size);
