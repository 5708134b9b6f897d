/* The tree that an archive becomes: files and folders made below one directory descriptor, and the
 * list of what was made, from which the tree's hash comes.
 *
 * Nothing here follows a symbolic link: every step is an openat with O_NOFOLLOW from the folder
 * above, files are made with O_EXCL, and links are made last, when nothing is written any more. */
#pragma once

#include "common/err.h"
#include "job/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_kind { TREE_DIR, TREE_FILE, TREE_EXEC, TREE_LINK };

struct tree_entry {
    enum tree_kind kind;
    uint64_t bytes;         /* of a file */
    unsigned char hash[32]; /* SHA-256 of a file's content or a link's target */
    char *target;           /* of a link; owned */
    const char *path;       /* clean (names.h); points into path_store */
    char path_store[];
};

struct tree {
    int root_fd;        /* borrowed */
    uint64_t max_bytes; /* of all files together */
    size_t max_entries;
    struct tree_entry **entries; /* owned */
    size_t count, cap;
    uint64_t bytes;
    char folder[NAMES_PATH_MAX + 1]; /* the folder that folder_fd is; "" is the root */
    int folder_fd;                   /* owned; -1 where none is kept open */
};

/* `root_fd` is an empty directory; it is borrowed until tree_free. */
void tree_init(struct tree *tree, int root_fd, uint64_t max_bytes, size_t max_entries);
void tree_free(struct tree *tree);

/* All paths are clean. Errors: -EEXIST (a path twice), -E2BIG (limits), -ENOSPC, ... with words. */
int tree_mkdir(struct tree *tree, const char *path, struct err *err);
/* Remembers a link, which tree_make_links makes. */
int tree_symlink(struct tree *tree, const char *path, const char *target, struct err *err);

/* A file that is being written. Its content comes in rising offsets; gaps are holes and read as
 * zeros. The bytes count against max_bytes, holes included. */
struct tree_file {
    struct tree *tree;
    struct tree_entry *entry; /* owned by the tree */
    int fd;                   /* owned until tree_file_close */
    uint64_t size;
    void *hash_state; /* owned */
};
int tree_file_open(struct tree *tree, const char *path, bool executable, struct tree_file *ret,
                   struct err *err);
int tree_file_write(struct tree_file *file, const void *data, size_t len, uint64_t offset,
                    struct err *err);
/* Ends the file at `size` bytes (at least what was written). */
int tree_file_finish(struct tree_file *file, uint64_t size, struct err *err);
void tree_file_close(struct tree_file *file);
#define _cleanup_tree_file_ _cleanup_(tree_file_close)

/* A copy of the file `from` that was made before (what a hard link becomes: two names of one file
 * would let an archive of a few bytes hash for hours). */
int tree_copy(struct tree *tree, const char *from, const char *path, struct err *err);

/* The file at `fd` (`size` bytes, from its beginning) as `path`: shared with it where the file
 * system can, else a copy. Its SHA-256 is known. */
int tree_take(struct tree *tree, int fd, uint64_t size, const unsigned char hash[32],
              const char *path, bool executable, struct err *err);

/* Where everything lies in one top folder (demo/README.md, demo/app.py), moves it up; until there
 * is more than that one folder. */
int tree_strip_top(struct tree *tree, struct err *err);

/* Takes away folders without a file or link below them. Before links are made. */
int tree_drop_empty(struct tree *tree, struct err *err);

/* Makes the remembered links and refuses each that does not lead to a file or folder of the tree,
 * as the kernel resolves it. */
int tree_make_links(struct tree *tree, struct err *err);

/* Opens a file or, through links that stay inside, what it leads to; read only. */
int tree_open(const struct tree *tree, const char *path, int flags);

/* NULL where there is none. Linear. */
struct tree_entry *tree_find(const struct tree *tree, const char *path);

int tree_set_executable(struct tree *tree, struct tree_entry *entry, struct err *err);

/* The name of the tree: SHA-256 in hex over one line for each entry, in byte order of the paths:
 *   dir - PATH | file SHA256 PATH | exec SHA256 PATH | link SHA256_OF_TARGET PATH
 * Times, owners and the order in the archive make no difference. Sorts the entries. */
void tree_hash(struct tree *tree, char out[65]);
/* Regular files in the tree. */
size_t tree_files(const struct tree *tree);
