/* Reading a bounded log of two parts that are written in turn (proto.h, LOG_FILES): from its oldest
 * line or the last N, and on as it grows. */
#pragma once

#include "common/buf.h"
#include "webui/link.h"

#include <stdbool.h>

struct logtail {
    int fds[2];
    int count, current;       /* `current` grows; the other one is full */
    bool old_first;           /* the full part is read first */
    int64_t offset;           /* in the part that is read now */
    int64_t other_changed_ns; /* of the full part: when that changes, the parts have swapped */
};

/* Takes the descriptors of `log`. */
void logtail_open(struct logtail *t, struct link_log *log);
void logtail_close(struct logtail *t);
/* Are these the files that it reads? Not whether they are those of the same worker: a build's log
 * goes on with the next build. */
bool logtail_is_of(const struct logtail *t, const struct link_log *log);

/* Begins at the last `lines` lines. */
void logtail_seek(struct logtail *t, long lines);

/* Appends whole lines of what is there, at most about `max` bytes; the last line of a log that does
 * not grow any more (`all`) also without its end. True where there was something. */
bool logtail_read(struct logtail *t, bool all, size_t max, struct buf *out);
