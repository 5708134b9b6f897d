#include "intro.h"

#include "limits.h"
#include "trust.h"
#include "common/log.h"
#include "common/proxyhead.h"

#include <errno.h>
#include <string.h>

#define SAY_MS 60000

void intro_say(struct loop *l, const char *ip, const char *why)
{
    if (l->intro_said_ms && l->now_ms - l->intro_said_ms < SAY_MS)
        return;
    log_warn(NULL, "gateway.proxy_header", "a connection from %s was closed: %s", ip, why);
    l->intro_said_ms = l->now_ms;
}

/* False where it was closed. */
static bool take_visitor(struct client *c, const struct proxyhead *h)
{
    struct loop *l = c->loop;
    bool trusted = trust_covers(l, &h->from);
    struct limits_address *a =
        limits_enter(l->limits, &h->from, trusted ? UINT64_MAX : l->conf->gateway_max_per_address);
    if (!a) {
        client_close(c, false);
        return false;
    }
    limits_leave(c->address);
    c->address = a;
    c->trusted = c->behind_proxy = trusted;
    trust_text(&h->from, c->peer_ip, &c->peer_ip6);
    memcpy(c->ip, c->peer_ip, sizeof(c->ip));
    c->ip6 = c->peer_ip6;
    return true;
}

void intro_step(struct client *c)
{
    char bytes[PROXYHEAD_MAX];
    struct proxyhead h;

    if (!c->conn.readable)
        return;
    ssize_t n = recv(c->conn.io.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        c->conn.readable = false;
        return;
    }
    if (n <= 0) {
        client_close(c, false);
        return;
    }
    int len = proxyhead_parse(&h, bytes, (size_t)n);
    if (len < 0) {
        intro_say(c->loop, c->ip, "it does not begin with a PROXY header");
        client_close(c, false);
        return;
    }
    if (len == 0) {
        if (c->conn.fin)
            client_close(c, false);
        c->conn.readable = false; /* more of it is an edge */
        return;
    }
    if (recv(c->conn.io.fd, bytes, (size_t)len, MSG_DONTWAIT) != len) {
        client_close(c, false);
        return;
    }
    if (h.known && !take_visitor(c, &h))
        return;
    c->state = CLIENT_READ;
}
