/* What a request gets: a header, and a file or a small page. */
#pragma once

#include "static/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_HEAD_MAX = 2 * REQUEST_PATH_MAX * 3 };

/* What is served. */
struct site {
    int root_fd;
    const char *index; /* name of the file that stands for its folder */
};

struct answer {
    char head[ANSWER_HEAD_MAX]; /* the header, then a small page where there is one */
    size_t head_len;
    int file_fd; /* owned; -1 where there is no file to send */
    uint64_t offset, remaining;
    bool close; /* nothing may follow on this connection */
};

/* Fills `answer`, which holds no open file. Never fails: what cannot be served is a page that says
 * so. */
void answer_request(const struct site *site, const struct request *req, struct answer *answer);
/* For a request that could not be understood. */
void answer_status(int status, struct answer *answer);
