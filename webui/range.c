#include "webui/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSP "default-src 'none'; sandbox; frame-ancestors 'none'"

/* Digits from `*text` on; one that is too large is the largest. */
static bool take_number(const char **text, uint64_t *ret)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *ret = strtoull(*text, &end, 10);
    *text = end;
    return true;
}

static bool parse(const char *range, uint64_t size, struct range *ret)
{
    uint64_t first, last = UINT64_MAX;
    range += strlen("bytes=");
    if (*range == '-') {
        range++;
        if (!take_number(&range, &last) || *range)
            return true;
        last = last < size ? last : size;
        *ret = (struct range){size - last, last, true};
        return last > 0;
    }
    if (!take_number(&range, &first) || *range++ != '-')
        return true;
    if ((*range && !take_number(&range, &last)) || *range)
        return true;
    if (first >= size || last < first)
        return false;
    last = last < size ? last : size - 1;
    *ret = (struct range){first, last - first + 1, true};
    return true;
}

bool range_is_asked(struct req *r)
{
    return req_header(r, "Range") != NULL;
}

bool range_of(struct req *r, uint64_t size, const char *etag, struct range *ret)
{
    const char *range = req_header(r, "Range"), *known = req_header(r, "If-Range");
    *ret = (struct range){.length = size};
    if (!range || strncmp(range, "bytes=", 6) != 0 || strchr(range, ',') ||
        (known && (!etag || strcmp(known, etag) != 0)))
        return true;
    return parse(range, size, ret);
}

unsigned range_status(const struct range *range)
{
    return range->asked ? 206 : 200;
}

void range_headers(struct MHD_Response *response, const struct range *range, uint64_t size)
{
    char text[80];
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    if (!range->asked)
        return;
    snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range->offset,
             (unsigned long long)(range->offset + range->length - 1), (unsigned long long)size);
    MHD_add_response_header(response, "Content-Range", text);
}

enum MHD_Result range_refuse(struct req *r, uint64_t size)
{
    static char nothing[1];
    char text[40];
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    MHD_add_response_header(response, "Content-Range", text);
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    return req_queue(r, 416, response, CSP);
}
