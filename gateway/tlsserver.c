#include "tlsserver.h"

#include "common/conf.h"
#include "common/tlsname.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define TICKET_S (12 * 3600) /* `up` makes a new key as often, and the one before is taken, too */
/* TLS 1.2; all of 1.3 are fine. RFC 9325, 4.2 */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"

struct tls_certificate {
    SSL_CTX *ctx;
    char **names; /* dNSName of subjectAltName */
    uint32_t n_names;
};

/* ---- names ---- */

static void free_certificates(struct tls_certificate *list, uint32_t n)
{
    for (uint32_t i = 0; list && i < n; i++) {
        for (uint32_t k = 0; k < list[i].n_names; k++)
            free(list[i].names[k]);
        free((void *)list[i].names);
        SSL_CTX_free(list[i].ctx);
    }
    free(list);
}

static int take_names(struct tls_certificate *c, const X509 *cert)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = sk_GENERAL_NAME_num(list), r = 0;

    c->names = n > 0 ? (char **)calloc((size_t)n, sizeof(*c->names)) : NULL;
    for (int i = 0; c->names && i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);
        if (name->type != GEN_DNS)
            continue;
        const char *text = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
        size_t len = (size_t)ASN1_STRING_length(name->d.dNSName);
        if (memchr(text, 0, len))
            continue;
        char *copy = strndup(text, len);
        if (!copy)
            r = -ENOMEM;
        else
            c->names[c->n_names++] = copy;
    }
    if (n > 0 && !c->names)
        r = -ENOMEM;
    GENERAL_NAMES_free(list);
    return r;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL has it so */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *s = arg;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_certificate *best = NULL;
    (void)alert;

    if (!host)
        return SSL_TLSEXT_ERR_NOACK;
    for (uint32_t i = 0; i < s->n_certificates; i++) {
        const struct tls_certificate *c = &s->certificates[i];
        for (uint32_t k = 0; k < c->n_names; k++) {
            if (!tls_name_fits(c->names[k], strlen(c->names[k]), host))
                continue;
            if (c->names[k][0] != '*') { /* a name goes before a wildcard */
                SSL_set_SSL_CTX(ssl, c->ctx);
                return SSL_TLSEXT_ERR_OK;
            }
            best = best ? best : c;
        }
    }
    if (best)
        SSL_set_SSL_CTX(ssl, best->ctx);
    return best ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301: what is not spoken here is refused. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct tls_server *s = arg;
    unsigned skip = s->conf->tls_http2 ? 0 : 3;
    (void)ssl;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours + skip,
                              (unsigned)sizeof(ours) - 1 - skip, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- session tickets ---- */

static int use_ticket_key(const struct tls_server *s, int i, unsigned char *iv,
                          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    const struct tls_ticket_key *k = &s->tickets[i];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->hmac,
                                          sizeof(k->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, s->ticket_cipher, k->aes, iv, encrypt, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    const struct tls_server *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (encrypt) {
        memcpy(name, s->tickets[0].name, sizeof(s->tickets[0].name));
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(s->ticket_cipher)) != 1)
            return -1;
        return use_ticket_key(s, 0, iv, cipher, mac, 1) ? 1 : -1;
    }
    for (int i = 0; i < TLS_TICKET_KEYS; i++)
        if (CRYPTO_memcmp(name, s->tickets[i].name, sizeof(s->tickets[i].name)) == 0)
            return !use_ticket_key(s, i, iv, cipher, mac, 0) ? -1 : i == 0 ? 1 : 2;
    return 0;
}

/* ---- contexts ---- */

static int openssl_error(struct err *err, const char *what)
{
    char text[160] = "out of memory";
    unsigned long e = ERR_peek_last_error();
    if (e)
        ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, EINVAL, "%s: %s", what, text);
}

static SSL_CTX *new_ctx(struct tls_server *s)
{
    static const unsigned char session_id[] = "vitrine";
    int oldest = strcmp(s->conf->tls_min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, oldest) ||
        !SSL_CTX_set_cipher_list(ctx, CIPHERS) || !SSL_CTX_set1_groups_list(ctx, GROUPS) ||
        !SSL_CTX_set_session_id_context(ctx, session_id, sizeof(session_id) - 1) ||
        !SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_num_tickets(
        ctx, 1); /* each is a record sent by itself; with a resumption comes another */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TICKET_S);
    SSL_CTX_set_app_data(ctx, s);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, s);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, s);
    return ctx;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL has it so */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return 0;
}

