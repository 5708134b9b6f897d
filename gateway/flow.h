/* Moves one body from a connection to another: read, checked, written, at most a buffer of it in
 * between. */
#pragma once

#include "client.h"

enum flow_result {
    FLOW_WAIT,    /* nothing more can be done now: for the flags see the connections */
    FLOW_DONE,    /* the body has ended and all of it is written */
    FLOW_TURN,    /* much was done; others' turn, go on later */
    FLOW_CUT,     /* the source ended or broke before the body did */
    FLOW_BAD,     /* the source's chunks are malformed */
    FLOW_DST_GONE /* the destination broke */
};

enum flow_result flow_pump(struct loop *l, struct flow *f, struct conn *src, struct conn *dst);
