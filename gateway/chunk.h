/* The chunked coding of RFC 9112 7.1, read strictly and piece by piece.
 *
 * Sizes are 1 to 16 hex digits below 2^63, extensions are checked by their grammar, bounded and
 * dropped, line ends are CRLF. Trailer lines are handed out one at a time; the caller keeps what
 * was not used and gives it again with more behind it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk {
    uint64_t left; /* data bytes to come of the present chunk */
    uint16_t ext_bytes, trailer_bytes, trailers;
    uint8_t digits;
    uint8_t state;
    bool ended; /* CHUNK_END was given */
};
#define CHUNK_EXT_MAX 256 /* bytes of extensions in one chunk */
#define CHUNK_TRAILERS_MAX (8 * 1024)

enum chunk_event {
    CHUNK_BAD = -1,    /* malformed: nothing after it means anything */
    CHUNK_MORE = 0,    /* all but *used bytes are to be given again, with more */
    CHUNK_DATA = 1,    /* `data` and `len` are body bytes within what was given */
    CHUNK_TRAILER = 2, /* `data` and `len` are a field line without its CRLF, name_len its name */
    CHUNK_END = 3,     /* the body is complete; *used ends behind it */
};

/* Begins with a zeroed struct. Takes bytes from `p` and stops at the first thing to report; *used
 * bytes are done with, whatever the event. */
enum chunk_event chunk_next(struct chunk *c, const char *p, size_t n, size_t *used,
                            const char **data, size_t *len, size_t *name_len);
