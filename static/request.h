/* The head of an HTTP/1.1 request, as far as a server of files needs it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST_HEAD_MAX = 16384, REQUEST_PATH_MAX = 4096 };

struct request {
    bool get, head;  /* neither: a method that is not served */
    bool keep_alive; /* the client wants to go on on this connection */
    bool has_body;
    char path[REQUEST_PATH_MAX]; /* decoded, begins with one '/', no empty components */
    const char *query;           /* with its '?', or ""; points into the head, not terminated */
    size_t query_len;
    char if_none_match[256], if_modified_since[64], if_range[64], range[64]; /* "" where absent */
};

/* Parses `head` of `len` bytes, the blank line included. 0, or the status to answer with (400, 414,
 * 505); then the connection cannot go on. */
int request_parse(const char *head, size_t len, struct request *ret);

/* Bytes of the head at the start of data, its blank line included; 0 while it is not whole. */
size_t request_head_len(const char *data, size_t len);

/* A range of a file of `size` bytes. 0: none was asked for, or one that is not served (several, or
 * another unit): the whole file; 206: *ret_start and *ret_len are set; 416: outside of the file. */
int request_range(const char *range, uint64_t size, uint64_t *ret_start, uint64_t *ret_len);
