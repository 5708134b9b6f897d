#include "publics.h"

#include "activation.h"
#include "common/cleanup.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/util.h"
#include "listener.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct opening_all {
    struct publics *p;
    const struct conf *conf;
    struct activation *a;
    int wait_ms;
    uint32_t flags; /* of all that are opened now */
};

static int add(struct publics *p, int fd, uint32_t flags, const char *path, struct err *err)
{
    if (fd < 0)
        return fd;
    if (p->n == PROTO_LISTENERS) {
        close_fd(&fd);
        return err_set(err, E2BIG, "more than %d sockets to listen on", PROTO_LISTENERS);
    }
    p->sockets[p->n].fd = fd;
    p->sockets[p->n].flags = flags;
    snprintf(p->sockets[p->n++].path, sizeof(p->sockets[0].path), "%s", path);
    return 0;
}

/* Beyond loopback somebody else has to bring the TLS, as with server.listen (conf_check). */
static int check_reach(const struct conf *conf, const char *where, const char *name,
                       struct err *err)
{
    bool loopback = true;
    if (where[0] == '/' || where[0] == '\0' || conf->server_allow_insecure_listen)
        return 0;
    int r = listen_address(where, name, &loopback, err);
    if (r == 0 && !loopback)
        r = err_set(err, EINVAL,
                    "systemd has handed over %s (%s), which other machines reach, and there is no "
                    "TLS: set server.allow_insecure_listen = true, or name it in "
                    "server.also_listen as \"fd:%s proxy\"",
                    where, name, name);
    return r;
}

/* A gateway of an `up` that was killed has its socket for a moment yet. */
static int open_path(const struct opening_all *o, const struct listen_entry *e, struct err *err)
{
    uint64_t deadline = mono_ms() + (uint64_t)o->wait_ms;
    int fd;
    do {
        fd = listener_path(e->where, e->mode, e->user, e->group, err);
    } while (fd == -EADDRINUSE && mono_ms() < deadline && (poll(NULL, 0, 20), true));
    return fd;
}

static int open_one(void *arg, const struct listen_entry *e, struct err *err)
{
    struct opening_all *o = arg;
    char actual[300];
    int fd = -1;
    uint32_t flags = o->flags | (e->proxied ? LISTENER_PROXIED : 0);
    switch (e->kind) {
    case LISTEN_TCP:
        fd = activation_at(o->a, e->where);
        if (fd < 0)
            fd = listener_tcp(e->where, o->wait_ms, actual, sizeof(actual), err);
        break;
    case LISTEN_UNIX:
        fd = activation_at(o->a, e->where);
        if (fd >= 0)
            return add(o->p, fd, flags, "", err);
        fd = open_path(o, e, err);
        return add(o->p, fd, flags, e->where, err);
    case LISTEN_FD:
        fd = activation_named(o->a, e->where);
        if (fd >= 0 && !flags &&
            (listener_where(fd, actual, sizeof(actual), err) < 0 ||
             check_reach(o->conf, actual, e->where, err) < 0)) {
            close_fd(&fd);
            return -err->code;
        }
        if (fd < 0)
            return err_set(err, ENOENT,
                           "systemd has handed over no socket of the name "
                           "\"%s\": set FileDescriptorName=%s in the socket unit",
                           e->where, e->where);
        break;
    }
    return add(o->p, fd, flags, "", err);
}

/* The sockets of HTTPS. The first of them is where people go, so it makes the site's URL where
 * nobody has said another. */
static int open_tls(struct opening_all *o, struct conf *conf, struct err *err)
{
    char actual[300], url[600];
    unsigned first = o->p->n;
    o->flags = LISTENER_TLS;
    int r = listen_each(conf->tls_listen, "tls.listen", open_one, o, err);
    if (r < 0 || o->p->n == first)
        return r;
    r = listener_where(o->p->sockets[first].fd, actual, sizeof(actual), err);
    const char *port = r < 0 ? NULL : strrchr(actual, ':');
    if (r == 0 && (actual[0] == '/' || !port))
        return err_set(err, EINVAL, "tls.listen: the first one must be a TCP address");
    if (r < 0)
        return r;
    snprintf(url, sizeof(url), "https://%s%s", conf->server_domain,
             strcmp(port, ":443") == 0 ? "" : port);
    r = conf_set(conf, "tls.listen", actual, "tls.listen", err);
    if (r == 0 && !*conf->server_public_url)
        r = conf_set(conf, "server.public_url", url, "tls.listen", err);
    return r;
}

int publics_open(struct publics *p, struct conf *conf, struct activation *a, int wait_ms,
                 struct err *err)
{
    struct opening_all o = {p, conf, a, wait_ms, 0};
    char actual[300];
    *p = (struct publics){0};
    snprintf(actual, sizeof(actual), "%s", conf->server_listen);
    int fd = activation_at(a, conf->server_listen);
    if (fd < 0)
        fd = listener_tcp(conf->server_listen, wait_ms, actual, sizeof(actual), err);
    int r = add(p, fd, 0, "", err);
    if (r == 0)
        r = listen_each(conf->server_also_listen, "server.also_listen", open_one, &o, err);
    if (r == 0)
        r = open_tls(&o, conf, err);
    for (unsigned i = 0; r == 0 && i < a->n; i++) /* what the configuration does not name */
        if (a->sockets[i].fd >= 0) {
            log_info(NULL, "up.listen", "also on %s, which systemd handed over (%s)",
                     a->sockets[i].where, a->sockets[i].name);
            r = check_reach(conf, a->sockets[i].where, a->sockets[i].name, err);
            if (r == 0)
                r = add(p, steal_fd(&a->sockets[i].fd), 0, "", err);
        }
    if (r == 0)
        r = conf_set(conf, "server.listen", actual, "--listen", err);
    if (r < 0)
        publics_close(p);
    return r;
}

void publics_close(struct publics *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        close_fd(&p->sockets[i].fd);
        if (p->sockets[i].path[0])
            unlink(p->sockets[i].path);
    }
    p->n = 0;
}
