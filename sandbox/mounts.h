/* The root of a sandbox, put together in its own mount namespace by its PID 1 while that has all
 * capabilities there. */
#pragma once

#include "common/err.h"
#include "sandbox/plan.h"
#include "sandbox/spec.h"
#include "sandbox/sweep.h"

/* Cuts every tie of propagation with the namespace that this one was copied from. */
int mounts_private(struct err *err);

/* Puts overlays that show the copy of the shared root on top of "/", and a /proc of this pid
 * namespace. *ret_root_fd is the new root, *ret_proc_fd a procfs that can be written, for PID 1
 * alone: its mount goes with the old root. Works before any id is mapped. */
int mounts_begin(int copy_fd, int *ret_root_fd, int *ret_proc_fd, struct err *err);

/* The overlays (mounts_root.c): the new root's descriptor. */
int mounts_show_root(int copy_fd, struct err *err);

/* Writable layers over some folders of the root (mounts_root.c), of `bytes` in all. */
int mounts_writable_root(int root_fd, uint64_t bytes, struct own_files *own, struct err *err);

/* Makes it the root, with the old one above it. */
int mounts_enter(int root_fd, struct err *err);
/* Lets go of the old one, which waits for the kernel. */
int mounts_leave_old(struct err *err);

/* Once ids are mapped: /tmp, /dev/shm, the home with the version's tree under a writable layer, and
 * what was asked for. The plan's descriptors are used up. `own` gets what a program can write to
 * and is nobody else's. */
int mounts_complete(int root_fd, struct plan *p, const struct sandbox_spec *s,
                    struct own_files *own, struct err *err);
