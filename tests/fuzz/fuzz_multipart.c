/* objects: webui/multipart.o ; any bytes as a form, however they are cut: the same parts come out,
 * or the same refusal */
#include "webui/multipart.h"

#include "common/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that was said of the parts, one after the other. */
static int begin(void *arg, const char *name, const char *filename, struct err *err)
{
    (void)err;
    return buf_printf(arg, "<%s|%s>", name, filename ? filename : "");
}

static int content(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    if (len == 0)
        abort();
    return buf_append(arg, data, len);
}

static int end(void *arg, struct err *err)
{
    (void)err;
    return buf_puts(arg, "</>");
}

static const struct multipart_events events = {begin, content, end};

static int parse(const char *data, size_t size, size_t piece, struct buf *out)
{
    struct err err = {0};
    struct multipart *m;
    if (multipart_new(&m, "multipart/form-data; boundary=b", &events, out, &err) < 0)
        abort();
    int r = 0;
    for (size_t at = 0; r == 0 && at < size; at += piece)
        r = multipart_feed(m, data + at, size - at < piece ? size - at : piece, &err);
    if (r == 0)
        r = multipart_end(m, &err);
    if (r < 0 && (err.code == 0 || err.msg[0] == '\0'))
        abort();
    multipart_free(m);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = BUF_INIT(1 << 20), cut = BUF_INIT(1 << 20);
    int a = parse((const char *)data, size, size ? size : 1, &whole);
    int b = parse((const char *)data, size, size % 7 + 1, &cut);
    /* What was refused may have been refused a little earlier or later; what was taken is the same.
     */
    if (a != b || (a == 0 && (whole.len != cut.len ||
                              (whole.len && memcmp(whole.data, cut.data, whole.len) != 0))))
        abort();
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
