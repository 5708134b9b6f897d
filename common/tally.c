#include "tally.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

const uint32_t tally_bounds_us[TALLY_BOUNDS] = {1000,    2500,    5000,     10000,    25000,
                                                50000,   100000,  250000,   500000,   1000000,
                                                2500000, 5000000, 10000000, 30000000, 60000000};
const char *const tally_bounds_s[TALLY_BUCKETS] = {
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
    "0.5",   "1",      "2.5",   "5",    "10",    "30",   "60",  "+Inf"};

void tally_pack(const struct tally_counts *c, char out[TALLY_BYTES])
{
    uint64_t v[TALLY_NUMBERS];
    memcpy(v, c, sizeof(v));
    for (size_t i = 0; i < TALLY_NUMBERS; i++)
        v[i] = htole64(v[i]);
    memcpy(out, v, sizeof(v));
}

int tally_add(struct tally_counts *sum, const char *bytes, uint32_t len)
{
    uint64_t v[TALLY_NUMBERS], s[TALLY_NUMBERS];
    if (len != TALLY_BYTES)
        return -EPROTO;
    memcpy(v, bytes, sizeof(v));
    memcpy(s, sum, sizeof(s));
    for (size_t i = 0; i < TALLY_NUMBERS; i++)
        s[i] += le64toh(v[i]);
    memcpy(sum, s, sizeof(s));
    return 0;
}