static BIO *reader(struct tls_pem pem)
{
    return BIO_new_mem_buf(pem.data, (int)pem.len);
}

static int load_chain(SSL_CTX *ctx, struct tls_pem pem, struct tls_certificate *c, struct err *err)
{
    BIO *b = reader(pem);
    X509 *x = b ? PEM_read_bio_X509(b, NULL, no_password, NULL) : NULL;
    int r = x && SSL_CTX_use_certificate(ctx, x) == 1 ? take_names(c, x) : -EINVAL;
    X509_free(x);
    while (r == 0 && (x = PEM_read_bio_X509(b, NULL, no_password, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
            X509_free(x);
            r = -EINVAL;
        }
    }
    BIO_free(b);
    if (r < 0)
        return openssl_error(err, "a certificate that was handed over");
    ERR_clear_error(); /* of the chain's end */
    return 0;
}

static int load_key(SSL_CTX *ctx, struct tls_pem pem, struct err *err)
{
    BIO *b = reader(pem);
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    BIO_free(b);
    return ok ? 0 : openssl_error(err, "a key that was handed over");
}

static int load(struct tls_server *s, struct tls_certificate *c, const struct tls_pair *p,
                struct err *err)
{
    c->ctx = new_ctx(s);
    if (!c->ctx)
        return openssl_error(err, "a TLS context");
    int r = load_chain(c->ctx, p->chain, c, err);
    return r < 0 ? r : load_key(c->ctx, p->key, err);
}

int tlsserver_take(struct tls_server *s, int fd, struct err *err)
{
    struct tls_bundle b;
    struct buf bytes = BUF_INIT(TLS_BUNDLE_MAX);
    struct tls_certificate *list = NULL;
    int r = tlsbundle_from_fd(&b, fd, &bytes, err);

    if (r == 0 && b.n_pairs == 0)
        r = err_set(err, EINVAL, "no certificate was handed over");
    if (r == 0 && !(list = calloc(b.n_pairs, sizeof(*list))))
        r = err_set(err, ENOMEM, "no memory for certificates");
    for (uint32_t i = 0; r == 0 && i < b.n_pairs; i++)
        r = load(s, &list[i], &b.pairs[i], err);
    if (r == 0) {
        free_certificates(s->certificates, s->n_certificates);
        s->certificates = list;
        s->n_certificates = b.n_pairs;
        memcpy(s->tickets, b.tickets, sizeof(s->tickets));
    } else {
        free_certificates(list, b.n_pairs);
    }
    OPENSSL_cleanse(&b, sizeof(b));
    if (bytes.data)
        OPENSSL_cleanse(bytes.data, bytes.cap);
    buf_free(&bytes);
    return r;
}

SSL *tlsserver_ssl(struct tls_server *s)
{
    return s->n_certificates ? SSL_new(s->certificates[0].ctx) : NULL;
}

int tlsserver_new(struct tls_server **ret, const struct conf *conf, struct err *err)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ENOMEM, "no memory for TLS");
    s->conf = conf;
    /* What the machine's openssl.cnf says is for other programs: ours is in the table of options.
     */
    SSL_CTX *ctx = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 ? new_ctx(s) : NULL;
    unsigned char random[16];
    bool ok = ctx && (s->bio = tls_bio_method()) &&
              (s->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)) &&
              RAND_bytes(random, sizeof(random)) == 1;
    SSL_CTX_free(ctx);
    if (!ok) {
        tlsserver_free(s);
        return openssl_error(err, "cannot set up TLS");
    }
    *ret = s;
    return 0;
}

void tlsserver_free(struct tls_server *s)
{
    if (!s)
        return;
    free_certificates(s->certificates, s->n_certificates);
    BIO_meth_free(s->bio);
    EVP_CIPHER_free(s->ticket_cipher);
    OPENSSL_cleanse(s->tickets, sizeof(s->tickets));
    free(s);
}
