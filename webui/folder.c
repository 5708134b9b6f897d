#include "webui/folder.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/upload.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES 65536

struct folder {
    struct app *app;
    struct archive *tar;
    int tar_fd;
    int file_fd; /* the file that is coming in: a tar says the length first */
    char *path;  /* its name */
    uint64_t file_bytes, bytes, files;
};

static int tar_failed(struct folder *f, struct err *err)
{
    return upload_write_failed(archive_errno(f->tar), err);
}

int folder_new(struct folder **ret, struct app *app, struct err *err)
{
    struct folder *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    f->app = app;
    f->file_fd = -1;
    f->tar_fd = upload_tmpfile(app, err);
    f->file_fd = f->tar_fd < 0 ? -1 : upload_tmpfile(app, err);
    f->tar = archive_write_new();
    int r = f->tar_fd < 0 || f->file_fd < 0 ? -err->code : 0;
    if (r == 0 && !f->tar)
        r = err_set(err, ENOMEM, "out of memory");
    if (r == 0) {
        /* GNU's tar has names as the bytes they are, whatever the locale. */
        archive_write_set_format_gnutar(f->tar);
        archive_write_set_bytes_in_last_block(f->tar, 1);
        if (archive_write_open_fd(f->tar, f->tar_fd) != ARCHIVE_OK)
            r = tar_failed(f, err);
    }
    if (r < 0) {
        folder_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

void folder_free(struct folder *f)
{
    if (!f)
        return;
    archive_write_free(f->tar);
    close_fd(&f->tar_fd);
    close_fd(&f->file_fd);
    free(f->path);
    free(f);
}

int folder_file_begin(struct folder *f, const char *path, struct err *err)
{
    /* "chosen/sub/file" is sub/file of the bundle; a single file has no folder before it. */
    const char *slash = strchr(path, '/');
    const char *inside = slash ? slash + 1 : path;
    if (!*inside)
        return err_set(err, EINVAL, "a file of the folder has no name");
    if (strlen(inside) > 4096)
        return err_set(err, EINVAL, "a file of the folder has a name of more than 4096 characters");
    if (f->files >= f->app->conf->upload_max_files)
        return err_set(err, EFBIG,
                       "the folder has more than %llu files, the limit here"
                       " (upload.max_files)",
                       (unsigned long long)f->app->conf->upload_max_files);
    free(f->path);
    f->path = strdup(inside);
    if (!f->path)
        return err_set(err, ENOMEM, "out of memory");
    f->files++;
    f->file_bytes = 0;
    if (ftruncate(f->file_fd, 0) < 0 || lseek(f->file_fd, 0, SEEK_SET) < 0)
        return upload_write_failed(errno, err);
    return 0;
}

int folder_file_data(struct folder *f, const char *data, size_t len, struct err *err)
{
    if (len > f->app->conf->upload_max_archive - f->bytes)
        return upload_too_large(f->app, 0, err);
    int r = write_all(f->file_fd, data, len);
    if (r < 0)
        return upload_write_failed(-r, err);
    f->bytes += len;
    f->file_bytes += len;
    return 0;
}

static int copy_into_tar(struct folder *f, struct err *err)
{
    _cleanup_free_ char *buffer = malloc(COPY_BYTES);
    if (!buffer)
        return err_set(err, ENOMEM, "out of memory");
    for (uint64_t done = 0; done < f->file_bytes;) {
        ssize_t n = pread(f->file_fd, buffer, COPY_BYTES, (off_t)done);
        if (n <= 0)
            return upload_write_failed(n < 0 ? errno : EIO, err);
        if (archive_write_data(f->tar, buffer, (size_t)n) != n)
            return tar_failed(f, err);
        done += (uint64_t)n;
    }
    return 0;
}

int folder_file_end(struct folder *f, struct err *err)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(err, ENOMEM, "out of memory");
    archive_entry_copy_pathname(entry, f->path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (int64_t)f->file_bytes);
    int r = archive_write_header(f->tar, entry) < ARCHIVE_WARN ? tar_failed(f, err)
                                                               : copy_into_tar(f, err);
    archive_entry_free(entry);
    return r;
}

int folder_finish(struct folder *f, struct err *err)
{
    return archive_write_close(f->tar) == ARCHIVE_OK ? 0 : tar_failed(f, err);
}

int folder_fd(const struct folder *f)
{
    return f->tar_fd;
}

uint64_t folder_files(const struct folder *f)
{
    return f->files;
}
