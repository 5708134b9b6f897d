/* What was asked: header fields, the query, the fields of a form, the next page of a list. */
#include "webui/http.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/form.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *req_header(struct req *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *req_query(struct req *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

long req_query_number(struct req *r, const char *name, long min, long max, long fallback)
{
    const char *text = req_query(r, name);
    char *end;
    if (!text || !*text)
        return fallback;
    long n = strtol(text, &end, 10);
    return *end || n < min || n > max ? fallback : n;
}

bool req_wants_json(struct req *r)
{
    const char *accept = req_header(r, "Accept");
    return strncmp(r->path, "/api/", 5) == 0 || (accept && strstr(accept, "application/json"));
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *p = strchr(digits, c);
    return c && p ? (int)((p - digits) % 16) : -1;
}

bool req_decode(char *out, size_t size, const char *text, size_t len, bool form)
{
    size_t n = 0;
    for (const char *end = text + len; text < end; text++) {
        int high = *text == '%' && end - text > 2 ? hex_digit(text[1]) : -1;
        int low = high >= 0 ? hex_digit(text[2]) : -1;
        if (n + 1 >= size)
            return false;
        out[n++] = low >= 0 ? (char)(high * 16 + low) : form && *text == '+' ? ' ' : *text;
        if (low >= 0)
            text += 2;
    }
    out[n] = 0;
    return strlen(out) == n;
}

bool req_field(struct req *r, const char *name, char *out, size_t size)
{
    const char *p = r->small.data ? r->small.data : "";
    size_t name_len = strlen(name);
    while (strncmp(p, name, name_len) != 0 || p[name_len] != '=') {
        p = strchr(p, '&');
        if (!p)
            return false;
        p++;
    }
    p += name_len + 1;
    return req_decode(out, size, p, strcspn(p, "&"), true);
}

struct next_page {
    struct buf url;
    const char *key; /* which is left out */
};

static enum MHD_Result add_argument(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    struct next_page *next = cls;
    if (strcmp(key, next->key) == 0)
        return MHD_YES;
    int r = buf_printf(&next->url, "%s=", key);
    for (const char *p = value ? value : ""; r >= 0 && *p; p++)
        r = buf_printf(&next->url, strchr("%&+#<>;\" ", *p) || *p < 0x20 ? "%%%02X" : "%c",
                       (unsigned char)*p);
    return r >= 0 && buf_puts(&next->url, "&") >= 0 ? MHD_YES : MHD_NO;
}

void req_next(struct req *r, const char *key, uint64_t value)
{
    struct next_page next = {BUF_INIT(sizeof r->link - 100), key};
    if (buf_printf(&next.url, "<%s%s?", r->app->urls.site, r->path) >= 0 &&
        MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, add_argument, &next) >= 0 &&
        buf_printf(&next.url, "%s=%llu>; rel=\"next\"", key, (unsigned long long)value) >= 0)
        snprintf(r->link, sizeof r->link, "%s", next.url.data);
    buf_free(&next.url);
}
