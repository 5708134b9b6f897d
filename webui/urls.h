/* Addresses: of the site, of its pages, of the Spaces' own hosts. Nobody else puts one together. */
#pragma once

#include "common/conf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define URL_MAX 512
#define URL_BASE_MAX 256 /* scheme, name and port */

struct urls {
    char site[URL_BASE_MAX];        /* "http://localhost:8080", without a slash at its end */
    char scheme[8];                 /* "http" */
    char demo_suffix[URL_BASE_MAX]; /* ".localhost:8080" */
    bool cookies_work;              /* a browser keeps Secure cookies of this address */
};

/* From server.listen, domain, demo_domain and public_url. */
int urls_init(struct urls *u, const struct conf *conf, struct err *err);

/* "http://alice-hello.localhost:8080" */
void urls_demo(const struct urls *u, const char *label, char out[URL_MAX]);
/* "http://localhost:8080/spaces/alice/hello" */
void urls_page(const struct urls *u, const char *owner, const char *name, char out[URL_MAX]);

/* Does an Origin header's value mean this site? `host` is the request's Host header. */
bool urls_own_origin(const struct urls *u, const char *origin, const char *host);
