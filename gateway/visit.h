/* Who may see a private Space. Known by a visit that the site has signed (a cookie, common/visit.h)
 * or by a long-lived token in Authorization or X-HF-Authorization, which is asked about: gateway ->
 * runner -> webui. Either answer is remembered for a while, by a hash, in a table of fixed size. */
#pragma once

#include "client.h"

struct visits;
struct proto_token_answer;

/* Reads the public half of the key and the hash of the admin token, while files can be opened;
 * without them private Spaces stay closed. */
int visits_new(struct loop *l, struct err *err);
void visits_free(struct loop *l);

/* `/.vitrine/visit?VISIT&PATH`: sets the cookie and goes on to PATH. True where the request was
 * that, and is answered (or waits for the route). */
bool visit_enter(struct client *c, struct route *r);

/* May the request go on to the Space? False where it is answered, or waits for the answer. What of
 * the request is ours, and must not reach the demo, is noted in the client. */
bool visit_may(struct client *c, struct route *r);

void visit_answer(struct loop *l, const struct proto_token_answer *m);
/* It waited too long. */
void visit_give_up(struct client *c);
