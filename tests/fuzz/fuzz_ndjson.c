/* objects: job/ndjson.o; libs: -ljansson
 * any bytes as the body of a commit, in pieces of different sizes: the outcome must not depend on
 * them */
#include "common/buf.h"
#include "job/ndjson.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT_MAX = 1 << 20 };

struct seen {
    struct buf content;
    unsigned lines, files;
};

static int on_content(void *arg, bool first, const void *data, size_t len, struct err *err)
{
    struct seen *s = arg;

    (void)err;
    s->files += first;
    return buf_append(&s->content, data, len);
}

static int on_line(void *arg, const json_t *object, bool has_content, unsigned number,
                   struct err *err)
{
    struct seen *s = arg;

    (void)err;
    if (!json_is_object(object) || number == 0)
        abort();
    if (has_content &&
        json_string_length(json_object_get(json_object_get(object, "value"), "content")) != 0 &&
        !json_object_get(object, "value"))
        abort();
    s->lines++;
    return 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
    const struct ndjson_calls calls = {.content = on_content, .line = on_line, .arg = s};
    struct ndjson *n = ndjson_new(&calls);
    struct err err = {0};
    int r = n ? 0 : -1;

    *s = (struct seen){.content = BUF_INIT(CONTENT_MAX)};
    for (size_t at = 0; r == 0 && at < size; at += piece)
        r = ndjson_feed(n, (const char *)data + at, size - at < piece ? size - at : piece, &err);
    if (r == 0)
        r = ndjson_end(n, &err);
    if (r < 0 && (!*err.msg || strchr(err.msg, '\n')))
        abort();
    ndjson_free(n);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, single, three;
    int a = run(data, size, size ? size : 1, &whole), b = run(data, size, 1, &single),
        c = run(data, size, 3, &three);

    if (a != b || b != c || whole.lines != single.lines || single.lines != three.lines ||
        whole.files != single.files)
        abort();
    if (a == 0 &&
        (whole.content.len != single.content.len || three.content.len != single.content.len ||
         (single.content.len &&
          memcmp(whole.content.data, single.content.data, single.content.len) != 0)))
        abort();
    buf_free(&whole.content);
    buf_free(&single.content);
    buf_free(&three.content);
    return 0;
}
