#include "job/kept.h"

#include "common/cleanup.h"
#include "job/blob.h"
#include "job/git.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 256 << 20 };

void kept_init(struct kept *k)
{
    *k = (struct kept){.oids = BUF_INIT(LIST_MAX), .paths = BUF_INIT(LIST_MAX)};
}

void kept_free(struct kept *k)
{
    buf_free(&k->oids);
    buf_free(&k->paths);
}

int kept_add(void *arg, const char *oid, const char *path, bool executable, struct err *err)
{
    struct kept *k = arg;
    char quoted[NAMES_QUOTED_MAX];

    if (!git_is_oid(oid))
        return err_set(err, EINVAL, "%s: what it leaves out has no name of git's",
                       names_quote(path, quoted));
    if (buf_printf(&k->oids, "%s\n", oid) < 0 ||
        buf_printf(&k->paths, "%c %s", executable ? 'x' : '-', path) < 0 ||
        buf_append(&k->paths, "", 1) < 0)
        return err_set(err, ENOMEM, "out of memory");
    k->count++;
    return 0;
}

/* "OID blob SIZE", or "OID missing". */
static int read_head(FILE *in, const char *path, uint64_t *ret_size, struct err *err)
{
    char line[200], oid[GIT_OID_MAX + 1], type[16], quoted[NAMES_QUOTED_MAX];

    if (!fgets(line, sizeof(line), in))
        return blob_cut_short(err);
    if (sscanf(line, "%64s %15s %" SCNu64, oid, type, ret_size) != 3 || strcmp(type, "blob") != 0)
        return err_set(
            err, ENOENT,
            "%s: the archive leaves it out, and this server has not got it: send all of it",
            names_quote(path, quoted));
    return 0;
}

static int make_file(struct tree *tree, FILE *in, const char *path, bool executable,
                     struct err *err)
{
    uint64_t size = 0;
    int r = read_head(in, path, &size, err);

    return r < 0 ? r : blob_to_file(in, size, tree, path, executable, err);
}

int kept_fill(struct kept *k, struct tree *tree, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;

    if (k->count == 0)
        return 0;
    _cleanup_close_ int in = git_input(k->oids.data, k->oids.len, err);
    int r = in < 0
                ? in
                : git_begin(&git, (const char *[]){"git", "cat-file", "--batch", "--buffer", NULL},
                            in, err);
    const char *p = k->paths.data, *end = p + k->paths.len;

    for (; r == 0 && p < end; p += strlen(p) + 1)
        r = make_file(tree, git.out, p + 2, *p == 'x', err);
    return r < 0 ? r : git_end(&git, err);
}
