/* One entry of [network] deny or allow: an address or a prefix of addresses, and for an exception a
 * port if only that one is meant. Written ADDR[/PREFIX][:PORT]; an IPv6 address with a port in
 * brackets: [ADDR][/PREFIX]:PORT. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct netrule {
    bool allow;
    bool v6;
    uint8_t addr[16]; /* network byte order; 4 bytes of it for IPv4; bits below the prefix are 0 */
    unsigned prefix;  /* bits */
    uint16_t port;    /* 0: every port, of TCP and UDP, and ICMP */
};

/* Is it one of the rule's addresses? Ports are not looked at. `addr` has 4 or 16 bytes. */
bool netrule_covers(const struct netrule *r, bool v6, const uint8_t *addr);

/* What is nobody's public address (the registries of RFC 6890), and two that clouds use for what
 * they tell their machines; NULL ends it. Loopback is not among them by mistake: a packet to it can
 * leave by another interface, if its program says so. The rest of IPv6 (link-local, unique local,
 * mapped, NAT64, multicast) is what is not NETRULE_GLOBAL_UNICAST. */
extern const char *const netrule_not_public[];
#define NETRULE_GLOBAL_UNICAST "2000::/3"

/* `allow` says which list the text comes from. -EINVAL with the entry and what is wrong. */
int netrule_parse(const char *text, bool allow, struct netrule *ret, struct err *err);

/* Calls `each` with every entry of a list that commas and blanks separate; ends at the first error.
 * `what` is put before the message. */
int netrule_list(const char *list, const char *what, bool allow,
                 int (*each)(void *arg, const char *entry, const struct netrule *rule,
                             struct err *err),
                 void *arg, struct err *err);
