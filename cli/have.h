/* What of a folder the server has already, so that it need not be sent. */
#pragma once

#include "client.h"
#include "folder.h"
#include "spacename.h"

/* Marks the files whose content the Space's newest version has at the same path (entry.kept), and
 * returns how many. Where that cannot be known (a new Space, no git on this machine, an older
 * server), none: then everything is sent. */
size_t have_mark(struct client *c, const struct spacename *n, struct folder *folder);
/* Takes the marks away. */
void have_forget(struct folder *folder);
