/* What `up` says to a gateway, and so what each of its loops does (crew.h). */
#pragma once

#include "loop.h"

/* A SUP_... message; takes what it needs of its descriptors, of which the first is the loop's. */
void orders_take(struct loop *l, struct proto_msg *m);
/* SIGTERM: accepts no more; answers in flight get a moment. */
void orders_stop(struct loop *l);
