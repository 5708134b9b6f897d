#include "job/forget.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "job/git.h"
#include "job/lfs.h"
#include "job/lfs_list.h"
#include "job/lfs_refs.h"
#include "job/quarantine.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRATCH "/forget" /* below TMPDIR: a repository for the refs that git fast-import makes */

enum { REFS_MAX = 16 << 20 };

struct forget {
    struct job *job;
    json_t *oids;           /* of LFS objects, a set */
    json_t *blobs;          /* the pointers to them, a set */
    json_t *before, *after; /* ref -> object */
};

static int read_question(struct forget *f, struct err *err)
{
    json_t *question = json_loadfd(STDIN_FILENO, 0, NULL), *sha;
    size_t i;
    int r = json_is_array(json_object_get(question, "sha"))
                ? 0
                : err_set(err, EINVAL, "the question is no JSON");

    json_array_foreach(json_object_get(question, "sha"), i, sha)
    {
        const char *oid = json_string_value(sha) ? json_string_value(sha) : "";

        if (r == 0 && !lfs_is_oid(oid))
            r = err_set(err, EINVAL, "%.80s is no SHA-256 of an LFS object", oid);
        else if (r == 0)
            json_object_set_new(f->oids, oid, json_true());
    }
    json_decref(question);
    return r;
}

static int on_pointer(void *arg, const char *blob, const struct lfs_pointer *p)
{
    struct forget *f = arg;

    return json_object_get(f->oids, p->oid) && json_object_set_new(f->blobs, blob, json_true()) < 0
               ? -ENOMEM
               : 0;
}

/* What all refs are at. */
static int read_refs(json_t *into, struct err *err)
{
    _cleanup_buf_ struct buf said = BUF_INIT(REFS_MAX);
    int r =
        git_run((const char *[]){"git", "for-each-ref", "--format=%(objectname) %(refname)", NULL},
                -1, &said, NULL, err);
    char *next;

    for (char *line = said.data; r == 0 && line && *line; line = next) {
        char *name = strchr(line, ' ');

        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        if (name) {
            *name++ = '\0';
            json_object_set_new(into, name, json_string(line));
        }
    }
    return r;
}

/* "M 100644 OID PATH" of a pointer that goes */
static bool is_forgotten(const struct forget *f, const char *line)
{
    char oid[GIT_OID_MAX + 1];

    return sscanf(line, "M %*o %64s", oid) == 1 && json_object_get(f->blobs, oid);
}

static int copy_bytes(FILE *from, FILE *to, size_t n)
{
    char chunk[16384];

    while (n > 0) {
        size_t len = fread(chunk, 1, n < sizeof(chunk) ? n : sizeof(chunk), from);

        if (len == 0 || fwrite(chunk, 1, len, to) != len)
            return -EIO;
        n -= len;
    }
    return 0;
}

/* The stream of git fast-export (git-fast-import(1), "Input format"): lines, and messages that come
 * with their length before them. */
static int filter(const struct forget *f, FILE *from, FILE *to, struct err *err)
{
    _cleanup_free_ char *line = NULL;
    size_t size = 0, n;
    int r = 0;

    while (r == 0 && getline(&line, &size, from) > 0) {
        if (is_forgotten(f, line))
            continue;
        if (fputs(line, to) < 0)
            r = -EIO;
        else if (sscanf(line, "data %zu", &n) == 1)
            r = copy_bytes(from, to, n);
    }
    if (fflush(to) != 0)
        r = -EIO;
    return r < 0 ? err_set(err, EIO, "the history cannot be written") : 0;
}

/* From `from` into the repository that GIT_DIR names by now. */
static int import(const struct forget *f, FILE *from, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, "the history cannot be written");
    FILE *to = fdopen(fds[1], "w");
    int r = git_begin(&git, (const char *[]){"git", "fast-import", "--quiet", "--done", NULL},
                      fds[0], err);

    close_fd(&fds[0]);
    if (!to) {
        close_fd(&fds[1]);
        return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
    }
    struct err broken = {0};
    int filtered = r == 0 ? filter(f, from, to, &broken) : 0;
    fclose(to);
    if (r == 0) /* its own words say more than "the pipe is broken" */
        r = git_end(&git, err);
    if (r == 0 && filtered < 0) {
        *err = broken;
        r = filtered;
    }
    return r;
}

