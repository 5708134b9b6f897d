/* Addresses that carry their own right: to bring or fetch one LFS object of one Space, for an hour.
 * Hugging Face's clients send no token there. The key is made anew by each start of the site. */
#pragma once

#include <stdbool.h>

struct req;

/* "?expires=...&signature=..." for that method ("GET" or "PUT"). */
void lfs_link_query(const char *method, const char *owner, const char *name, const char *oid,
                    char out[160]);
/* Is the request, whose path names the Space and the object (req->what), one of those? */
bool lfs_link_is_good(struct req *r);
