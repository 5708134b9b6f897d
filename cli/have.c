#include "have.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 1000             /* entries of an answer */
#define WORTH_IT (256u << 10) /* a folder with less is as soon sent */

/* A file of the server's, or an index into the folder's list: what the two are compared by. */
struct listed {
    char *path; /* owned */
    char oid[65];
    uint64_t size;
};

struct listing {
    struct listed *files;
    size_t count, cap;
};

static void listing_free(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->files[i].path);
    free(l->files);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

/* What Git LFS keeps has another name than its content gives. */
static int take(struct listing *l, const json_t *item)
{
    const char *path = json_str(item, "path"), *oid = json_str(item, "oid");
    if (strcmp(json_str(item, "type"), "file") || json_object_get(item, "lfs") || !*path ||
        strlen(oid) != 40 || oid[strspn(oid, "0123456789abcdef")])
        return 0;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct listed *grown = reallocarray(l->files, cap, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->files = grown;
        l->cap = cap;
    }
    struct listed *f = &l->files[l->count];
    *f = (struct listed){.path = strdup(path),
                         .size = (uint64_t)json_integer_value(json_object_get(item, "size"))};
    memcpy(f->oid, oid, 41);
    l->count += f->path != NULL;
    return f->path ? 0 : -ENOMEM;
}

static int list(struct client *c, const struct spacename *n, struct listing *l)
{
    size_t got = PAGE;
    for (size_t offset = 0; got == PAGE; offset += PAGE) {
        _cleanup_json_ json_t *page = NULL;
        char path[512];
        size_t i;
        json_t *item;
        snprintf(path, sizeof(path), "%s/tree/main?recursive=1&limit=%d&offset=%zu", n->path, PAGE,
                 offset);
        int r = client_get(c, path, &page, NULL);
        json_array_foreach(page, i, item) r = r == 0 ? take(l, item) : r;
        if (r < 0 || !json_is_array(page))
            return r < 0 ? r : -EIO;
        got = json_array_size(page);
    }
    if (l->count)
        qsort(l->files, l->count, sizeof(*l->files), by_path);
    return 0;
}

static const struct listed *find(const struct listing *l, const struct folder_entry *e)
{
    struct listed key = {.path = e->path};
    if (!l->count || !S_ISREG(e->st.st_mode) || strchr(e->path, '\n'))
        return NULL;
    const struct listed *f = bsearch(&key, l->files, l->count, sizeof(*l->files), by_path);
    return f && f->size == (uint64_t)e->st.st_size ? f : NULL;
}

/* `git hash-object` in the folder, without any repository's configuration: the paths of `in` become
 * names in `out`. */
static int run_git(int folder_fd, int in, int out)
{
    char *argv[] = {"git", "hash-object", "--no-filters", "--stdin-paths", NULL};
    const char *path = getenv("PATH");
    char search[4096];
    snprintf(search, sizeof(search), "PATH=%s", path ? path : "/usr/bin:/bin");
    char *env[] = {search, "GIT_DIR=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
                   "GIT_CONFIG_GLOBAL=/dev/null", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addfchdir_np(&actions, folder_fd);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    if (code)
        return -code;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Compares the names that git gave, one a line, in the order of the list. */
static size_t compare(int names, const struct listing *l, struct folder *folder)
{
    FILE *f = fdopen(names, "r");
    size_t marked = 0;
    char line[100];
    if (!f)
        return 0;
    rewind(f);
    for (size_t i = 0; i < folder->count; i++) {
        struct folder_entry *e = &folder->entries[i];
        const struct listed *theirs = find(l, e);
        if (!theirs)
            continue;
        if (!fgets(line, sizeof(line), f))
            break;
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, theirs->oid))
            continue;
        memcpy(e->kept, theirs->oid, 41);
        marked++;
    }
    fclose(f);
    return marked;
}

static size_t mark(const struct listing *l, struct folder *folder)
{
    _cleanup_close_ int in = memfd_create("paths", MFD_CLOEXEC),
                        out = memfd_create("names", MFD_CLOEXEC);
    _cleanup_buf_ struct buf paths = BUF_INIT(256u << 20);
    for (size_t i = 0; i < folder->count; i++)
        if (find(l, &folder->entries[i]) && buf_printf(&paths, "%s\n", folder->entries[i].path) < 0)
            return 0;
    if (in < 0 || out < 0 || !paths.len || write_all(in, paths.data, paths.len) < 0 ||
        lseek(in, 0, SEEK_SET) < 0 || run_git(folder->fd, in, out) < 0)
        return 0;
    return compare(steal_fd(&out), l, folder);
}

size_t have_mark(struct client *c, const struct spacename *n, struct folder *folder)
{
    struct listing l = {0};
    size_t marked = 0;
    if (folder->bytes >= WORTH_IT && list(c, n, &l) == 0)
        marked = mark(&l, folder);
    listing_free(&l);
    return marked;
}

void have_forget(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        folder->entries[i].kept[0] = 0;
}
