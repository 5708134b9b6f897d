/* repo.h: changes to a tree. Contents are stored as they are (no filter, no conversion of line
 * ends), and git's own index judges the paths. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/repo.h"
#include "job/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_MAX = 512 << 20 };

static const char no_object[] = "0000000000000000000000000000000000000000";

void staging_init(struct staging *st)
{
    *st = (struct staging){
        .paths = BUF_INIT(LIST_MAX), .entries = BUF_INIT(LIST_MAX), .removed = BUF_INIT(LIST_MAX)};
}

void staging_free(struct staging *st)
{
    buf_free(&st->paths);
    buf_free(&st->entries);
    buf_free(&st->removed);
}

static int out_of_memory(struct err *err)
{
    return err_set(err, ENOMEM, "out of memory");
}

static int add(struct staging *st, const char *source, const char *path, const char *mode,
               struct err *err)
{
    if (strchr(source, '\n') || strchr(path, '\n'))
        return err_set(err, EINVAL, "a name in a bundle must not hold control characters");
    if (buf_printf(&st->paths, "%s\n", source) < 0 ||
        buf_printf(&st->entries, "%s %s", mode, path) < 0 || buf_append(&st->entries, "", 1) < 0)
        return out_of_memory(err);
    st->files++;
    return 0;
}

int staging_file(struct staging *st, const char *source, const char *path, bool executable,
                 struct err *err)
{
    return add(st, source, path, executable ? "100755" : "100644", err);
}

int staging_link(struct staging *st, const char *target, const char *path, struct err *err)
{
    char source[PATH_MAX], name[40];

    snprintf(name, sizeof(name), "link-%zu", st->links++);
    scratch_path(name, source);
    _cleanup_close_ int fd = open(source, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_all(fd, target, strlen(target));

    return r < 0 ? err_set(err, -r, "a link cannot be stored: %s", strerror(-r))
                 : add(st, source, path, "120000", err);
}

int staging_remove(struct staging *st, const char *path, struct err *err)
{
    if (buf_puts(&st->removed, path) < 0 || buf_append(&st->removed, "", 1) < 0)
        return out_of_memory(err);
    return 0;
}

static int add_found(struct staging *st, const FTSENT *e, size_t prefix, struct err *err)
{
    char target[PATH_MAX];

    if (e->fts_info == FTS_F)
        return staging_file(st, e->fts_path, e->fts_path + prefix,
                            (e->fts_statp->st_mode & 0100) != 0, err);
    if (e->fts_info != FTS_SL && e->fts_info != FTS_SLNONE)
        return 0;
    ssize_t n = readlink(e->fts_accpath, target, sizeof(target) - 1);
    if (n < 0)
        return err_errno(err, "a link cannot be read");
    target[n] = '\0';
    return staging_link(st, target, e->fts_path + prefix, err);
}

int staging_folder(struct staging *st, const char *dir, struct err *err)
{
    char *roots[] = {(char *)dir, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    size_t prefix = strlen(dir) + 1;
    int r = fts ? 0 : out_of_memory(err);

    for (FTSENT *e; r == 0 && (e = fts_read(fts));)
        r = add_found(st, e, prefix, err);
    if (fts)
        fts_close(fts);
    return r;
}

/* Whether `path` of the index is what `removed` names: itself, or something below "folder/". */
static bool is_removed(const char *path, const char *removed)
{
    size_t len = strlen(removed);

    return len && removed[len - 1] == '/' ? strncmp(path, removed, len) == 0
                                          : strcmp(path, removed) == 0;
}

/* Puts "0 ZEROS\tPATH\0" for everything that the index has at the removed paths. */
static int write_removals(struct staging *st, struct buf *out, struct err *err)
{
    _cleanup_buf_ struct buf all = BUF_INIT(LIST_MAX);

    if (st->removed.len == 0)
        return 0;
    int r =
        git_run((const char *[]){"git", "ls-files", "-z", "--cached", NULL}, -1, &all, NULL, err);
    if (r < 0)
        return r;
    for (const char *p = st->removed.data; p < st->removed.data + st->removed.len;
         p += strlen(p) + 1) {
        bool found = false;

        for (const char *f = all.data; f && f < all.data + all.len; f += strlen(f) + 1) {
            if (!is_removed(f, p))
                continue;
            found = true;
            if (buf_printf(out, "0 %s\t%s", no_object, f) < 0 || buf_append(out, "", 1) < 0)
                return out_of_memory(err);
        }
        if (!found)
            return err_set(err, ENOENT, "%.300s cannot be deleted: it is not there", p);
    }
    return 0;
}

/* Stores the contents, and puts "MODE OID\tPATH\0" for each. */
static int store(struct staging *st, struct buf *out, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    const char *entry = st->entries.data, *end = entry + st->entries.len;
    _cleanup_close_ int in = git_input(st->paths.data, st->paths.len, err);
    int r = in < 0 ? in
                   : git_begin(&git,
                               (const char *[]){"git", "hash-object", "-w", "--no-filters",
                                                "--stdin-paths", NULL},
                               in, err);

    if (r < 0)
        return r;
    for (; entry < end && getline(&line, &cap, git.out) > 0; entry += strlen(entry) + 1) {
        line[strcspn(line, "\n")] = '\0';
        if (!git_is_oid(line))
            return err_set(err, EIO, "git hash-object: it names no object");
        if (buf_printf(out, "%.6s %s\t%s", entry, line, entry + 7) < 0 ||
            buf_append(out, "", 1) < 0)
            return out_of_memory(err);
    }
    r = git_end(&git, err);
    if (r == 0 && entry < end)
        return err_set(err, EIO, "git hash-object: it ended early");
    return r;
}

/* What git says of a path that it does not take. */
static int bad_path(struct err *err)
{
    static const char words[] = "Ignoring path ";
    const char *at = strstr(err->msg, words);
    char path[300];

    if (!at)
        return -err->code;
    snprintf(path, sizeof(path), "%s", at + sizeof(words) - 1);
    return err_set(err, EINVAL, "%s: a name that git keeps for itself is not taken", path);
}

int staging_write(struct staging *st, const char *base, char tree[GIT_OID_MAX + 1], struct err *err)
{
    _cleanup_buf_ struct buf lines = BUF_INIT(LIST_MAX);
    _cleanup_buf_ struct buf said = BUF_INIT(4096);
    int r = 0;

    char index[PATH_MAX];

    unlink(scratch_path("index", index));
    if (setenv("GIT_INDEX_FILE", index, 1) < 0)
        return out_of_memory(err);
    if (*base)
        r = git_run((const char *[]){"git", "read-tree", base, NULL}, -1, NULL, NULL, err);
    if (r == 0)
        r = write_removals(st, &lines, err);
    if (r == 0 && st->files)
        r = store(st, &lines, err);
    if (r == 0 && lines.len) {
        _cleanup_close_ int in = git_input(lines.data, lines.len, err);

        r = in < 0 ? in
                   : git_run_silent((const char *[]){"git", "update-index", "-z", "--add",
                                                     "--replace", "--index-info", NULL},
                                    in, err);
        if (r < 0)
            return bad_path(err);
    }
    if (r == 0)
        r = git_run((const char *[]){"git", "write-tree", NULL}, -1, &said, NULL, err);
    unlink(index);
    if (r < 0)
        return r;
    size_t len = said.data ? strcspn(said.data, "\n") : 0;

    if (len == 0 || len > GIT_OID_MAX)
        return err_set(err, EIO, "git write-tree: it names no tree");
    memcpy(tree, said.data, len);
    tree[len] = '\0';
    return 0;
}
