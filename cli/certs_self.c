/* A certificate that signs itself. */
#include "certs_own.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>

#define NAMES_MAX 2048 /* of a text that lists them */
#define DAYS 365

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool fill_own(X509 *x, EVP_PKEY *key, const struct conf *conf)
{
    const char *demos = *conf->server_demo_domain ? conf->server_demo_domain : conf->server_domain;
    char names[NAMES_MAX];
    uint64_t serial;
    snprintf(names, sizeof(names), "DNS:%s,DNS:*.%s", conf->server_domain, demos);
    X509_NAME *name = X509_get_subject_name(x);
    return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 && X509_set_version(x, 2) &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(x), DAYS * 86400L) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"Vitrine, signed by itself", -1, -1,
                                      0) &&
           X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
           add_extension(x, NID_subject_alt_name, names) &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

static int take_pem(BIO *b, struct buf *out)
{
    char *data;
    long len = BIO_get_mem_data(b, &data);
    return len > 0 ? buf_append(out, data, (size_t)len) : -ENOMEM;
}

int certs_sign_oneself(struct certs *c, struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *chain = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());
    bool ok = key && x && chain && pem && fill_own(x, key, c->conf) &&
              PEM_write_bio_X509(chain, x) == 1 &&
              PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1;
    cert_forget(&c->own);
    ok = ok && take_pem(chain, &c->own.chain) == 0 && take_pem(pem, &c->own.key) == 0;
    EVP_PKEY_free(key);
    BIO_free(chain);
    BIO_free(pem);
    if (!ok) {
        X509_free(x);
        ERR_clear_error();
        return err_set(err, ENOMEM, "cannot make a certificate");
    }
    c->own.cert = x;
    c->use_own = true;
    return 0;
}
