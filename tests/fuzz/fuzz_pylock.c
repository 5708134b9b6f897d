/* objects: job/pylock.o runner/lock.o
 * any bytes as a pylock.toml, and as the lock that one is made of */
#include "common/buf.h"
#include "common/cleanup.h"
#include "job/pylock.h"
#include "runner/lock.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = malloc(size + 1);
    _cleanup_buf_ struct buf lock = BUF_INIT(MOST), toml = BUF_INIT(MOST), again = BUF_INIT(MOST),
                             other = BUF_INIT(MOST);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    /* What is taken is of the strictest form, and nothing is lost on the way back. */
    if (pylock_read(text, &lock)) {
        if (lock_judge(lock.data, lock.len) != LOCK_SHARED || !pylock_write(lock.data, &toml) ||
            !pylock_read(toml.data, &again) || strcmp(lock.data, again.data) != 0)
            abort();
    } else if (lock.len) {
        abort();
    }
    (void)pylock_write(text, &other);
    return 0;
}
