/* Answers that go on: server-sent events and followed logs. A stream belongs to its connection's
 * thread, which sleeps until there is news of its Space, until it is time to look again, or until
 * the visitor has left. */
#pragma once

#include "common/buf.h"
#include "webui/http.h"

struct stream_source {
    /* Appends what there is to say now: 0, or 1 where that was the end of it. `news`: there is news
     * of the Space. Called first at once, and then at least every `interval_ms`. */
    int (*next)(void *arg, bool news, struct buf *out);
    void (*free)(void *arg);
    unsigned interval_ms;
    const char *type;      /* Content-Type */
    const char *keepalive; /* sent after 15 s of silence */
    int64_t space_id;      /* whose news; 0 of all, -1 of none */
};

/* `arg` is taken, also where it fails. */
enum MHD_Result stream_answer(struct req *r, const struct stream_source *source, void *arg);
