/* Heads as they go on: written anew from what was parsed. */
#pragma once

#include "client.h"

/* OPTIONS with Max-Forwards (RFC 9110, 7.6.2): who gets it at 0 answers, others count down. */
bool rewrite_counts_hops(const struct http1_head *h, const char *p);
/* The request as the demo gets it, appended to *out. 0 or -errno. */
int rewrite_request(struct client *c, const struct http1_head *h, const char *p, struct gbuf **out);
/* The answer as the visitor gets it, appended to *out. `h` lies in `p`. Says `Connection: close`
 * where c->keep_alive is false. `site`: the answer is the site's own, and nothing is taken from it.
 * 0 or -errno. */
int rewrite_response(struct client *c, const struct http1_head *h, const char *p, bool site,
                     struct gbuf **out);
/* The same for the head at the front of `in`, whose body comes behind it: in its place, so that it
 * goes on in one piece with that, or, where it has grown by more than there is room for in front,
 * in *out. What `h` points to is gone then. The head's length in `in`, 0 where it is in *out, or
 * -errno. */
int rewrite_response_in_front(struct client *c, const struct http1_head *h, bool site,
                              struct gbuf *in, struct gbuf **out);
/* A trailer line may go on? */
bool rewrite_trailer_ok(const char *name, size_t len);
