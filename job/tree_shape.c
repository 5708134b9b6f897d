/* What is done to a tree once everything is in it: the single top folder, links, the hash. */
#include "common/cleanup.h"
#include "job/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int tree_open(const struct tree *tree, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, tree->root_fd, path, &how, sizeof(how));
}

struct tree_entry *tree_find(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->entries[i]->path, path) == 0)
            return tree->entries[i];
    return NULL;
}

int tree_set_executable(struct tree *tree, struct tree_entry *entry, struct err *err)
{
    _cleanup_close_ int fd = tree_open(tree, entry->path, O_RDONLY);

    if (fd < 0 || fchmod(fd, 0755) < 0)
        return err_errno(err, "%s cannot be made executable", entry->path);
    entry->kind = TREE_EXEC;
    return 0;
}

size_t tree_files(const struct tree *tree)
{
    size_t n = 0;

    for (size_t i = 0; i < tree->count; i++)
        n += tree->entries[i]->kind == TREE_FILE || tree->entries[i]->kind == TREE_EXEC;
    return n;
}

/* Whether every entry is below one folder (or is that folder); its name's length, else 0. */
static size_t single_top(const struct tree *tree)
{
    if (tree->count == 0)
        return 0;
    const struct tree_entry *first = tree->entries[0];
    size_t len = strcspn(first->path, "/");

    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *e = tree->entries[i];

        if (strncmp(e->path, first->path, len) != 0)
            return 0;
        if (e->path[len] != '/' && !(e->path[len] == '\0' && e->kind == TREE_DIR))
            return 0;
    }
    return len;
}

/* Moves the children of folder `top` up. They get out of the way of their own folder's name first:
 * demo/demo must be able to take the place of demo. */
static int move_up(struct tree *tree, const char *top, struct err *err)
{
    char aside[NAMES_COMPONENT_MAX + 1];
    size_t len = strlen(top);

    /* No child of `top` has this name: it would be one byte longer than itself or differ. */
    for (unsigned n = 0;; n++) {
        snprintf(aside, sizeof(aside), ".vitrine-top-%u", n);
        bool taken = strcmp(aside, top) == 0;

        for (size_t i = 0; i < tree->count && !taken; i++) {
            const char *p = tree->entries[i]->path + len;
            taken = *p == '/' && strncmp(p + 1, aside, strlen(aside)) == 0;
        }
        if (!taken)
            break;
    }
    if (renameat(tree->root_fd, top, tree->root_fd, aside) < 0)
        return err_errno(err, "%s", top);
    _cleanup_close_ int dir = openat(tree->root_fd, aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return err_errno(err, "%s", top);
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *e = tree->entries[i];

        /* Direct children; links are not there yet. */
        if (e->path[len] != '/' || strchr(e->path + len + 1, '/') || e->kind == TREE_LINK)
            continue;
        if (renameat(dir, e->path + len + 1, tree->root_fd, e->path + len + 1) < 0)
            return err_errno(err, "%s", e->path);
    }
    if (unlinkat(tree->root_fd, aside, AT_REMOVEDIR) < 0)
        return err_errno(err, "%s", top);
    return 0;
}

int tree_strip_top(struct tree *tree, struct err *err)
{
    size_t len;

    close_fd(&tree->folder_fd); /* its path is about to change */
    while ((len = single_top(tree)) > 0) {
        char top[NAMES_COMPONENT_MAX + 1];
        size_t kept = 0;

        memcpy(top, tree->entries[0]->path, len);
        top[len] = '\0';
        int r = move_up(tree, top, err);

        if (r < 0)
            return r;
        for (size_t i = 0; i < tree->count; i++) {
            struct tree_entry *e = tree->entries[i];

            if (e->path[len] == '\0') { /* the folder itself */
                free(e);
                continue;
            }
            e->path += len + 1;
            tree->entries[kept++] = e;
        }
        tree->count = kept;
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(struct tree_entry *const *)a)->path, (*(struct tree_entry *const *)b)->path);
}

