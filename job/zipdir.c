/* The end of a zip file:
 *
 *   entries of the directory   "PK\1\2", 46 bytes, name, extra, comment
 *   zip64 end                  "PK\6\6", where counts or offsets do not fit 32 bits
 *   zip64 locator              "PK\6\7", 20 bytes: where the zip64 end is
 *   end                        "PK\5\6", 22 bytes, comment of up to 65,535 bytes
 */
#include "job/zipdir.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

enum { END_SIZE = 22, LOCATOR_SIZE = 20, ZIP64_END_SIZE = 56, ENTRY_SIZE = 46 };

static uint16_t u16(const unsigned char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static uint32_t u32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t u64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static int pread_all(int fd, void *data, size_t len, uint64_t at)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(at + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        got += (size_t)n;
    }
    return 0;
}

static int truncated(struct err *err)
{
    return err_set(err, EINVAL, "the zip is truncated or damaged: its directory is missing");
}

/* Finds where the directory starts and where it must end by then. */
static int locate(int fd, uint64_t size, uint64_t *ret_start, uint64_t *ret_end, struct err *err)
{
    size_t tail_size = size < 65535 + END_SIZE ? (size_t)size : 65535 + END_SIZE;
    _cleanup_free_ unsigned char *tail = malloc(tail_size);
    unsigned char locator[LOCATOR_SIZE], end64[ZIP64_END_SIZE];
    uint64_t base = size - tail_size;

    if (!tail)
        return err_set(err, ENOMEM, "out of memory");
    if (tail_size < END_SIZE || pread_all(fd, tail, tail_size, base) < 0)
        return truncated(err);
    for (size_t i = tail_size - END_SIZE + 1; i-- > 0;) {
        const unsigned char *p = tail + i;

        if (memcmp(p, "PK\5\6", 4) != 0)
            continue;
        uint64_t at = base + i, bytes = u32(p + 12), start = u32(p + 16);

        if (at >= LOCATOR_SIZE && pread_all(fd, locator, LOCATOR_SIZE, at - LOCATOR_SIZE) == 0 &&
            memcmp(locator, "PK\6\7", 4) == 0) {
            uint64_t at64 = u64(locator + 8);

            if (at64 > at - LOCATOR_SIZE || at - LOCATOR_SIZE - at64 < ZIP64_END_SIZE ||
                pread_all(fd, end64, ZIP64_END_SIZE, at64) < 0 || memcmp(end64, "PK\6\6", 4) != 0)
                return truncated(err);
            bytes = u64(end64 + 40);
            start = u64(end64 + 48);
            at = at64;
        }
        if (start > at || bytes > at - start)
            return truncated(err);
        /* Something may stand before the zip: then the directory is where it ends. */
        *ret_start = at - bytes;
        *ret_end = at;
        return 0;
    }
    return truncated(err);
}

int zipdir_check(int fd, uint64_t size, uint64_t max_entries, struct err *err)
{
    enum { WINDOW = 1 << 18 };
    _cleanup_free_ unsigned char *window = malloc(WINDOW);
    uint64_t at = 0, end = 0, window_at = 0, window_len = 0;
    int r = locate(fd, size, &at, &end, err);

    if (r < 0)
        return r;
    if (!window)
        return err_set(err, ENOMEM, "out of memory");
    for (uint64_t count = 0; end - at >= ENTRY_SIZE; count++) {
        if (at < window_at || at + ENTRY_SIZE > window_at + window_len) {
            window_at = at;
            window_len = end - at < WINDOW ? end - at : WINDOW;
            if (pread_all(fd, window, (size_t)window_len, at) < 0)
                return truncated(err);
        }
        const unsigned char *p = window + (at - window_at);

        if (memcmp(p, "PK\1\2", 4) != 0)
            return truncated(err);
        if (count == max_entries)
            return err_set(err, E2BIG, "the archive has more than %llu files and folders",
                           (unsigned long long)max_entries);
        if (u16(p + 8) & 1)
            return err_set(err, EINVAL, "the zip is encrypted; make one without a password");
        uint64_t len = ENTRY_SIZE + (uint64_t)u16(p + 28) + u16(p + 30) + u16(p + 32);

        if (len > end - at)
            return truncated(err);
        at += len;
    }
    return 0;
}
