#include "devbuild.h"

#include "client.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

int devbuild_data(char *out, size_t size, struct err *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (cache && *cache == '/')
        n = snprintf(out, size, "%s/vitrine/dev", cache);
    else if (home && *home == '/')
        n = snprintf(out, size, "%s/.cache/vitrine/dev", home);
    else
        return err_set(err, ENOENT,
                       "HOME is not set: say with --data DIR where what is built is kept");
    return n < (int)size ? 0
                         : err_set(err, ENAMETOOLONG, "the path of the home folder is too long");
}

int devbuild_open(struct devbuild *b, const struct conf *conf, const char *programs,
                  struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, "cannot make a socket");
    b->pid = fork();
    if (b->pid < 0) {
        b->pid = 0;
        close(pair[0]);
        close(pair[1]);
        return err_errno(err, "cannot start a process");
    }
    if (b->pid == 0) {
        close(pair[0]);
        devbuilder_run(pair[1], conf, programs);
        _exit(0);
    }
    close(pair[1]);
    b->fd = pair[0];
    return 0;
}

/* Reads what is there, or waits for something: 1, 0 at the end, or a negative errno. */
static int read_more(int fd, struct buf *line)
{
    char chunk[16384];
    ssize_t n;
    do {
        n = read(fd, chunk, sizeof(chunk));
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    int r = buf_append(line, chunk, (size_t)n);
    return r < 0 ? r : 1;
}

int devbuild_send(int fd, json_t *o, struct err *err)
{
    _cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!text)
        return err_set(err, ENOMEM, "out of memory");
    int r = write_all(fd, text, strlen(text));
    if (r == 0)
        r = write_all(fd, "\n", 1);
    return r < 0 ? err_set(err, -r, "the process that builds has ended: start `vitrine dev` again")
                 : 0;
}

int devbuild_ask(struct devbuild *b, const char *folder, const char *tree, const char *sha,
                 const json_t *record, struct err *err)
{
    return devbuild_send(b->fd,
                         json_pack("{s:s, s:s, s:s, s:O}", "folder", folder, "tree", tree, "sha",
                                   sha, "record", record),
                         err);
}

void devbuild_cancel(struct devbuild *b)
{
    (void)devbuild_send(b->fd, json_pack("{s:b}", "cancel", 1), NULL);
}

static void copy(char *out, size_t size, const json_t *o, const char *key)
{
    snprintf(out, size, "%s", json_str(o, key));
}

int devbuild_take(struct devbuild *b, struct devbuilt *ret, struct err *err)
{
    _cleanup_buf_ struct buf line = BUF_INIT(DEVBUILD_LINE_MAX);
    _cleanup_json_ json_t *o = NULL;
    *ret = (struct devbuilt){0};
    while (!line.len || line.data[line.len - 1] != '\n')
        if (read_more(b->fd, &line) <= 0)
            return err_set(err, EPIPE,
                           "the process that builds has ended: start `vitrine dev` again");
    o = json_loadb(line.data, line.len, 0, NULL);
    int code = (int)json_integer_value(json_object_get(o, "code"));
    if (!o || code)
        return err_set(err, o ? code : EIO, "%s", o ? json_str(o, "message") : "nonsense came");
    copy(ret->data, sizeof(ret->data), o, "data");
    copy(ret->keys.env, sizeof(ret->keys.env), o, "env");
    copy(ret->keys.layer, sizeof(ret->keys.layer), o, "layer");
    copy(ret->keys.models, sizeof(ret->keys.models), o, "models");
    ret->keys.uid_index = (uint32_t)json_integer_value(json_object_get(o, "uid_index"));
    ret->bound = json_is_true(json_object_get(o, "bound"));
    return 0;
}

void devbuild_close(struct devbuild *b)
{
    close_fd(&b->fd);
    while (b->pid && waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    b->pid = 0;
}