int tree_drop_empty(struct tree *tree, struct err *err)
{
    size_t kept = tree->count;

    close_fd(&tree->folder_fd);
    if (tree->count > 0)
        qsort(tree->entries, tree->count, sizeof(*tree->entries), by_path);
    /* From the end: what is in a folder comes after it, so the deepest are first. */
    for (size_t i = tree->count; i-- > 0;) {
        struct tree_entry *e = tree->entries[i];

        if (e->kind != TREE_DIR)
            continue;
        bool used = false;
        size_t len = strlen(e->path);

        for (size_t k = i + 1; k < kept && !used; k++) {
            int order = strncmp(tree->entries[k]->path, e->path, len);

            if (order > 0)
                break; /* sorted: nothing of it follows */
            used = tree->entries[k]->path[len] == '/';
        }
        if (used)
            continue;
        if (unlinkat(tree->root_fd, e->path, AT_REMOVEDIR) < 0)
            return err_errno(err, "%s", e->path);
        free(e);
        memmove(&tree->entries[i], &tree->entries[i + 1], (kept - i - 1) * sizeof(*tree->entries));
        kept--;
    }
    tree->count = kept;
    return 0;
}

static int make_link(struct tree *tree, const struct tree_entry *e, struct err *err)
{
    const char *slash = strrchr(e->path, '/');
    char parent[NAMES_PATH_MAX + 1] = ".";

    if (slash) {
        memcpy(parent, e->path, (size_t)(slash - e->path));
        parent[slash - e->path] = '\0';
    }
    _cleanup_close_ int dir = tree_open(tree, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

    if (dir < 0 || symlinkat(e->target, dir, slash ? slash + 1 : e->path) < 0) {
        char quoted[NAMES_QUOTED_MAX];

        if (errno == EEXIST || errno == ENOTDIR || errno == ELOOP)
            return err_set(err, EEXIST, "%s: the archive has it twice",
                           names_quote(e->path, quoted));
        return err_errno(err, "%s", names_quote(e->path, quoted));
    }
    return 0;
}

static int check_link(const struct tree *tree, const struct tree_entry *e, struct err *err)
{
    _cleanup_close_ int fd = tree_open(tree, e->path, O_PATH);
    char quoted[NAMES_QUOTED_MAX], target[NAMES_QUOTED_MAX];

    if (fd >= 0)
        return 0;
    const char *why = errno == EXDEV    ? "which is outside of the bundle"
                      : errno == ENOENT ? "which is not in the bundle"
                      : errno == ELOOP  ? "which leads in a circle"
                                        : "which cannot be opened";

    return err_set(err, EINVAL, "%s: a link to %s, %s", names_quote(e->path, quoted),
                   names_quote(e->target, target), why);
}

/* All are made before any is checked: a link may lead through another one. */
int tree_make_links(struct tree *tree, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < tree->count; i++)
        if (tree->entries[i]->kind == TREE_LINK)
            r = make_link(tree, tree->entries[i], err);
    for (size_t i = 0; r == 0 && i < tree->count; i++)
        if (tree->entries[i]->kind == TREE_LINK)
            r = check_link(tree, tree->entries[i], err);
    return r;
}

void tree_hash(struct tree *tree, char out[65])
{
    static const char *const words[] = {
        [TREE_DIR] = "dir", [TREE_FILE] = "file", [TREE_EXEC] = "exec", [TREE_LINK] = "link"};
    crypto_hash_sha256_state state;
    unsigned char digest[32];

    if (tree->count > 0)
        qsort(tree->entries, tree->count, sizeof(*tree->entries), by_path);
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *e = tree->entries[i];
        char hex[65] = "-", line[NAMES_PATH_MAX + 80];

        if (e->kind != TREE_DIR)
            sodium_bin2hex(hex, sizeof(hex), e->hash, sizeof(e->hash));
        int n = snprintf(line, sizeof(line), "%s %s %s\n", words[e->kind], hex, e->path);

        crypto_hash_sha256_update(&state, (const unsigned char *)line, (unsigned long long)n);
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
}
