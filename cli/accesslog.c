#include "accesslog.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_MS 1000

static int open_file(struct accesslog *a, struct err *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO that nobody reads must not hold up anybody */
    _cleanup_close_ int fd =
        open(a->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_errno(err,
                         "cannot open the access log %s for writing; set [log] access_file, or "
                         "access = off",
                         a->path);
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot look at the access log %s", a->path);
    a->dev = st.st_dev;
    a->ino = st.st_ino;
    close_fd(&a->fd);
    a->fd = steal_fd(&fd);
    return 0;
}

int accesslog_open(struct accesslog *a, const struct conf *conf, struct err *err)
{
    *a = (struct accesslog){.fd = -1, .look_ms = UINT64_MAX};
    if (strcmp(conf->log_access, "off") == 0)
        return 0;
    if (conf->log_access_file[0])
        snprintf(a->path, sizeof(a->path), "%s", conf->log_access_file);
    else
        snprintf(a->path, sizeof(a->path), "%s/access.log", conf->server_data);
    a->look_ms = mono_ms() + LOOK_MS;
    return open_file(a, err);
}

bool accesslog_look(struct accesslog *a, uint64_t now_ms)
{
    struct stat st;
    struct err err = {0};
    if (now_ms < a->look_ms)
        return false;
    a->look_ms = now_ms + LOOK_MS;
    if (stat(a->path, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino)
        return false;
    if (open_file(a, &err) < 0) {
        if (!a->said)
            log_warn(NULL, "up.access_log", "%s; what is open is written on", err.msg);
        a->said = true;
        return false;
    }
    a->said = false;
    return true;
}

void accesslog_close(struct accesslog *a)
{
    close_fd(&a->fd);
}
