/* What a build may reach, and how: the configuration that the runner hands over (runner/egress.c),
 * one directive a line, words divided by one blank:
 *
 *   allow HOST PORT[,PORT...] [inside]   HOST is a name, an address, or *.NAME for all below it;
 *                                        inside: its addresses need not be public
 *   login http|https HOST PORT VALUE     asked for http://HOST (with :PORT, unless that is the
 *                                        scheme's own), SCHEME://HOST:PORT is fetched with
 *                                        `Authorization: VALUE`
 *   proxy http|https HOST PORT [VALUE]   the operator's own proxy for these URLs, and its
 *                                        Proxy-Authorization
 *   no_proxy LIST                        as programs read it from the environment
 *   ca PATH                              certificates that are trusted
 *   verbatim yes                         the bodies of those who need a login pass as they are:
 *                                        files, not the pages of an index
 *   connections N, bytes N, connection_ms N, idle_ms N */
#pragma once

#include "common/err.h"
#include "common/netrule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define POLICY_HOSTS 128
#define POLICY_PORTS 8
#define POLICY_LOGINS 16
#define POLICY_NAME 256
#define POLICY_VALUE 2048
#define POLICY_OWN 256 /* addresses of this machine */
#define POLICY_RULES 32

struct policy_host {
    char name[POLICY_NAME]; /* lower case; ".x" is all below x */
    uint16_t ports[POLICY_PORTS];
    unsigned n_ports;
    bool inside;
};

struct policy_login {
    char host[POLICY_NAME]; /* lower case */
    uint16_t port, door;    /* the real one, and the one that builds ask for */
    bool secure;
    char value[POLICY_VALUE];
};

struct policy_proxy {
    char host[POLICY_NAME]; /* "" where there is none */
    uint16_t port;
    char value[POLICY_VALUE];
};

struct policy {
    struct policy_host hosts[POLICY_HOSTS];
    unsigned n_hosts;
    struct policy_login logins[POLICY_LOGINS];
    unsigned n_logins;
    struct policy_proxy proxies[2]; /* for http, for https */
    char no_proxy[POLICY_VALUE];
    char ca[1024];
    bool verbatim;
    uint64_t connections, bytes, connection_ms, idle_ms;

    struct netrule own[POLICY_OWN], not_public[POLICY_RULES];
    unsigned n_own, n_not_public;
};

/* -EINVAL with the line's number and what is wrong with it; never with a value of login or proxy.
 */
int policy_parse(struct policy *p, const char *text, size_t len, struct err *err);
/* This machine's addresses, which are nobody's to reach from a build. */
int policy_read_own(struct policy *p, struct err *err);

/* `host` is in lower case. NULL where it is not allowed; *other_ports then says whether it would be
 * with another port. */
const struct policy_host *policy_allows(const struct policy *p, const char *host, uint16_t port,
                                        bool *other_ports);
/* The login that a request for http://HOST:DOOR means, or NULL. */
const struct policy_login *policy_login(const struct policy *p, const char *host, uint16_t door);
/* The proxy that the operator has for it, or NULL. */
const struct policy_proxy *policy_proxy(const struct policy *p, bool secure, const char *host,
                                        uint16_t port);
/* May this address be connected to? `inside` as of the host whose it is. */
bool policy_address_ok(const struct policy *p, bool inside, const struct sockaddr *address);
