#include "accept.h"

#include "client.h"
#include "crew.h"
#include "intro.h"
#include "limits.h"
#include "tally.h"
#include "tls.h"
#include "trust.h"
#include "common/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100

static void turn_away(int fd, bool tls)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 5\r\nConnection: close\r\n\r\n";
    if (!tls)
        send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static bool is_loopback(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
    }
    return peer->ss_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) >> 24 == 127;
}

/* False where it is closed already. */
static bool accept_one(struct loop *l, const struct listener *from, int fd,
                       const struct sockaddr_storage *peer)
{
    struct limits_address *address;
    /* With a proxy in front every visitor has the proxy's address: only the totals hold then. */
    bool trusted = trust_covers(l, peer);
    bool behind_proxy =
        trusted || (l->conf->server_public_url[0] && !l->conf->tls_listen[0] && is_loopback(peer));
    uint64_t max = behind_proxy ? UINT64_MAX : l->conf->gateway_max_per_address;

    if (from->proxied && !trusted) { /* it could claim to be anybody */
        char ip[46];
        bool ip6;
        trust_text(peer, ip, &ip6);
        intro_say(l, ip, "it is not among server.trusted_proxies");
        tally_turned_away(l);
        close(fd);
        return false;
    }
    if (crew_total(l, CREW_CLIENTS) >= l->conf->gateway_max_connections ||
        !(address = limits_enter(l->limits, peer, max))) {
        tally_turned_away(l);
        turn_away(fd, from->tls);
        return false;
    }
    struct client *c = client_new(l, fd, address);
    if (!c) {
        limits_leave(address);
        tally_turned_away(l);
        turn_away(fd, from->tls);
        return false;
    }
    c->behind_proxy = behind_proxy;
    c->state = from->proxied ? CLIENT_INTRO : CLIENT_READ;
    c->trusted = trusted && !from->proxied; /* a proxied one speaks by its header */
    trust_text(peer, c->peer_ip, &c->peer_ip6);
    memcpy(c->ip, c->peer_ip, sizeof(c->ip));
    c->ip6 = c->peer_ip6;
    tally_accepted(l);
    if ((from->tls && tls_begin(l, &c->conn) < 0) || loop_add(l, &c->conn.io) < 0)
        client_close(c, true);
    return true;
}

void accept_take(struct loop *l, const struct listener *from, int fd,
                 const struct sockaddr_storage *peer)
{
    if (!accept_one(l, from, fd, peer))
        crew_left(l);
}

static void accept_again(struct timer *t)
{
    struct loop *l = container_of(t, struct loop, accept_timer);
    for (int i = 0; i < PROTO_LISTENERS && !l->stopping; i++)
        if (l->listeners[i].io.fd >= 0)
            loop_watch(l, &l->listeners[i]); /* those that are: EEXIST */
    l->accept_paused = false;
}

void accept_on_listener(struct loop *l, struct io *io, uint32_t events)
{
    struct listener *listener = container_of(io, struct listener, io);
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(io->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (!crew_hand_over(l, listener, fd, &peer))
                accept_take(l, listener, fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn(NULL, "gateway.accept",
                     "cannot accept a connection: %s; raise the limit of "
                     "open files",
                     strerror(errno));
            loop_unwatch(l, listener);
            l->accept_paused = true;
            l->accept_timer.on_fire = accept_again;
            timer_set(l->wheel, &l->accept_timer, l->now_ms + ACCEPT_PAUSE_MS);
            return;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}
