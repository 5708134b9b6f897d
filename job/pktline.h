/* git's pkt-lines (gitprotocol-common(5)) as far as they are read outside of git: four hex digits
 * of length, themselves included, and that many bytes; 0000 is a flush. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stddef.h>

enum { PKT_DATA_MAX = 65516, PKT_FLUSH = 0, PKT_DELIMITER = 1, PKT_END = 2, PKT_DATA = 4 };

/* Takes the line at *data: its kind (PKT_...), with what it holds; *data and *len move past it.
 * -EPROTO where there is none. */
int pkt_next(const char **data, size_t *len, const char **ret, size_t *ret_len);

int pkt_append(struct buf *out, const void *data, size_t len);
int pkt_flush(struct buf *out);

/* What receive-pack answered (`data`), with `reason` in the place of git's "pre-receive hook
 * declined" for each ref that was refused. Sideband or not. -EPROTO where it is no such answer. */
int pkt_tell_reason(const char *data, size_t len, const char *reason, struct buf *out);
