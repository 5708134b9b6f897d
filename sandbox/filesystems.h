/* New file systems, as mounts that are attached nowhere yet. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

/* A tmpfs, nosuid and nodev, limited in bytes and in inodes (those cost kernel memory that the size
 * does not count). `mode` is of its root, in octal. */
int fs_tmpfs(uint64_t bytes, uint64_t inodes, const char *mode, struct err *err);
/* The inodes that go with a size. */
uint64_t fs_inodes_for(uint64_t bytes);
/* A procfs of our pid namespace; other uids' processes are hidden from everybody, where the kernel
 * can do that (5.8). */
int fs_proc(struct err *err);
/* Shows them to gid 0 of our user namespace, once that is mapped: PID 1 counts them. */
int fs_proc_show_to_group_0(int proc_fd, struct err *err);
/* An overlay of the folders "lower", "upper" and "work" of the current working folder. */
int fs_overlay(struct err *err);
/* The same with `lower` instead of "lower". */
int fs_overlay_over(const char *lower, struct err *err);
/* A read-only overlay that shows the folder `lower`, with inodes of its own: no lock on one of its
 * files is seen through another. Overlayfs wants two layers: `empty` is one without entries. Both
 * are relative to the current working folder. */
int fs_overlay_read_only(const char *lower, const char *empty, struct err *err);
