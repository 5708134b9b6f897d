/* What names of fields mean. Of common/http1*.c alone. */
#pragma once

#include "http1.h"

/* As a server sees the name that turns all but letters and digits into '_' (CGI, WSGI):
 * FIELD_SPOOF where that is one of those that something depends on. */
enum http1_field_id http1_spoofed_field(const char *p, size_t len);
