/* What is counted of the requests to a Space: as the gateway tells it (TALLY), the runner sums it
 * up and Prometheus reads it. Everything is a 64-bit count, so that all of it is one list of
 * numbers. */
#pragma once

#include "err.h"

#include <stdint.h>

/* Upper bounds of the histograms' buckets in microseconds; one more bucket has no bound. */
#define TALLY_BOUNDS 15
#define TALLY_BUCKETS (TALLY_BOUNDS + 1)
extern const uint32_t tally_bounds_us[TALLY_BOUNDS];
extern const char *const tally_bounds_s[TALLY_BUCKETS]; /* "0.001" ... "60", "+Inf" */

#define TALLY_CLASSES 6 /* by the status' first digit; 0: ended without an answer */

struct tally_counts {
    uint64_t requests[TALLY_CLASSES];
    uint64_t bytes_in, bytes_out;        /* of content */
    uint64_t cold_starts;                /* times that it was woken */
    uint64_t duration[TALLY_BUCKETS];    /* of requests, without WebSockets and event streams */
    uint64_t first_byte[TALLY_BUCKETS];  /* until the answer began */
    uint64_t duration_us, first_byte_us; /* sums */
};
#define TALLY_NUMBERS (sizeof(struct tally_counts) / sizeof(uint64_t))
#define TALLY_BYTES 344 /* in a message: the numbers in order, little-endian */
_Static_assert(TALLY_BYTES == TALLY_NUMBERS * 8, "the size in proto.h");

/* The requests that are about no Space. */
#define TALLY_SITE "(site)"
#define TALLY_NONE "(none)" /* nobody's host name, or no request at all */

static inline unsigned tally_bucket(uint64_t us)
{
    unsigned i = 0;
    while (i < TALLY_BOUNDS && us > tally_bounds_us[i])
        i++;
    return i;
}

void tally_pack(const struct tally_counts *c, char out[TALLY_BYTES]);
/* Adds what came to `sum`. -EPROTO where it is not of this length. */
int tally_add(struct tally_counts *sum, const char *bytes, uint32_t len);
