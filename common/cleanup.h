/* Cleanup attributes: a resource is released when the variable that owns it leaves its scope.
 * A type's own attribute stands beside the type (buf.h, store.h); here are the ones of libc's
 * types. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}
static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* Takes the descriptor out of its variable, which is left at -1: ownership moves to the caller. */
static inline int steal_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}
static inline void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
#define steal_ptr(p)                                                                               \
    ({                                                                                             \
        __typeof__(p) _stolen = (p);                                                               \
        (p) = NULL;                                                                                \
        _stolen;                                                                                   \
    })
