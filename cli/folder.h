/* A folder as a bundle: the list of what is in it. */
#pragma once

#include "common/err.h"
#include "ignore.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct folder_entry {
    char *path;   /* below the folder; owned */
    char *target; /* of a symbolic link; owned */
    struct stat st;
    char kept[65]; /* git's name of a file's content where the server has it (have.h), or "" */
};

struct folder {
    int fd;
    struct folder_entry *entries; /* in the order of their names, a folder before what is in it */
    size_t count, cap;
    uint64_t files, bytes;
    struct ignore ignore;
};

/* Lists files, folders and symbolic links below `path`, without what `ignore` leaves out and
 * without virtual environments of Python (a folder with a pyvenv.cfg: it runs nowhere but where it
 * was made). Other kinds of files are refused by name. `progress` may be NULL. */
int folder_scan(struct folder *f, const char *path,
                void (*progress)(void *arg, uint64_t files, uint64_t bytes), void *arg,
                struct err *err);
void folder_free(struct folder *f);
#define _cleanup_folder_ __attribute__((cleanup(folder_free)))

/* Opens a file of the list; -EAGAIN where it is another one, or another size, than when it was
 * listed. */
int folder_open(const struct folder *f, const struct folder_entry *e, struct err *err);
/* The same once it was read: whether it was left alone meanwhile. */
int folder_check(const struct folder_entry *e, int fd, struct err *err);
/* Whether two looks at a file saw the same one, untouched. */
bool folder_same_file(const struct stat *a, const struct stat *b);
