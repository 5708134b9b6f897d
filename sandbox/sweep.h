/* The files of an ended sandbox, removed a few at a time before its mounts are let go of.
 *
 * Taking a file system down with all its files at once gives the kernel two or more callbacks for
 * each of them to be run after a grace period. Above 10,000 of those it runs them in stretches of
 * 3 ms in which no process gets that CPU (rcutree.qhimark), not even one with a real-time priority:
 * neighbours would feel the end of a demo that has made many files. So they are removed no faster
 * than the kernel forgets them. */
#pragma once

#include <stdint.h>

#define OWN_FILES_MAX 32

/* The file systems that a sandbox made for itself: nobody else's files are in there. */
struct own_files {
    uint64_t dev[OWN_FILES_MAX]; /* as stat tells it */
    int n;
};

/* What is open as `fd` is one of them. What there is no room for is not swept. */
void own_files_note(struct own_files *own, int fd);

/* `mounts_fd` is its mount namespace, in which no process is left. Enters it meanwhile: the caller
 * must have the rights for that and share its root with no other process. Leaves alone what few
 * files there are; gives up on what cannot be removed, and after 10 s. */
void sweep(int mounts_fd, const struct own_files *own);
