#include "webui/upload.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct upload {
    struct app *app;
    int fd;
    uint64_t bytes, max; /* max 0: upload.max_archive */
};

static int larger_than(uint64_t max, struct err *err)
{
    char limit[32];
    format_bytes(max, limit);
    return err_set(err, EFBIG,
                   "more than %s were sent, which is the limit for one request here (by "
                   "upload.max_unpacked)",
                   limit);
}

int upload_tmpfile(struct app *app, struct err *err)
{
    int fd = openat(app->uploads_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? upload_write_failed(errno, err) : fd;
}

int upload_json(struct app *app, const json_t *body, struct err *err)
{
    _cleanup_close_ int fd = upload_tmpfile(app, err);
    _cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
    if (fd < 0)
        return fd;
    int r = text ? write_all(fd, text, strlen(text)) : -ENOMEM;
    return r < 0 ? upload_write_failed(-r, err) : steal_fd(&fd);
}

int upload_too_large(const struct app *app, uint64_t bytes, struct err *err)
{
    char limit[32], size[32];
    format_bytes(app->conf->upload_max_archive, limit);
    format_bytes(bytes, size);
    /* "It has 1 GiB, the limit is 1 GiB" would help nobody. */
    if (bytes == 0 || strcmp(size, limit) == 0)
        return err_set(err, EFBIG,
                       "the archive has more than the limit here, %s (upload.max_archive)", limit);
    return err_set(err, EFBIG, "the archive has %s, the limit here is %s (upload.max_archive)",
                   size, limit);
}

int upload_write_failed(int code, struct err *err)
{
    if (code == ENOSPC || code == EDQUOT)
        return err_set(err, ENOSPC,
                       "the server's disk is full: nothing was changed; try again when the "
                       "operator has made room");
    return err_set(err, code ? code : EIO, "the upload could not be kept: %s", strerror(code));
}

static int new_with(struct upload **ret, struct app *app, uint64_t max, struct err *err)
{
    struct upload *u = calloc(1, sizeof *u);
    if (!u)
        return err_set(err, ENOMEM, "out of memory");
    u->app = app;
    u->max = max;
    u->fd = upload_tmpfile(app, err);
    if (u->fd < 0) {
        int r = u->fd;
        free(u);
        return r;
    }
    *ret = u;
    return 0;
}

int upload_new(struct upload **ret, struct app *app, uint64_t length, struct err *err)
{
    if (length > app->conf->upload_max_archive)
        return upload_too_large(app, length, err);
    return new_with(ret, app, 0, err);
}

int upload_new_large(struct upload **ret, struct app *app, uint64_t length, struct err *err)
{
    uint64_t unpacked = app->conf->upload_max_unpacked;
    uint64_t max = unpacked < UINT64_MAX / 2 ? unpacked / 3 * 4 + (16 << 20) : UINT64_MAX;
    if (length > max)
        return larger_than(max, err);
    return new_with(ret, app, max, err);
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    close_fd(&u->fd);
    free(u);
}

int upload_write(struct upload *u, const void *data, size_t len, struct err *err)
{
    if (u->max && len > u->max - u->bytes)
        return larger_than(u->max, err);
    if (!u->max && len > u->app->conf->upload_max_archive - u->bytes)
        return upload_too_large(u->app, 0, err);
    int r = write_all(u->fd, data, len);
    if (r < 0)
        return upload_write_failed(-r, err);
    u->bytes += len;
    return 0;
}

int upload_fd(const struct upload *u)
{
    return u->fd;
}

uint64_t upload_bytes(const struct upload *u)
{
    return u->bytes;
}
