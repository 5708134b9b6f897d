/* See init_peers.h. */
#include "init_peers.h"

#include "common/util.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_TIMEOUT_MS 5000

void peers_add(struct peers *ps, int fd, enum peer_role role)
{
    if (ps->n == PEERS_MAX) {
        close(fd);
        return;
    }
    ps->p[ps->n++] = (struct peer){.fd = fd, .role = role, .since_ms = mono_ms()};
}

void peers_drop(struct peers *ps, int i)
{
    close(ps->p[i].fd);
    ps->p[i] = ps->p[--ps->n];
}

static int oldest(const struct peers *ps, enum peer_role role)
{
    int found = -1;
    for (int i = 0; i < ps->n; i++)
        if (ps->p[i].role == role && (found < 0 || ps->p[i].since_ms < ps->p[found].since_ms))
            found = i;
    return found;
}

void peers_accept(struct peers *ps, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* out of descriptors: what is idle the longest makes room, or we would spin */
        if (errno == EMFILE || errno == ENFILE) {
            int i = oldest(ps, PEER_NEW);
            i = i < 0 ? oldest(ps, PEER_DIAL) : i;
            if (i >= 0)
                peers_drop(ps, i);
        }
        return;
    }
    if (ps->n == PEERS_MAX) {
        int i = oldest(ps, PEER_NEW);
        if (i >= 0)
            peers_drop(ps, i);
    }
    peers_add(ps, fd, PEER_NEW);
}

void peers_expire(struct peers *ps)
{
    uint64_t now = mono_ms();
    for (int i = ps->n - 1; i >= 0; i--)
        if (ps->p[i].role == PEER_NEW && now - ps->p[i].since_ms > HELLO_TIMEOUT_MS)
            peers_drop(ps, i);
}

bool peers_any_control(const struct peers *ps)
{
    return oldest(ps, PEER_CONTROL) >= 0;
}

void peers_tell_control(struct peers *ps, enum proto_type type, const void *body)
{
    for (int i = ps->n - 1; i >= 0; i--)
        if (ps->p[i].role == PEER_CONTROL && proto_send(ps->p[i].fd, type, body, NULL, 0, NULL) < 0)
            peers_drop(ps, i);
}

bool peers_hello(struct peers *ps, int i, uint32_t role)
{
    if (ps->p[i].role != PEER_NEW)
        return false;
    if (role == HELLO_CONTROL) {
        ps->p[i].role = PEER_CONTROL;
        return true;
    }
    if (role != HELLO_DIAL)
        return false;
    int dials = 0;
    for (int k = 0; k < ps->n; k++)
        dials += ps->p[k].role == PEER_DIAL;
    if (dials >= PEERS_MAX_DIAL)
        return false;
    ps->p[i].role = PEER_DIAL;
    return true;
}

bool peers_dial(struct peers *ps, int i, uint32_t count)
{
    if (count < 1 || count > PROTO_MAX_FDS)
        return false;
    int fds[PROTO_MAX_FDS];
    struct proto_dialed answer = {0};
    while (answer.count < count) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            answer.error = answer.count ? 0 : (uint32_t)errno;
            break;
        }
        fds[answer.count++] = fd;
    }
    int r = proto_send(ps->p[i].fd, PROTO_DIALED, &answer, fds, (int)answer.count, NULL);
    for (uint32_t k = 0; k < answer.count; k++)
        close(fds[k]);
    return r == 0;
}
