/* objects: job/requirements.o runner/lock.o
 * any bytes as a requirement file, and as a lock that a resolution says it made */
#include "common/cleanup.h"
#include "job/requirements.h"
#include "runner/lock.h"

#include <stdint.h>
#include <string.h>

static void on_include(void *arg, const char *path)
{
    if (!*path)
        (*(unsigned *)arg)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(requirements_free) struct requirements q = REQUIREMENTS_INIT;
    _cleanup_free_ char *text = malloc(size + 1);
    unsigned empty = 0;

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    /* Whatever is shared by all names nothing of a tree, and nothing without a hash. */
    if (lock_judge(text, size) == LOCK_SHARED) {
        for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
            end = strchrnul(line, '\n');
            line += strspn(line, " \t\r");
            if (line < end && *line != '-' && !memmem(line, (size_t)(end - line), "sha256:", 7))
                abort();
        }
        if (strstr(text, " @ "))
            abort();
    }
    if (lock_count(text, size) > size)
        abort();
    requirements_scan(text, "gradio", &q, on_include, &empty);
    if (q.options.len && q.options.data[q.options.len - 1] != '\n')
        abort();
    return 0;
}
