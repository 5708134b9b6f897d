/* Range of a request, and what the answer says of it (RFC 9110, 14). */
#pragma once

#include "webui/http.h"

#include <stdbool.h>
#include <stdint.h>

struct range {
    uint64_t offset, length;
    bool asked; /* the answer is a 206 */
};

/* One range of bytes (14.1.2, 14.2); what is not understood is ignored, as it is where If-Range
 * does not name `etag` (13.1.5; with its quotes, NULL: the file has none). False where it lies
 * outside of the `size` bytes: 416. */
bool range_of(struct req *r, uint64_t size, const char *etag, struct range *ret);
bool range_is_asked(struct req *r);
/* 206 or 200 */
unsigned range_status(const struct range *range);
/* Accept-Ranges, and Content-Range where the answer is a 206. */
void range_headers(struct MHD_Response *response, const struct range *range, uint64_t size);
/* The 416 of a file of `size` bytes (15.5.17). */
enum MHD_Result range_refuse(struct req *r, uint64_t size);
