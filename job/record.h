/* What `vitrine-job unpack` tells at its end: one JSON object about the bundle. */
#pragma once

#include "common/buf.h"
#include "job/card.h"

#include <stdint.h>

enum { RECORD_README_MAX = 64 * 1024 };

struct record {
    const struct card *card;
    const char *sha;     /* of the commit; without a repository the tree's hash */
    const char *content; /* tree_hash of what was submitted: the same for every commit of it */
    const char *subject; /* the first line of the commit's message; NULL none */
    uint64_t files, bytes;
    const char *readme; /* README.md below its front matter */
    size_t readme_len;
};

/* {"sha","files","bytes","title","emoji","color_from","color_to","short_description","sdk",
 * "app_file","app_port","base_path","start_timeout_ms","card","warnings","readme","content",
 * "subject"} on one
 * line.
 * The README is cut to RECORD_README_MAX bytes, and what is no text in it becomes U+FFFD. */
int record_write(const struct record *record, struct buf *out, struct err *err);