/* The commits that there will be, as objects of the quarantine; no ref of the repository moves. */
static int write_again(struct forget *f, struct err *err)
{
    /* Whole trees: as changes, a file that becomes a folder is lost on the way. */
    static const char *const export[] = {
        "git",           "fast-export",        "--all",
        "--full-tree",   "--no-data",          "--signed-tags=strip",
        "--reencode=no", "--use-done-feature", NULL};
    _cleanup_git_ struct git git = GIT_NONE;
    char scratch[PATH_MAX];
    int r = git_begin(&git, export, -1, err);

    snprintf(scratch, sizeof(scratch), "%s" SCRATCH, getenv("TMPDIR"));
    if (r == 0 && setenv("GIT_DIR", scratch, 1) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    if (r == 0)
        r = git_run((const char *[]){"git", "init", "-q", "--bare", "--template=", NULL}, -1, NULL,
                    NULL, err);
    if (r == 0)
        r = import(f, git.out, err);
    if (r == 0)
        r = read_refs(f->after, err);
    if (setenv("GIT_DIR", f->job->repo, 1) < 0 && r == 0)
        r = err_set(err, ENOMEM, "out of memory");
    return r == 0 ? git_end(&git, err) : r;
}

/* All of them, or none. */
static int move_refs(const struct forget *f, struct err *err)
{
    _cleanup_buf_ struct buf lines = BUF_INIT(REFS_MAX);
    json_t *after;
    const char *name;
    int r = 0;

    json_object_foreach(f->after, name, after)
    {
        const json_t *before = json_object_get(f->before, name);

        if (r == 0 && before && !json_equal(before, after))
            r = buf_printf(&lines, "update %s %s %s\n", name, json_string_value(after),
                           json_string_value(before));
    }
    if (r < 0)
        return err_set(err, ENOMEM, "there are too many branches and tags");
    if (!lines.len)
        return 0;
    _cleanup_close_ int in = git_input(lines.data, lines.len, err);
    return in < 0 ? in
                  : git_run((const char *[]){"git", "update-ref", "--no-deref", "--stdin", NULL},
                            in, NULL, NULL, err);
}

/* What main will be is a version, or the next commit of a Space that is not whole yet. */
static int judge(const struct forget *f, struct err *err)
{
    const json_t *main_after = json_object_get(f->after, REPO_MAIN);
    const char *sha =
        json_string_value(main_after ? main_after : json_object_get(f->before, REPO_MAIN));

    return sha ? version_or_commit(f->job, sha, err)
               : err_set(err, ENXIO, "the repository has no commit yet");
}

static int forget(struct forget *f, struct err *err)
{
    const char *oid;
    json_t *yes;
    int r = read_question(f, err);

    if (r == 0)
        r = lfs_refs_each(on_pointer, f, err);
    if (r == 0)
        r = read_refs(f->before, err);
    if (r == 0)
        r = quarantine_begin(f->job->repo, err);
    if (r < 0)
        return r;
    if (json_object_size(f->blobs))
        r = write_again(f, err);
    if (r == 0)
        r = judge(f, err);
    r = quarantine_end(f->job->repo, r, err);
    if (r == 0)
        r = move_refs(f, err);
    json_object_foreach(f->oids, oid, yes) if (r == 0)
    {
        r = lfs_remove(f->job->repo, oid, err);
        r = r == -ENOENT ? 0 : r; /* gone already */
    }
    return r;
}

int forget_lfs(struct job *job, struct err *err)
{
    struct forget f = {job, json_object(), json_object(), json_object(), json_object()};
    int r = forget(&f, err);

    json_decref(f.oids);
    json_decref(f.blobs);
    json_decref(f.before);
    json_decref(f.after);
    return r;
}
