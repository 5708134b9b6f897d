/* [build] hub: the URL of a server that speaks the Hugging Face Hub's way of downloads. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct hub_url {
    bool secure;
    char host[256];
    uint16_t port;
    const char *path; /* what follows in the text, "" or "/..." without a slash at its end */
    int path_len;
};

/* http[s]://HOST[:PORT][/PATH]: -EINVAL where it is something else (a login, a query). `ret` points
 * into `url`. */
int hub_url_parse(const char *url, struct hub_url *ret, struct err *err);
