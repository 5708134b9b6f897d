/* What proxies in front say of a visitor: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC
 * 7239).
 *
 * Each proxy appends the address that it was reached from, so only what trusted ones appended is
 * known: from the right, the first address that is not a trusted proxy's own is the visitor (RFC
 * 7239 sections 5.2, 7.4 and 8.1). What stands to the left of it is whatever the visitor sent. */
#pragma once

#include "client.h"

#include <sys/socket.h>

/* The client's peer is a trusted proxy: takes the visitor's address, scheme and host for this
 * request. False where the visitor has too many requests under way. */
bool forwarded_take(struct client *c, const struct http1_head *h);
/* The request is over. */
void forwarded_drop(struct client *c);

/* ---- pure parts ---- */

/* One address of such a list: IPv4, IPv6, either with a port, IPv6 with a port in brackets, all of
 * it in quotes perhaps. False for anything else ("unknown", "_hidden"). */
bool forwarded_address(const char *p, size_t len, struct sockaddr_storage *ret);

/* The parts of one forwarded-element that count here; NULL and 0 where it has none. */
struct forwarded_element {
    const char *by_for, *proto, *host;
    size_t for_len, proto_len, host_len;
};
/* Elements of a Forwarded value, in order; of more than `max` the last ones. The number, or -1
 * where it is malformed (RFC 7239 section 4). */
int forwarded_elements(const char *p, size_t len, struct forwarded_element *out, int max);
