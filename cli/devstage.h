/* What `vitrine dev` shows to its sandbox: a copy of the folder that anybody may read (the folder
 * itself may be its owner's alone), kept up to date file by file, and a /data. */
#pragma once

#include "common/err.h"
#include "folder.h"

struct devstage {
    char dir[512];        /* below TMPDIR, 0700 */
    char app[640];        /* dir/app */
    char data[640];       /* dir/data, for anybody to write to */
    struct folder folder; /* what app/ is a copy of */
};

int devstage_open(struct devstage *s, struct err *err);
/* A second copy beside that of `s`, for what is being built while the first one runs; `s` removes
 * it at its end. Closed by devstage_close, too. */
int devstage_beside(struct devstage *next, const struct devstage *s, struct err *err);
/* What was built is what runs from now on. */
void devstage_swap(struct devstage *s, struct devstage *next);
/* Makes app/ what `now` lists, and takes `now` over. What changed since the last time is copied.
 * -EAGAIN where a file changes meanwhile: list and try again. */
int devstage_sync(struct devstage *s, struct folder *now, struct err *err);
/* Whether the two lists are of the same files, untouched. `ret_path`: one that is not, in `now` or
 * gone from `s`. */
bool devstage_is_current(const struct devstage *s, const struct folder *now, const char **ret_path);
/* The same for those files alone of which `counts` says so. */
bool devstage_is_current_in(const struct devstage *s, const struct folder *now,
                            bool (*counts)(const char *path), const char **ret_path);
/* Removes everything; files that a sandbox made in data/ must be gone already. */
void devstage_close(struct devstage *s);
