/* `vitrine-job serve`: stdout is the body of an answer, as long as it may be.
 *
 *   what=advertise service=git-upload-pack|git-receive-pack [protocol=version=2]
 *   what=upload-pack, stdin the request's body [encoding=gzip] [protocol=version=2]
 *   what=file rev= path= [offset=] [length=]
 *   what=lfs oid= [offset=] [length=]
 *   what=pack rev=: a line with the name of that commit's tree, then a pack of all that is in it
 *
 * What comes of file and lfs begins with a line of JSON: {"size","length","oid"?,"sha"?,"lfs"?};
 * "length" bytes follow. A file that is an LFS pointer is the object that it stands for. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/body.h"
#include "job/git.h"
#include "job/lfs.h"
#include "job/listing.h"
#include "job/names.h"
#include "job/pktline.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only what git's own clients say. */
static int set_protocol(const struct job *job)
{
    const char *protocol = job_arg(job, "protocol", "");

    if (strcmp(protocol, "version=2") != 0 && strcmp(protocol, "version=1") != 0)
        return unsetenv("GIT_PROTOCOL");
    return setenv("GIT_PROTOCOL", protocol, 1);
}

static int git_failed(int status, int said, struct err *err)
{
    char words[GIT_ERROR_MAX];

    git_last_words(said, words);
    return status == 0 ? 0
                       : err_set(err, EIO, "git: %s", *words ? words : "it ended with an error");
}

static int serve_advertise(struct job *job, struct err *err)
{
    const char *service = job_arg(job, "service", "");
    bool receives = strcmp(service, "git-receive-pack") == 0;
    _cleanup_buf_ struct buf head = BUF_INIT(256);
    _cleanup_close_ int said = -1;
    char line[64];

    if (!receives && strcmp(service, "git-upload-pack") != 0)
        return err_set(err, EINVAL, "no such service: %.40s", service);
    /* Version 2 of the protocol begins without a line that names the service. */
    if (receives || strcmp(job_arg(job, "protocol", ""), "version=2") != 0) {
        int n = snprintf(line, sizeof(line), "# service=%s\n", service);

        if (pkt_append(&head, line, (size_t)n) < 0 || pkt_flush(&head) < 0 ||
            write_all(STDOUT_FILENO, head.data, head.len) < 0)
            return err_set(err, EPIPE, "nobody reads the answer");
    }
    const char *argv[] = {"git", service + 4, "--http-backend-info-refs", job->repo, NULL};
    int status = git_pass(argv, -1, STDOUT_FILENO, &said, err);
    return status < 0 ? status : git_failed(status, said, err);
}

static int serve_upload_pack(struct job *job, struct err *err)
{
    const char *argv[] = {"git", "upload-pack", "--stateless-rpc", job->repo, NULL};
    _cleanup_close_ int said = -1;
    struct body_pipe body = {.fd = -1};
    int r = body_begin(job, &body, err);

    if (r < 0)
        return r;
    int status = git_pass(argv, body.fd, STDOUT_FILENO, &said, err);
    body_end(&body);
    return status < 0 ? status : git_failed(status, said, err);
}

/* ---- files ---- */

struct range {
    uint64_t offset, length;
};

static struct range range_of(const struct job *job, uint64_t size)
{
    struct range g = {.offset = job_number(job, "offset", UINT64_MAX, 0)};

    g.offset = g.offset < size ? g.offset : size;
    g.length = job_number(job, "length", UINT64_MAX, UINT64_MAX);
    g.length = g.length < size - g.offset ? g.length : size - g.offset;
    return g;
}

static int say_head(json_t *head, uint64_t size, const struct range *g, struct err *err)
{
    json_object_set_new(head, "size", json_integer((json_int_t)size));
    json_object_set_new(head, "length", json_integer((json_int_t)g->length));
    int r = job_print(head, err);
    return r == 0 && write_all(STDOUT_FILENO, "\n", 1) < 0
               ? err_set(err, EPIPE, "nobody reads the answer")
               : r;
}

static int send_object(json_t *head, const struct job *job, const char *oid, struct err *err)
{
    static char data[256 * 1024];
    uint64_t size = 0;
    _cleanup_close_ int fd = lfs_open(job->repo, oid, &size, err);

    if (fd < 0) {
        json_decref(head);
        return fd;
    }
    struct range g = range_of(job, size);
    int r = say_head(head, size, &g, err);
    if (r == 0 && lseek(fd, (off_t)g.offset, SEEK_SET) < 0)
        return err_errno(err, "the file cannot be read");
    while (r == 0 && g.length > 0) {
        ssize_t n = read_all(fd, data, g.length < sizeof(data) ? (size_t)g.length : sizeof(data));

        if (n <= 0)
            return err_set(err, EIO, "the file cannot be read");
        if (write_all(STDOUT_FILENO, data, (size_t)n) < 0)
            return err_set(err, EPIPE, "nobody reads the answer");
        g.length -= (uint64_t)n;
    }
    return r;
}

