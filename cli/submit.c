#include "submit.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "folder.h"
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

static int pack(struct bundle *b, const char *path, const struct spacename *n, struct progress *p,
                struct err *err)
{
    _cleanup_folder_ struct folder folder = {.fd = -1};
    struct pack pack;
    progress_phase(p, "scan");
    int r = folder_scan(&folder, path, on_listed, p, err);
    if (r < 0)
        return r;
    progress_phase(p, "pack");
    r = pack_folder(&pack, &folder, on_packed, p, err);
    if (r < 0)
        return r;
    *b = (struct bundle){.fd = pack.fd, .size = pack.archive_bytes};
    snprintf(b->filename, sizeof(b->filename), "%s.tar.zst", n->name);
    memcpy(b->sha, pack.sha, sizeof(b->sha));
    return 0;
}

static int open_bundle(struct bundle *b, const char *path, const struct spacename *n,
                       struct progress *p, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "cannot find %s", path);
    if (S_ISDIR(st.st_mode))
        return pack(b, path, n, p, err);
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

int submit(struct client *c, const char *path, const struct spacename *n, bool if_changed,
           struct progress *p, json_t **ret, struct err *err)
{
    struct bundle b = {.fd = -1};
    *ret = NULL;
    int r = open_bundle(&b, path, n, p, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = b.fd;
    if (if_changed && is_unchanged(c, n, b.sha, ret))
        return 0;
    char *filename = curl_easy_escape(NULL, b.filename, 0), target[1400];
    snprintf(target, sizeof(target), "%s/bundle?filename=%s", n->path, filename ? filename : "");
    curl_free(filename);
    progress_phase(p, "upload");
    r = send_bundle(c, n, target, fd, b.size, on_sent, p, ret, err);
    if (r == 0 && !json_is_object(*ret))
        r = err_set(err, EIO, "%s gave no answer to the upload; is that a Vitrine?", client_url(c));
    return r;
}
