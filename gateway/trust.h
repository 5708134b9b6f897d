/* Proxies in front: whose word on a visitor's address is taken ([server] trusted_proxies), and the
 * address itself. */
#pragma once

#include "client.h"

#include <sys/socket.h>

struct trust;

int trust_new(struct loop *l, struct err *err);
void trust_free(struct loop *l);
/* Is it a trusted proxy's address? Whoever comes by a Unix socket is one: its mode says who may. */
bool trust_covers(const struct loop *l, const struct sockaddr_storage *peer);
/* The address as text: "192.0.2.1", "2001:db8::1" (`ip6`), "unknown". A mapped IPv4 address is one
 * of IPv4. */
void trust_text(const struct sockaddr_storage *peer, char out[46], bool *ip6);