static int send_blob(json_t *head, const struct job *job, const char *oid, uint64_t size,
                     struct err *err)
{
    static char data[256 * 1024];
    _cleanup_git_ struct git git = GIT_NONE;
    struct range g = range_of(job, size);
    int r = say_head(head, size, &g, err);

    if (r == 0)
        r = git_begin(&git, (const char *[]){"git", "cat-file", "blob", oid, NULL}, -1, err);
    for (uint64_t skip = g.offset; r == 0 && skip > 0;) {
        size_t n = fread(data, 1, skip < sizeof(data) ? (size_t)skip : sizeof(data), git.out);

        if (n == 0)
            return err_set(err, EIO, "the file cannot be read");
        skip -= n;
    }
    while (r == 0 && g.length > 0) {
        size_t n =
            fread(data, 1, g.length < sizeof(data) ? (size_t)g.length : sizeof(data), git.out);

        if (n == 0)
            return err_set(err, EIO, "the file cannot be read");
        if (write_all(STDOUT_FILENO, data, n) < 0)
            return err_set(err, EPIPE, "nobody reads the answer");
        g.length -= n;
    }
    return r;
}

static int serve_file(struct job *job, struct err *err)
{
    const char *path = job_arg(job, "path", "");
    char sha[GIT_OID_MAX + 1], quoted[NAMES_QUOTED_MAX];
    json_t *items = NULL, *paths = json_pack("[s]", path);
    int r = repo_resolve(job_arg(job, "rev", "main"), sha, err);

    if (r == 0)
        r = listing_paths(sha, paths, &items, err);
    json_decref(paths);
    if (r < 0)
        return r;
    const json_t *o = json_array_get(items, 0);
    const char *oid = json_string_value(json_object_get(o, "oid"));
    const json_t *lfs = json_object_get(o, "lfs");
    if (!oid || strcmp(json_string_value(json_object_get(o, "type")), "file") != 0) {
        json_decref(items);
        return err_set(err, ENOENT, "there is no file %s", names_quote(path, quoted));
    }
    json_t *head = json_pack("{s:s, s:s}", "sha", sha, "oid", oid);
    if (lfs) {
        const char *of = json_string_value(json_object_get(lfs, "oid"));

        json_object_set_new(head, "lfs", json_string(of));
        r = send_object(head, job, of, err);
    } else {
        r = send_blob(head, job, oid, (uint64_t)json_integer_value(json_object_get(o, "size")),
                      err);
    }
    json_decref(items);
    return r;
}

/* The objects of one tree, without its history. */
static int serve_pack(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1], tree[GIT_OID_MAX + 1], line[GIT_OID_MAX + 2];
    _cleanup_close_ int said = -1;
    int r = repo_resolve(job_arg(job, "rev", "main"), sha, err);

    if (r == 0)
        r = repo_tree(sha, tree, err);
    if (r < 0)
        return r;
    int len = snprintf(line, sizeof(line), "%s\n", tree);
    _cleanup_close_ int in = git_input(line, (size_t)len, err);
    if (in < 0)
        return in;
    if (write_all(STDOUT_FILENO, line, (size_t)len) < 0)
        return err_set(err, EPIPE, "nobody reads the answer");
    const char *argv[] = {"git", "pack-objects",        "--revs", "--stdout",
                          "-q",  "--delta-base-offset", NULL};
    int status = git_pass(argv, in, STDOUT_FILENO, &said, err);
    return status < 0 ? status : git_failed(status, said, err);
}

int job_serve(struct job *job, struct err *err)
{
    const char *what = job_arg(job, "what", "");
    int r = version_open_for_reading(job, err);

    if (r < 0 || set_protocol(job) < 0)
        return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
    if (strcmp(what, "advertise") == 0)
        return serve_advertise(job, err);
    if (strcmp(what, "upload-pack") == 0)
        return serve_upload_pack(job, err);
    if (strcmp(what, "file") == 0)
        return serve_file(job, err);
    if (strcmp(what, "pack") == 0)
        return serve_pack(job, err);
    if (strcmp(what, "lfs") == 0)
        return send_object(json_object(), job, job_arg(job, "oid", ""), err);
    return err_set(err, EINVAL, "no such thing to serve: %.40s", what);
}
