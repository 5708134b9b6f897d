#include "webui/multipart.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX 8192
#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */
#define FEED_MAX 32768  /* taken at once */

enum state {
    PREAMBLE, /* before the first boundary */
    BOUNDARY, /* right after one: "--" or the end of the line */
    HEADERS,
    CONTENT,
    EPILOGUE, /* after the last boundary; ignored */
};

struct multipart {
    enum state state;
    const struct multipart_events *events;
    void *arg;
    char delimiter[BOUNDARY_MAX + 5]; /* "\r\n--boundary" */
    size_t delimiter_len;
    struct buf in; /* what was not consumed yet */
};

/* A parameter's value out of `form-data; name="x"; filename="y"`: NULL where it is not there. */
static char *parameter(const char *value, const char *name)
{
    size_t name_len = strlen(name);
    const char *p = strchr(value, ';');
    while (p) {
        p += 1 + strspn(p + 1, " \t");
        bool ours = strncasecmp(p, name, name_len) == 0 && p[name_len] == '=';
        p += strcspn(p, "=;");
        if (*p != '=') {
            p = *p ? p : NULL;
            continue;
        }
        p++;
        bool quoted = *p == '"';
        p += quoted;
        char *out = ours ? malloc(strlen(p) + 1) : NULL;
        size_t n = 0;
        for (; *p && *p != (quoted ? '"' : ';'); p++) {
            char c = *p;
            if (c == '\\' && p[1] == '"')
                c = *++p;
            else if (strncmp(p, "%22", 3) == 0) {
                c = '"';
                p += 2;
            }
            if (out)
                out[n++] = c;
        }
        if (ours) {
            if (out)
                out[n] = 0;
            return out;
        }
        p = strchr(p, ';');
    }
    return NULL;
}

int multipart_new(struct multipart **ret, const char *content_type,
                  const struct multipart_events *events, void *arg, struct err *err)
{
    if (!content_type || strncasecmp(content_type, "multipart/form-data", 19) != 0)
        return err_set(err, EINVAL, "the form must be sent as multipart/form-data");
    _cleanup_free_ char *boundary = parameter(content_type, "boundary");
    if (!boundary || !*boundary || strlen(boundary) > BOUNDARY_MAX)
        return err_set(err, EINVAL,
                       "the form has no boundary of 1 to 70 characters in its Content-Type");
    struct multipart *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, ENOMEM, "out of memory");
    m->events = events;
    m->arg = arg;
    m->delimiter_len = (size_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", boundary);
    m->in = BUF_INIT(HEADER_MAX + FEED_MAX + sizeof m->delimiter);
    /* The first boundary may open the body: with this it looks like every other. */
    if (buf_puts(&m->in, "\r\n") < 0) {
        multipart_free(m);
        return err_set(err, ENOMEM, "out of memory");
    }
    *ret = m;
    return 0;
}

void multipart_free(struct multipart *m)
{
    if (!m)
        return;
    buf_free(&m->in);
    free(m);
}

/* The header block, NUL-terminated, with "\r\n" after each line. */
static int part_begin(struct multipart *m, char *headers, struct err *err)
{
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ char *filename = NULL;
    bool said = false;
    for (char *line = headers; *line;) {
        char *end = strstr(line, "\r\n");
        if (end)
            *end = 0;
        if (strncasecmp(line, "Content-Disposition:", 20) == 0 && !said) {
            said = true;
            name = parameter(line, "name");
            filename = parameter(line, "filename");
        }
        line = end ? end + 2 : line + strlen(line);
    }
    if (!name)
        return err_set(err, EINVAL, "a part of the form has no name");
    return m->events->part_begin(m->arg, name, filename, err);
}

/* One step forward: 1 go on, 0 more bytes are needed, negative errno. */
static int step(struct multipart *m, struct err *err)
{
    struct buf *in = &m->in;
    int r;
    if (m->state == EPILOGUE) {
        buf_clear(in);
        return 0;
    }
    if (m->state == BOUNDARY) {
        if (in->len < 2)
            return 0;
        if (memcmp(in->data, "--", 2) == 0)
            m->state = EPILOGUE;
        else if (memcmp(in->data, "\r\n", 2) == 0)
            m->state = HEADERS;
        else
            return err_set(err, EINVAL, "the form's boundary is followed by something else");
        /* The line's end stays: a part without headers has only an empty line. */
        if (m->state == EPILOGUE)
            buf_consume(in, 2);
        return 1;
    }
    if (m->state == HEADERS) {
        char *end = memmem(in->data, in->len, "\r\n\r\n", 4);
        size_t len = end ? (size_t)(end - in->data) : in->len;
        if (len > HEADER_MAX)
            return err_set(err, EINVAL, "a part of the form has a header of more than 8 KiB");
        if (!end)
            return 0;
        if (memchr(in->data, 0, len))
            return err_set(err, EINVAL, "a part of the form has a NUL in its header");
        *end = 0;
        r = part_begin(m, in->data + 2 < end ? in->data + 2 : end, err);
        if (r < 0)
            return r;
        buf_consume(in, len + 4);
        m->state = CONTENT;
        return 1;
    }

    /* PREAMBLE, CONTENT: up to the delimiter, or to where one may begin. */
    char *end = in->len ? memmem(in->data, in->len, m->delimiter, m->delimiter_len) : NULL;
    size_t keep = m->delimiter_len - 1;
    size_t len = end ? (size_t)(end - in->data) : in->len > keep ? in->len - keep : 0;
    if (m->state == CONTENT && len > 0) {
        r = m->events->part_data(m->arg, in->data, len, err);
        if (r < 0)
            return r;
    }
    if (!end) {
        buf_consume(in, len);
        return 0;
    }
    if (m->state == CONTENT) {
        r = m->events->part_end(m->arg, err);
        if (r < 0)
            return r;
    }
    buf_consume(in, len + m->delimiter_len);
    m->state = BOUNDARY;
    return 1;
}

int multipart_feed(struct multipart *m, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        size_t n = len < FEED_MAX ? len : FEED_MAX;
        if (buf_append(&m->in, data, n) < 0)
            return err_set(err, ENOMEM, "out of memory");
        data += n;
        len -= n;
        int r;
        while ((r = step(m, err)) == 1)
            ;
        if (r < 0)
            return r;
    }
    return 0;
}

int multipart_end(struct multipart *m, struct err *err)
{
    return m->state == EPILOGUE
               ? 0
               : err_set(err, EINVAL, "the form is cut: its last boundary is missing");
}
