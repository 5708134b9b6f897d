/* `vitrine-job pack keep=SECONDS`: the repository is packed by git gc where it has many loose
 * objects or packs, or was not packed for `keep`; commits that no branch or tag leads to go `keep`
 * after they were left behind, and LFS objects `keep` after the last object of git that names them.
 *
 * It may end at any moment. git writes packs aside, brings them to the disk and takes the old ones
 * away afterwards; its litter goes with the next job that writes. Who reads meanwhile looks for an
 * object anew where its pack has gone. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/git.h"
#include "job/job.h"
#include "job/lfs.h"
#include "job/lfs_refs.h"
#include "job/repo.h"
#include "job/version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAMP "packed" /* its time is that of the last packing */

enum { MANY_LOOSE = 1000, MANY_PACKS = 20 };

static unsigned count(int repo, const char *folder, const char *suffix)
{
    int fd = openat(repo, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    unsigned n = 0;

    if (!d) {
        close_fd(&fd);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name), end = strlen(suffix);

        n += e->d_name[0] != '.' && len >= end && strcmp(e->d_name + len - end, suffix) == 0;
    }
    return n;
}

static bool is_due(int repo, time_t before)
{
    unsigned loose = 0, packs = count(repo, "objects/pack", ".pack");
    struct stat st;

    for (unsigned i = 0; i < 256; i++) {
        char folder[16];

        snprintf(folder, sizeof(folder), "objects/%02x", i);
        loose += count(repo, folder, "");
    }
    if (loose > MANY_LOOSE || packs > MANY_PACKS)
        return true;
    /* One that was never packed is as old as its configuration. */
    bool known = fstatat(repo, STAMP, &st, 0) == 0 || fstatat(repo, "config", &st, 0) == 0;
    return loose + packs > 1 && known && st.st_mtime <= before;
}

static int stamp(int repo, struct err *err)
{
    _cleanup_close_ int fd = openat(repo, STAMP, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

    return fd < 0 || futimens(fd, NULL) < 0 ? err_errno(err, "the repository cannot be marked") : 0;
}

static int pack(int repo, uint64_t keep, struct err *err)
{
    char reflog[64], unreachable[64], prune[64];

    snprintf(reflog, sizeof(reflog), "gc.reflogExpire=%" PRIu64 ".seconds.ago", keep);
    snprintf(unreachable, sizeof(unreachable), "gc.reflogExpireUnreachable=%" PRIu64 ".seconds.ago",
             keep);
    snprintf(prune, sizeof(prune), "--prune=%" PRIu64 ".seconds.ago", keep);
    /* Refs stay files: the runner looks for main. --force: a gc.pid is that of a job that was
     * killed, as one job writes at a time */
    int r = git_run((const char *[]){"git", "-c", "core.fsync=committed,reference", "-c", reflog,
                                     "-c", unreachable, "-c", "gc.packRefs=false", "gc", "--quiet",
                                     "--force", prune, NULL},
                    -1, NULL, NULL, err);
    return r == 0 ? stamp(repo, err) : r;
}

/* ---- LFS ---- */

struct collection {
    time_t before;
    const struct lfs_refs *refs; /* NULL: only counts */
    uint64_t objects, bytes;     /* that are old (and not referred to) */
};

static void look_at(int folder, const char *name, struct collection *c)
{
    struct stat st;

    if (!lfs_is_oid(name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode) || st.st_mtime > c->before || (c->refs && lfs_refs_has(c->refs, name)))
        return;
    if (c->refs && unlinkat(folder, name, 0) < 0)
        return;
    c->objects++;
    c->bytes += (uint64_t)st.st_size;
}

/* Folders of two letters, and in the second row of them the objects. */
static void walk(int parent, const char *name, unsigned depth, struct collection *c)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        close_fd(&fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        if (depth == 0)
            look_at(dirfd(d), e->d_name, c);
        else
            walk(dirfd(d), e->d_name, depth - 1, c);
    }
}

static int collect_lfs(int repo, struct collection *c, struct err *err)
{
    _cleanup_(lfs_refs_free) struct lfs_refs refs = {0};

    walk(repo, "lfs/objects", 2, c);
    if (!c->objects)
        return 0;
    int r = lfs_refs_read(&refs, err);
    *c = (struct collection){.before = c->before, .refs = &refs};
    if (r == 0)
        walk(repo, "lfs/objects", 2, c);
    c->refs = NULL;
    return r;
}

int job_pack(struct job *job, struct err *err)
{
    uint64_t keep = job_number(job, "keep", 1u << 30, 14 * 24 * 3600);
    struct collection c = {.before = time(NULL) - (time_t)keep};
    int r = repo_open(job->repo, true, err);
    _cleanup_close_ int repo = open(job->repo, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (r == 0 && repo < 0)
        return err_errno(err, "the repository cannot be opened");
    bool due = r == 0 && is_due(repo, c.before);
    if (due)
        r = pack(repo, keep, err);
    if (r == 0)
        r = collect_lfs(repo, &c, err);
    if (r == 0 &&
        buf_printf(&job->out, "{\"packed\":%s,\"lfs\":%" PRIu64 ",\"lfs_bytes\":%" PRIu64 "}",
                   due ? "true" : "false", c.objects, c.bytes) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    return r;
}
