/* `vitrine-job commit`: the body of a commit (ndjson.h) becomes one on a branch; on main also the
 * version's tree.
 *
 * Arguments: branch (main), author, email, unfinished (1: without its app file it is stored all the
 * same, and becomes no version). Lines: header {summary, description, parentCommit},
 * file {path, content, encoding}, lfsFile {path, algo, oid, size}, deletedFile {path},
 * deletedFolder {path}. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/job.h"
#include "job/lfs.h"
#include "job/names.h"
#include "job/ndjson.h"
#include "job/quarantine.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENTS "objects/tmp_commit" /* below the repository; swept up with git's own litter */

enum { MESSAGE_MAX = 16 * 1024 };

struct body {
    struct job *job;
    struct staging st;
    char source[PATH_MAX]; /* the file that content is written to */
    int fd;
    uint64_t bytes, all_bytes; /* of this file, of all */
    size_t files, lines;
    bool has_header;
    char message[MESSAGE_MAX];
    char parent[GIT_OID_MAX + 1]; /* what the client believes the branch to be at; "" any */
};

/* ---- contents ---- */

static int open_content(struct body *b, struct err *err)
{
    const struct job *job = b->job;
    char folder[PATH_MAX];

    snprintf(folder, sizeof(folder), "%s/" CONTENTS, job->repo);
    if (b->files == 0 && mkdir(folder, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "the commit cannot be stored");
    if (++b->files > job->max_files)
        return err_set(err, E2BIG, "the commit has more than %llu files",
                       (unsigned long long)job->max_files);
    snprintf(b->source, sizeof(b->source), "%s/" CONTENTS "/%zu", job->repo, b->files);
    close_fd(&b->fd);
    b->fd = open(b->source, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    b->bytes = 0;
    return b->fd < 0 ? err_errno(err, "the commit cannot be stored") : 0;
}

static int on_content(void *arg, bool first, const void *data, size_t len, struct err *err)
{
    struct body *b = arg;
    char limit[32];
    int r = first ? open_content(b, err) : 0;

    if (r < 0)
        return r;
    b->bytes += len;
    b->all_bytes += len;
    if (b->all_bytes > b->job->max_unpacked) {
        format_bytes(b->job->max_unpacked, limit);
        return err_set(err, EFBIG, "the files of this commit have more than %s together", limit);
    }
    r = write_all(b->fd, data, len);
    if (r == -ENOSPC || r == -EDQUOT)
        return err_set(err, -r, "the server's disk is full; nothing was changed");
    return r < 0 ? err_set(err, -r, "the commit cannot be stored: %s", strerror(-r)) : 0;
}

/* ---- lines ---- */

static int wrong(unsigned number, const char *why, struct err *err)
{
    return err_set(err, EINVAL, "line %u of the commit: %s", number, why);
}

static int take_path(const json_t *value, unsigned number, char out[NAMES_PATH_MAX + 2],
                     struct err *err)
{
    const char *path = json_string_value(json_object_get(value, "path"));
    char quoted[NAMES_QUOTED_MAX];

    if (!path)
        return wrong(number, "it has no path", err);
    int r = names_clean(path, out, err);
    if (r == 0 && !*out)
        r = err_set(err, EINVAL, "%s: the bundle itself must be a folder",
                    names_quote(path, quoted));
    return r;
}

static int take_header(struct body *b, const json_t *value, unsigned number, struct err *err)
{
    const char *summary = json_string_value(json_object_get(value, "summary"));
    const char *description = json_string_value(json_object_get(value, "description"));
    const char *parent = json_string_value(json_object_get(value, "parentCommit"));

    if (b->has_header || b->lines > 1)
        return wrong(number, "the header is the first line, and there is one", err);
    b->has_header = true;
    if (!summary || !*summary)
        return wrong(number, "the header has no summary", err);
    snprintf(b->message, sizeof(b->message), "%s%s%s\n", summary,
             description && *description ? "\n\n" : "", description ? description : "");
    if (parent && strlen(parent) > GIT_OID_MAX)
        return wrong(number, "parentCommit is no commit", err);
    snprintf(b->parent, sizeof(b->parent), "%s", parent ? parent : "");
    return 0;
}

static int take_file(struct body *b, const json_t *value, bool has_content, unsigned number,
                     struct err *err)
{
    const char *encoding = json_string_value(json_object_get(value, "encoding"));
    char path[NAMES_PATH_MAX + 2], size[32], limit[32], quoted[NAMES_QUOTED_MAX];
    int r = take_path(value, number, path, err);

    if (r < 0)
        return r;
    if (!has_content || !json_is_string(json_object_get(value, "content")))
        return wrong(number, "the file has no content", err);
    if (!encoding || strcmp(encoding, "base64") != 0)
        return wrong(number, "the content's encoding must be base64", err);
    close_fd(&b->fd);
    if (b->job->max_file && b->bytes > b->job->max_file) {
        format_bytes(b->bytes, size);
        format_bytes(b->job->max_file, limit);
        return err_set(err, EFBIG,
                       "%s: it has %s, and %s is the most for a file here (upload.max_file): "
                       "upload it by Git LFS (with HF_HUB_DISABLE_XET=1)",
                       names_quote(path, quoted), size, limit);
    }
    return staging_file(&b->st, b->source, path, false, err);
}

static int take_lfs(struct body *b, const json_t *value, unsigned number, struct err *err)
{
    const char *algo = json_string_value(json_object_get(value, "algo"));
    const char *oid = json_string_value(json_object_get(value, "oid"));
    json_int_t said = json_integer_value(json_object_get(value, "size"));
    char path[NAMES_PATH_MAX + 2], text[LFS_POINTER_MAX], quoted[NAMES_QUOTED_MAX];
    struct lfs_pointer p = {0};
    int r = take_path(value, number, path, err);

    if (r < 0)
        return r;
    if (!oid || !lfs_is_oid(oid) || (algo && strcmp(algo, "sha256") != 0))
        return wrong(number, "an LFS file is named by its SHA-256", err);
    snprintf(p.oid, sizeof(p.oid), "%s", oid);
    _cleanup_close_ int object = lfs_open(b->job->repo, oid, &p.size, NULL);
    if (object < 0 || (said && (uint64_t)said != p.size))
        return err_set(err, EINVAL, "%s: its LFS object %.12s... was not uploaded",
                       names_quote(path, quoted), oid);
    size_t len = lfs_format(&p, text);
    r = open_content(b, err);
    if (r == 0 && write_all(b->fd, text, len) < 0)
        r = err_set(err, EIO, "the commit cannot be stored");
    close_fd(&b->fd);
    return r < 0 ? r : staging_file(&b->st, b->source, path, false, err);
}

static int take_deleted(struct body *b, const json_t *value, bool folder, unsigned number,
                        struct err *err)
{
    char path[NAMES_PATH_MAX + 2], whole[NAMES_PATH_MAX + 4];
    int r = take_path(value, number, path, err);

    snprintf(whole, sizeof(whole), "%s%s", path, folder ? "/" : "");
    return r < 0 ? r : staging_remove(&b->st, whole, err);
}

static int on_line(void *arg, const json_t *object, bool has_content, unsigned number,
                   struct err *err)
{
    struct body *b = arg;
    const char *key = json_string_value(json_object_get(object, "key"));
    const json_t *value = json_object_get(object, "value");

    b->lines++;
    if (!key || !json_is_object(value))
        return wrong(number, "it has no key and value", err);
    if (b->lines > b->job->max_files + 1)
        return err_set(err, E2BIG, "the commit has more than %llu changes",
                       (unsigned long long)b->job->max_files);
    if (strcmp(key, "header") == 0)
        return take_header(b, value, number, err);
    if (!b->has_header)
        return wrong(number, "the first line must be the header", err);
    if (strcmp(key, "file") == 0)
        return take_file(b, value, has_content, number, err);
    if (strcmp(key, "lfsFile") == 0)
        return take_lfs(b, value, number, err);
    if (strcmp(key, "deletedFile") == 0)
        return take_deleted(b, value, false, number, err);
    if (strcmp(key, "deletedFolder") == 0)
        return take_deleted(b, value, true, number, err);
    return err_set(err, EINVAL,
                   "line %u of the commit: %.40s is not known here: header, file, lfsFile, "
                   "deletedFile and deletedFolder are",
                   number, key);
}

static int read_body(struct body *b, struct err *err)
{
    const struct ndjson_calls calls = {.content = on_content, .line = on_line, .arg = b};
    static char data[256 * 1024];
    struct ndjson *n = ndjson_new(&calls);
    struct stat st = {0};
    uint64_t done = 0;
    ssize_t len = 0;
    int r = n ? 0 : err_set(err, ENOMEM, "out of memory");

    (void)fstat(STDIN_FILENO, &st);
    while (r == 0 && (len = read_all(STDIN_FILENO, data, sizeof(data))) > 0) {
        r = ndjson_feed(n, data, (size_t)len, err);
        done += (uint64_t)len;
        job_progress(b->job, done, (uint64_t)st.st_size);
    }
    if (r == 0 && len < 0)
        r = err_set(err, (int)-len, "the commit cannot be read");
    if (r == 0)
        r = ndjson_end(n, err);
    if (r == 0 && !b->has_header)
        r = err_set(err, EINVAL, "the commit has no header");
    ndjson_free(n);
    return r;
}

/* ---- the commit ---- */

static int full_ref(const char *branch, char *out, size_t size, struct err *err)
{
    if (strncmp(branch, "refs/pr/", 8) == 0 || strncmp(branch, "refs/heads/", 11) == 0) {
        snprintf(out, size, "%s", branch);
        return repo_check_name("branch", branch, err);
    }
    snprintf(out, size, "refs/heads/%s", branch);
    return repo_check_name("branch", branch, err);
}

static int make(struct body *b, struct err *err)
{
    struct job *job = b->job;
    char ref[320], old[GIT_OID_MAX + 1] = "", tree[GIT_OID_MAX + 1], sha[65];
    bool is_new = false, is_main;
    int r = full_ref(job_arg(job, "branch", "main"), ref, sizeof(ref), err);

    if (r == 0)
        r = repo_ref(ref, old, err);
    if (r < 0)
        return r;
    is_main = strcmp(ref, REPO_MAIN) == 0;
    if (!*old && !is_main)
        return err_set(err, ENXIO, "there is no branch %s", job_arg(job, "branch", ""));
    if (*b->parent && strncmp(b->parent, old, strlen(b->parent)) != 0)
        return err_set(err, ESTALE,
                       "the commit was made for %.12s, and %s is at %.12s by now: fetch it and try "
                       "again",
                       b->parent, is_main ? "main" : ref, *old ? old : "no commit yet");
    r = staging_write(&b->st, old, tree, err);
    if (r == 0)
        r = version_commit(job, tree, old, b->message, sha, &is_new, err);
    if (r == 0)
        r = version_check_quota(job, 0, err);
    if (r == 0)
        r = is_main ? version_or_commit(job, sha, err) : version_only_commit(job, sha, err);
    r = quarantine_end(job->repo, r, err);
    return r == 0 && is_new ? repo_set_ref(ref, sha, old, err) : r;
}

int job_commit(struct job *job, struct err *err)
{
    static struct body b;
    char folder[PATH_MAX];

    b = (struct body){.job = job, .fd = -1};
    staging_init(&b.st);
    int r = version_open_repo(job, err);
    if (r == 0)
        r = read_body(&b, err);
    if (r == 0)
        r = quarantine_begin(job->repo, err);
    if (r == 0)
        r = quarantine_end(job->repo, make(&b, err), err);
    close_fd(&b.fd);
    staging_free(&b.st);
    snprintf(folder, sizeof(folder), "%s/" CONTENTS, job->repo);
    (void)remove_tree(AT_FDCWD, folder, NULL);
    return r;
}
