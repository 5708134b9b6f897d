/* The header of the PROXY protocol, with which a proxy in front says who connected to it (haproxy's
 * doc/proxy-protocol.txt: version 1 is section 2.1, version 2 section 2.2). A pure function over
 * the first bytes of a connection. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PROXYHEAD_MAX                                                                              \
    1024 /* a longer one is refused: addresses take 216 bytes, the rest is TLVs                    \
          */

struct proxyhead {
    bool known; /* `from` is the visitor; else (LOCAL, UNKNOWN, UNSPEC, a Unix socket) the proxy
                   speaks for itself or does not know */
    struct sockaddr_storage from;
};

/* > 0: the header's length. 0: more bytes are needed. < 0: no header, or a malformed one. */
int proxyhead_parse(struct proxyhead *h, const void *bytes, size_t len);
