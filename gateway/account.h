/* What is noted of each request, for the access log and the counters: begun with its head, ended
 * with its answer or its connection. Times are those of the loop's rounds: no clock is asked. */
#pragma once

#include "client.h"

struct tally;

/* A head has come; `h` NULL: something that is none. */
void account_begin(struct client *c, const struct http1_head *h);
/* It is about this Space, or about the site. */
void account_enter(struct client *c, struct tally *t);
/* The answer begins. */
void account_answer(struct client *c, int status);
/* It is one that lasts: how long says nothing of how fast it is. */
enum account_stream { ACCOUNT_PLAIN, ACCOUNT_WEBSOCKET, ACCOUNT_EVENTS };
void account_stream(struct client *c, enum account_stream kind);
/* It is over; `cut`: before the answer was. Nothing happens where none is under way. */
void account_end(struct client *c, bool cut);
