/* Brings a bundle to the server: for `deploy`, and for the examples of `up`. */
#pragma once

#include "client.h"
#include "progress.h"
#include "spacename.h"

/* Packs a folder, or takes an archive as it is, and sends it. *ret: the server's answer
 * {"id","url", "version","stage",...}. With `if_changed`, a folder whose content is what the server
 * has already is not sent again: *ret is then the Space as it is. */
int submit(struct client *c, const char *path, const struct spacename *n, bool if_changed,
           struct progress *p, json_t **ret, struct err *err);
