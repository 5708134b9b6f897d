#include "upask.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 30000

static int dial(const char *data, struct err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/run/up.sock", data);
    int fd = proto_connect_path(path, err);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return err_set(err, -fd,
                       "no `vitrine up` runs on the data folder %s; name the right one with --data "
                       "DIR",
                       data);
    if (fd == -EACCES || fd == -EPERM)
        return err_set(err, -fd,
                       "the data folder %s belongs to another user: ask as the one who runs "
                       "`vitrine up`",
                       data);
    return fd;
}

static int ask_at(const char *data, enum proto_up_what what,
                  void (*each)(void *arg, const struct proto_up_program *p), void *arg,
                  struct err *err)
{
    struct proto_up_ask question = {.what = what};
    _cleanup_close_ int fd = dial(data, err);
    if (fd < 0)
        return fd;
    _cleanup_free_ struct proto_msg *m = malloc(sizeof(*m));
    if (!m)
        return err_set(err, ENOMEM, "out of memory");
    int r = proto_send_wait(fd, PROTO_UP_ASK, &question, NULL, 0, ANSWER_MS, err);
    while (r == 0) {
        r = proto_recv(fd, m, ANSWER_MS, err);
        if (r == -EAGAIN)
            return err_set(err, ETIMEDOUT, "`vitrine up` does not answer");
        if (r == 0)
            return err_set(err, EPIPE, "`vitrine up` has gone without an answer; its log says why");
        if (r < 0)
            return r;
        r = 0;
        if (m->type == PROTO_UP_PROGRAM && each)
            each(arg, &m->u.up_program);
        enum proto_type type = m->type;
        uint32_t code = type == PROTO_UP_ANSWER ? m->u.up_answer.code : 0;
        if (code)
            r = err_set(err, (int)code, "%s", m->u.up_answer.message);
        proto_msg_done(m);
        if (type == PROTO_UP_ANSWER)
            break;
    }
    return r;
}

int up_ask(const struct serveropts *opts, enum proto_up_what what,
           void (*each)(void *arg, const struct proto_up_program *p), void *arg, struct err *err)
{
    struct conf conf;
    int r = serveropts_conf(opts, &conf, err);
    if (r < 0)
        return r;
    r = ask_at(conf.server_data, what, each, arg, err);
    conf_free(&conf);
    return r;
}
