#include "job/lfs_refs.h"

#include "common/cleanup.h"
#include "job/blob.h"
#include "job/git.h"
#include "job/lfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OID_SIZE = 65, OIDS_MAX = 512 << 20 };

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names of the blobs that are small enough for a pointer, one a line, into a nameless file. */
static int list_small(int *ret, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    char line[160], oid[GIT_OID_MAX + 1], type[16];
    uint64_t size;
    _cleanup_close_ int fd = memfd_create("git-oids", MFD_CLOEXEC);
    FILE *out = fd < 0 ? NULL : fdopen(dup(fd), "w");

    if (!out)
        return err_set(err, ENOMEM, "out of memory");
    int r =
        git_begin(&git,
                  (const char *[]){"git", "cat-file", "--batch-all-objects", "--unordered",
                                   "--batch-check=%(objecttype) %(objectsize) %(objectname)", NULL},
                  -1, err);
    while (r == 0 && fgets(line, sizeof(line), git.out))
        if (sscanf(line, "%15s %" SCNu64 " %64s", type, &size, oid) == 3 &&
            strcmp(type, "blob") == 0 && size < LFS_POINTER_MAX)
            fprintf(out, "%s\n", oid);
    if (fclose(out) != 0 && r == 0)
        r = err_set(err, ENOMEM, "out of memory");
    if (r == 0)
        r = git_end(&git, err);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = err_errno(err, "the repository cannot be read");
    *ret = r == 0 ? steal_fd(&fd) : -1;
    return r;
}

int lfs_refs_each(int (*each)(void *arg, const char *blob, const struct lfs_pointer *p), void *arg,
                  struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_close_ int in = -1;
    char line[160], oid[GIT_OID_MAX + 1], type[16], data[LFS_POINTER_MAX + 1];
    uint64_t size;
    int r = list_small(&in, err);

    if (r == 0)
        r = git_begin(&git, (const char *[]){"git", "cat-file", "--batch", "--buffer", NULL}, in,
                      err);
    while (r == 0 && fgets(line, sizeof(line), git.out)) {
        struct lfs_pointer p;

        if (sscanf(line, "%64s %15s %" SCNu64, oid, type, &size) != 3 || size >= LFS_POINTER_MAX)
            r = blob_cut_short(err);
        else if ((r = blob_to_memory(git.out, data, size, err)) == 0 && lfs_parse(data, size, &p) &&
                 each(arg, oid, &p) < 0)
            r = err_set(err, ENOMEM, "out of memory");
    }
    return r == 0 ? git_end(&git, err) : r;
}

static int add(void *arg, const char *blob, const struct lfs_pointer *p)
{
    struct lfs_refs *refs = arg;

    (void)blob;
    return buf_append(&refs->oids, p->oid, OID_SIZE);
}

int lfs_refs_read(struct lfs_refs *ret, struct err *err)
{
    *ret = (struct lfs_refs){.oids = BUF_INIT(OIDS_MAX)};
    int r = lfs_refs_each(add, ret, err);

    if (ret->oids.len)
        qsort(ret->oids.data, ret->oids.len / OID_SIZE, OID_SIZE, compare);
    return r;
}

bool lfs_refs_has(const struct lfs_refs *refs, const char *oid)
{
    return refs->oids.len &&
           bsearch(oid, refs->oids.data, refs->oids.len / OID_SIZE, OID_SIZE, compare);
}

void lfs_refs_free(struct lfs_refs *refs)
{
    buf_free(&refs->oids);
}
