/* What one sandbox is to be: the START message with its lists split and everything checked, and
 * the descriptors that come with it. */
#pragma once

#include "common/err.h"
#include "common/proto.h"

#include <stdbool.h>

#define SPEC_MAX_ARGS 1024
#define SPEC_MAX_ENV 1024
#define SPEC_MAX_MOUNTS 48
#define SPEC_MAX_OVER 8 /* of them laid over folders of the root */

#define SPEC_MIN_INODES                                                                            \
    16 /* what is made in /tmp and home before the program starts takes some                       \
        */

#define SPEC_UID 1000 /* the program's uid and gid in its sandbox */
#define SPEC_HOME "/home/user"
#define SPEC_APP SPEC_HOME "/app"

/* The descriptors of a START in its order, and one more: a control connection that exists already
 * (`run` has no listener). -1 where there is none. */
enum spec_fd {
    SPEC_FD_LISTENER,
    SPEC_FD_LOG0,
    SPEC_FD_LOG1,
    SPEC_FD_EXIT,
    SPEC_FD_STDIN,
    SPEC_FD_STDOUT,
    SPEC_FD_STDERR,
    SPEC_FD_CONTROL,
    SPEC_FD_COUNT
};

struct spec_mount {
    bool writable;
    bool over;             /* laid over the root's own folder of that name, or one of the list */
    bool copied;           /* below the home: what is changed in there is the sandbox's own */
    bool device;           /* a character device of the host, in /dev */
    const char *src, *dst; /* point into start.mounts */
};

/* Folders of a root that is not the host's that get a writable layer, where the root has them. */
#define SPEC_WRITABLE_FOLDERS 4
extern const char *const spec_writable_folders[SPEC_WRITABLE_FOLDERS];
/* Whether they do. */
struct sandbox_spec;
bool spec_root_is_writable(const struct sandbox_spec *s);
/* It has devices besides those that every sandbox has. */
bool spec_has_devices(const struct sandbox_spec *s);

struct sandbox_spec {
    struct proto_start start; /* the lists in it have been split: read argv, env, mounts instead */
    char *argv[SPEC_MAX_ARGS], *env[SPEC_MAX_ENV];
    struct spec_mount mounts[SPEC_MAX_MOUNTS];
    int n_mounts;
};

/* Splits and checks s->start in place. -EINVAL names the field and the value. A limit of 0 is "no
 * limit"; for sizes of file systems it is refused. */
int spec_parse(struct sandbox_spec *s, struct err *err);

/* True where `path` is absolute, without "." or ".." parts and double slashes. */
bool spec_path_ok(const char *path);
