/* What certificates are, for the files that know: certs.c reads and checks them, certs_self.c makes
 * one, certs_tell.c says what there is to say. */
#pragma once

#include "certs.h"

#include "common/buf.h"

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <sys/stat.h>

#define CERT_FILE_MAX (256 * 1024)

/* Tells a file from the one that was there before. */
struct print {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct cert_pair {
    char *chain_path, *key_path;
    struct print chain_print, key_print;
    mode_t key_mode;
    struct buf chain, key;
    X509 *cert;
};

struct certs {
    const struct conf *conf;
    size_t n;
    struct cert_pair pairs[TLS_PAIRS_MAX];
    struct cert_pair own; /* without paths: signed by itself */
    bool use_own;
};

/* The certificate and its contents; the paths stay. */
void cert_forget(struct cert_pair *p);
/* Its subjectAltName, for GENERAL_NAMES_free; NULL without one. */
GENERAL_NAMES *cert_names(const X509 *cert);
/* Those that count now. */
const struct cert_pair *certs_list(const struct certs *c, size_t *n);
