#include "submit.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "folder.h"
#include "have.h"
#include "pack.h"
#include "send.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct bundle {
    int fd;
    uint64_t size;
    char filename[256];
    bool partial; /* without what the server has */
    char sha[65]; /* "" for an archive that was taken as it is */
};

static void on_listed(void *arg, uint64_t files, uint64_t bytes)
{
    char text[80], size[32];
    format_bytes(bytes, size);
    snprintf(text, sizeof(text), "%llu files, %s", (unsigned long long)files, size);
    progress_update(arg, 0, 0, text);
}

static void on_packed(void *arg, uint64_t done, uint64_t total)
{
    progress_update(arg, done, total, NULL);
}

static void on_sent(void *arg, uint64_t sent, uint64_t total)
{
    struct progress *p = arg;
    if (sent < total) {
        progress_update(p, sent, total, NULL);
        return;
    }
    /* All is there; what the server does now takes as long as unpacking and checking takes. */
    if (!strcmp(p->phase, "upload"))
        progress_update(p, total, total, NULL);
    progress_phase(p, "check");
    progress_update(p, 0, 0, NULL);
}

static void on_kept(struct progress *p, const struct folder *f, size_t kept)
{
    char text[120], size[32];
    format_bytes(f->bytes, size);
    if (kept)
        snprintf(text, sizeof(text), "%llu files, %s; the server has %zu of them",
                 (unsigned long long)f->files, size, kept);
    else
        snprintf(text, sizeof(text), "%llu files, %s", (unsigned long long)f->files, size);
    progress_update(p, 0, 0, text);
}

/* `whole`: with what the server has already. */
static int pack(struct bundle *b, struct client *c, const char *path, const struct spacename *n,
                bool whole, struct progress *p, struct err *err)
{
    _cleanup_folder_ struct folder folder = {.fd = -1};
    struct pack pack;
    progress_phase(p, "scan");
    int r = folder_scan(&folder, path, on_listed, p, err);
    if (r < 0)
        return r;
    size_t kept = whole ? 0 : have_mark(c, n, &folder);
    on_kept(p, &folder, kept);
    progress_phase(p, "pack");
    r = pack_folder(&pack, &folder, on_packed, p, err);
    if (r < 0)
        return r;
    *b = (struct bundle){.fd = pack.fd, .size = pack.archive_bytes, .partial = kept > 0};
    snprintf(b->filename, sizeof(b->filename), "%s.tar.zst", n->name);
    memcpy(b->sha, pack.sha, sizeof(b->sha));
    return 0;
}

static int open_bundle(struct bundle *b, struct client *c, const char *path,
                       const struct spacename *n, bool whole, struct progress *p, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "cannot find %s", path);
    if (S_ISDIR(st.st_mode))
        return pack(b, c, path, n, whole, p, err);
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is neither a folder nor an archive", path);
    b->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (b->fd < 0)
        return err_errno(err, "cannot open %s", path);
    b->size = (uint64_t)st.st_size;
    const char *slash = strrchr(path, '/');
    snprintf(b->filename, sizeof(b->filename), "%s", slash ? slash + 1 : path);
    return 0;
}

/* What the server has, if it is the same. */
static bool is_unchanged(struct client *c, const struct spacename *n, const char *sha, json_t **ret)
{
    _cleanup_json_ json_t *space = NULL;
    if (!*sha || client_get(c, n->path, &space, NULL) < 0 ||
        strcmp(json_str(space, "content"), sha))
        return false;
    *ret = steal_ptr(space);
    return true;
}

/* *ret_partial: what the server has was not sent. */
static int submit_once(struct client *c, const char *path, const struct spacename *n,
                       bool if_changed, bool whole, bool *ret_partial, struct progress *p,
                       json_t **ret, struct err *err)
{
    struct bundle b = {.fd = -1};
    int r = open_bundle(&b, c, path, n, whole, p, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = b.fd;
    *ret_partial = b.partial;
    if (if_changed && is_unchanged(c, n, b.sha, ret))
        return 0;
    char *filename = curl_easy_escape(NULL, b.filename, 0), target[1400];
    snprintf(target, sizeof(target), "%s/bundle?filename=%s", n->path, filename ? filename : "");
    curl_free(filename);
    progress_phase(p, "upload");
    return send_bundle(c, n, target, fd, b.size, on_sent, p, ret, err);
}

int submit(struct client *c, const char *path, const struct spacename *n, bool if_changed,
           struct progress *p, json_t **ret, struct err *err)
{
    struct err first = {0};
    bool partial = false;
    *ret = NULL;
    int r = submit_once(c, path, n, if_changed, false, &partial, p, ret, &first);
    /* The Space was deleted, or moved, since we asked: job/kept.c says so. */
    if (r < 0 && partial && strstr(first.msg, "leaves it out"))
        r = submit_once(c, path, n, if_changed, true, &partial, p, ret, err);
    else if (r < 0 && err)
        *err = first;
    if (r == 0 && !json_is_object(*ret))
        r = err_set(err, EIO, "%s gave no answer to the upload; is that a Vitrine?", client_url(c));
    return r;
}
