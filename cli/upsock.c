#include "supervise_own.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ASKERS (UPSOCK_POLLED - 1)
#define SEND_MS 200 /* for an answer; who does not read goes without */

struct upsock {
    char path[PATH_MAX];
    int listen_fd;
    struct asker {
        int fd;
        bool waits; /* for the new gateway */
        uint64_t since_ms;
    } askers[ASKERS];
};

struct upsock *upsock_open(const char *data)
{
    struct err err = {0};
    struct upsock *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    for (int i = 0; i < ASKERS; i++)
        u->askers[i].fd = -1;
    snprintf(u->path, sizeof(u->path), "%s/run/up.sock", data);
    u->listen_fd = proto_listen_path(u->path, &err);
    if (u->listen_fd >= 0)
        return u;
    log_warn(NULL, "up.sock", "`vitrine gateway restart` and `vitrine status` cannot ask: %s",
             err.msg);
    free(u);
    return NULL;
}

void upsock_close(struct upsock *u)
{
    if (!u)
        return;
    for (int i = 0; i < ASKERS; i++)
        close_fd(&u->askers[i].fd);
    close_fd(&u->listen_fd);
    unlink(u->path);
    free(u);
}

int upsock_poll(const struct upsock *u, struct pollfd *p)
{
    if (!u)
        return 0;
    p[0] = (struct pollfd){.fd = u->listen_fd, .events = POLLIN};
    for (int i = 0; i < ASKERS; i++)
        p[1 + i] = (struct pollfd){.fd = u->askers[i].fd, .events = POLLIN};
    return UPSOCK_POLLED;
}

/* Whoever has been there for longest without being answered makes room. */
static void take_asker(struct upsock *u)
{
    int fd = accept4(u->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct asker *a = &u->askers[0];
    for (int i = 0; i < ASKERS; i++) {
        struct asker *b = &u->askers[i];
        if (b->fd < 0) {
            a = b;
            break;
        }
        if (b->since_ms < a->since_ms)
            a = b;
    }
    close_fd(&a->fd);
    *a = (struct asker){.fd = fd, .since_ms = mono_ms()};
}

static void answer(struct asker *a, int code, const char *message)
{
    struct proto_up_answer m = {.code = (uint32_t)code};
    snprintf(m.message, sizeof(m.message), "%s", message);
    proto_send_wait(a->fd, PROTO_UP_ANSWER, &m, NULL, 0, SEND_MS, NULL);
    close_fd(&a->fd);
}

static void tell_programs(const struct supervisor *v, struct asker *a)
{
    uint64_t now = mono_ms();
    for (int i = 0; i < N_PLACES; i++) {
        const struct program *p = &v->programs[i];
        if (i >= COMING && !p->pid)
            continue;
        struct proto_up_program m = {
            .pid = (uint32_t)p->pid,
            .state = i >= LEAVING              ? UP_DRAINING
                     : p->ready && i != COMING ? UP_SERVING
                                               : UP_STARTING,
            .since_ms = p->pid ? now - p->started_ms : 0,
        };
        snprintf(m.name, sizeof(m.name), "%s", program_name(i));
        if (i >= LEAVING) {
            m.connections = p->connections;
            m.left_ms = p->until_ms > now ? p->until_ms - now : 0;
        }
        if (proto_send_wait(a->fd, PROTO_UP_PROGRAM, &m, NULL, 0, SEND_MS, NULL) < 0)
            break;
    }
    answer(a, 0, "");
}

static void on_question(struct supervisor *v, struct asker *a)
{
    struct err err = {0};
    int r = proto_recv(a->fd, &v->msg, 0, &err);
    if (r == -EAGAIN)
        return;
    if (r <= 0 || v->msg.type != PROTO_UP_ASK || a->waits) {
        if (r > 0)
            proto_msg_done(&v->msg);
        close_fd(&a->fd);
        return;
    }
    uint32_t what = v->msg.u.up_ask.what;
    proto_msg_done(&v->msg);
    if (what == UP_STATUS) {
        tell_programs(v, a);
    } else if (what == UP_RESTART_GATEWAY) {
        log_info(NULL, "up.gateway", "the operator asks for a new gateway");
        r = gateways_restart(v, &err);
        if (r < 0)
            answer(a, -r, err.msg);
        else
            a->waits = true;
    } else {
        answer(a, EINVAL, "this `vitrine up` does not know that question");
    }
}

void upsock_events(struct supervisor *v, const struct pollfd *p, int n)
{
    for (int i = 0; i + 1 < n; i++)
        if (p[1 + i].revents && p[1 + i].fd == v->upsock->askers[i].fd)
            on_question(v, &v->upsock->askers[i]);
    if (n && p[0].revents)
        take_asker(v->upsock);
}

void upsock_tell(struct supervisor *v, int code, const char *message)
{
    for (int i = 0; v->upsock && i < ASKERS; i++)
        if (v->upsock->askers[i].fd >= 0 && v->upsock->askers[i].waits)
            answer(&v->upsock->askers[i], code, message);
}
