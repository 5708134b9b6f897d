/* Sends a bundle's archive: in one go, or, where it is large, in a way that goes on where it was
 * when the connection broke, in this call or in another one of the same content. */
#pragma once

#include "client.h"
#include "spacename.h"

/* `path_query` is the bundle's address with its query. `progress` as in client.h. *ret: the
 * server's answer. */
int send_bundle(struct client *c, const struct spacename *n, const char *path_query, int fd,
                uint64_t size, void (*progress)(void *arg, uint64_t sent, uint64_t total),
                void *arg, json_t **ret, struct err *err);
