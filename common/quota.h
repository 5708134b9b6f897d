/* Project quotas of ext4 and xfs: a folder belongs to a project with all that is made in it, and
 * the kernel counts and limits what a project takes. The limits are set as the machine's root only,
 * on a file system that enforces them (mounted with prjquota). */
#pragma once

#include "err.h"
#include "usage.h"

#include <stdint.h>

/* 0 where project quotas of the file system of `dirfd` are enforced and ours to set; else
 * -ENOTSUP (it has none) or -EPERM (it has, and we are not root), with the reason. */
int quota_probe(int dirfd, struct err *err);

/* The file or folder belongs to `project` (a folder: with what is made in it from now on). 1 where
 * that is new, 0 where it was so. */
int quota_give(int fd, uint32_t project, struct err *err);

/* The most that the project may take, read back afterwards: -EIO where the kernel shows others. 0
 * is no limit. */
int quota_set(int dirfd, uint32_t project, uint64_t bytes, uint64_t inodes, struct err *err);
/* What it takes. */
int quota_usage(int dirfd, uint32_t project, struct usage *ret, struct err *err);
