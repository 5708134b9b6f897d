/* The access log: a line for each request, when it is over.
 *
 * The file is opened by `vitrine up`, which sends its descriptor and sends another one when the
 * file was moved away. Lines gather in a buffer that is written when it is nearly full and within a
 * second. A disk that is full, or a pipe that nobody reads, costs lines, never a visitor's time:
 * what finds no room is dropped, and the number of what was lost is said once there is room. */
#pragma once

#include "client.h"

struct access;
struct route;

/* Makes l->access where the configuration wants a log; else it stays NULL. */
int access_new(struct loop *l, struct err *err);
void access_free(struct loop *l); /* what is left is written, if that works at once */
/* The file from now on (taken over). */
void access_set_file(struct loop *l, int fd);
/* Keeps what the line needs of the request's head, and gives the request its id. `h` NULL: it was
 * no request. */
void access_begin(struct client *c, const struct http1_head *h);
/* The request is over: its line. `cut`: before its answer was. */
void access_end(struct client *c, bool cut);
/* It is about this Space. Only where there is a line. */
void access_space(struct client *c, const struct route *r);
/* The request's id, in the log and for the demo. Only where there is a line. */
#define ACCESS_ID 40
void access_id(const struct client *c, char out[ACCESS_ID]);
