#include "webui/form.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/folder.h"
#include "webui/multipart.h"
#include "webui/upload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_OVERHEAD (1 << 20) /* boundaries and part headers beside the files */

enum part { PART_IGNORED, PART_OWNER, PART_NAME, PART_ARCHIVE, PART_FOLDER };

struct form {
    struct app *app;
    struct multipart *parser;
    enum part part; /* that is coming in */
    char owner[128], name[128], filename[256];
    struct upload *archive;
    struct folder *folder;
};

static int begin_archive(struct form *f, const char *filename, struct err *err)
{
    if (f->archive || f->folder)
        return err_set(err, EINVAL, "choose one archive, or one folder, not both");
    const char *slash = strrchr(filename, '/');
    snprintf(f->filename, sizeof f->filename, "%s", slash ? slash + 1 : filename);
    f->part = PART_ARCHIVE;
    return upload_new(&f->archive, f->app, 0, err);
}

static int begin_file(struct form *f, const char *filename, struct err *err)
{
    if (f->archive)
        return err_set(err, EINVAL, "choose one archive, or one folder, not both");
    int r = f->folder ? 0 : folder_new(&f->folder, f->app, err);
    if (r < 0)
        return r;
    f->part = PART_FOLDER;
    return folder_file_begin(f->folder, filename, err);
}

static int part_begin(void *arg, const char *name, const char *filename, struct err *err)
{
    struct form *f = arg;
    f->part = PART_IGNORED;
    if (filename) {
        /* A file field that was left empty is sent all the same, without a name. */
        if (!*filename)
            return 0;
        if (strcmp(name, "archive") == 0)
            return begin_archive(f, filename, err);
        return strcmp(name, "folder") == 0 ? begin_file(f, filename, err) : 0;
    }
    if (strcmp(name, "owner") == 0) {
        f->part = PART_OWNER;
        f->owner[0] = 0;
    } else if (strcmp(name, "name") == 0) {
        f->part = PART_NAME;
        f->name[0] = 0;
    }
    return 0;
}

static int add_text(char *out, size_t size, const char *data, size_t len, struct err *err)
{
    size_t have = strlen(out);
    if (len >= size - have)
        return err_set(err, EINVAL, "owner and name may have at most 96 characters each");
    if (memchr(data, 0, len))
        return err_set(err, EINVAL, "owner and name are made of letters, digits, '-', '_', '.'");
    memcpy(out + have, data, len);
    out[have + len] = 0;
    return 0;
}

static int part_data(void *arg, const char *data, size_t len, struct err *err)
{
    struct form *f = arg;
    switch (f->part) {
    case PART_OWNER:
        return add_text(f->owner, sizeof f->owner, data, len, err);
    case PART_NAME:
        return add_text(f->name, sizeof f->name, data, len, err);
    case PART_ARCHIVE:
        return upload_write(f->archive, data, len, err);
    case PART_FOLDER:
        return folder_file_data(f->folder, data, len, err);
    default:
        return 0;
    }
}

static int part_end(void *arg, struct err *err)
{
    struct form *f = arg;
    return f->part == PART_FOLDER ? folder_file_end(f->folder, err) : 0;
}

static const struct multipart_events events = {part_begin, part_data, part_end};

int form_new(struct form **ret, struct app *app, const char *content_type, uint64_t length,
             struct err *err)
{
    /* Many small files come with many headers: they are counted as they come. */
    uint64_t overhead = FORM_OVERHEAD + app->conf->upload_max_files * 512;
    if (length > app->conf->upload_max_archive && length - app->conf->upload_max_archive > overhead)
        return upload_too_large(app, length, err);
    struct form *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    f->app = app;
    int r = multipart_new(&f->parser, content_type, &events, f, err);
    if (r < 0) {
        form_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

void form_free(struct form *f)
{
    if (!f)
        return;
    multipart_free(f->parser);
    upload_free(f->archive);
    folder_free(f->folder);
    free(f);
}

int form_data(struct form *f, const char *data, size_t len, struct err *err)
{
    return multipart_feed(f->parser, data, len, err);
}

int form_finish(struct form *f, struct form_bundle *ret, struct err *err)
{
    int r = multipart_end(f->parser, err);
    if (r < 0)
        return r;
    if (!f->archive && !f->folder)
        return err_set(err, EINVAL, "nothing was chosen: pick a folder or an archive");
    if (f->folder && (r = folder_finish(f->folder, err)) < 0)
        return r;
    *ret = (struct form_bundle){.fd = f->archive ? upload_fd(f->archive) : folder_fd(f->folder)};
    memcpy(ret->owner, f->owner, sizeof ret->owner);
    memcpy(ret->name, f->name, sizeof ret->name);
    snprintf(ret->filename, sizeof ret->filename, "%s", f->archive ? f->filename : "folder.tar");
    return 0;
}
