#include "certs_own.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void wipe(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_free(b);
    *b = BUF_INIT(CERT_FILE_MAX);
}

void cert_forget(struct cert_pair *p)
{
    wipe(&p->chain);
    wipe(&p->key);
    X509_free(p->cert);
    p->cert = NULL;
}

void certs_close(struct certs *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        cert_forget(&c->pairs[i]);
        free(c->pairs[i].chain_path);
        free(c->pairs[i].key_path);
    }
    cert_forget(&c->own);
    free(c);
}

/* ---- the list ---- */

static int add_entry(struct certs *c, const char *text, size_t len, struct err *err)
{
    char entry[4096], *save = NULL;
    struct cert_pair *p = &c->pairs[c->n];

    if (len >= sizeof(entry))
        return err_set(err, EINVAL, "tls.certificates: an entry is too long");
    memcpy(entry, text, len);
    entry[len] = '\0';
    const char *first = strtok_r(entry, " \t", &save);
    const char *second = first ? strtok_r(NULL, " \t", &save) : NULL;
    if (!first || first[0] != '/' || (second && second[0] != '/') ||
        (second && strtok_r(NULL, " \t", &save)))
        return err_set(err, EINVAL,
                       "tls.certificates = \"%.200s\": each entry is an absolute FOLDER with "
                       "fullchain.pem and privkey.pem, or CHAIN KEY, two absolute paths",
                       c->conf->tls_certificates);
    if (c->n == TLS_PAIRS_MAX)
        return err_set(err, EINVAL, "tls.certificates: more than %d", TLS_PAIRS_MAX);
    int a = second ? asprintf(&p->chain_path, "%s", first)
                   : asprintf(&p->chain_path, "%s/fullchain.pem", first);
    int b = second ? asprintf(&p->key_path, "%s", second)
                   : asprintf(&p->key_path, "%s/privkey.pem", first);
    p->chain_path = a < 0 ? NULL : p->chain_path;
    p->key_path = b < 0 ? NULL : p->key_path;
    p->chain = p->key = BUF_INIT(CERT_FILE_MAX);
    c->n++;
    return a < 0 || b < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

int certs_open(struct certs **ret, const struct conf *conf, struct err *err)
{
    _cleanup_certs_ struct certs *c = calloc(1, sizeof(*c));
    const char *p = conf->tls_certificates;
    if (!c)
        return err_set(err, ENOMEM, "out of memory");
    c->conf = conf;
    c->own.chain = c->own.key = BUF_INIT(CERT_FILE_MAX);
    while (p[strspn(p, " \t")]) {
        size_t len = strcspn(p, ",");
        int r = add_entry(c, p, len, err);
        if (r < 0)
            return r;
        p += len + (p[len] == ',');
    }
    *ret = steal_ptr(c);
    return 0;
}

bool certs_none_named(const struct certs *c)
{
    return c->n == 0;
}

/* ---- reading ---- */

static struct print print_of(const struct stat *st)
{
    return (struct print){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same(const struct print *p, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return p->ino == 0;
    return st.st_dev == p->dev && st.st_ino == p->ino && st.st_size == p->size &&
           st.st_mtim.tv_sec == p->mtime.tv_sec && st.st_mtim.tv_nsec == p->mtime.tv_nsec &&
           st.st_ctim.tv_sec == p->ctime.tv_sec && st.st_ctim.tv_nsec == p->ctime.tv_nsec;
}

bool certs_changed(const struct certs *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct cert_pair *p = &c->pairs[i];
        if (!same(&p->chain_print, p->chain_path) || !same(&p->key_print, p->key_path))
            return true;
    }
    return false;
}

static int read_file(const char *path, struct buf *b, struct print *print, mode_t *mode,
                     struct err *err)
{
    struct stat st;
    *print = (struct print){0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "cannot read %s (tls.certificates)", path);
    *print = print_of(&st);
    *mode = st.st_mode;
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is no file (tls.certificates)", path);
    int r = buf_read_fd(b, fd);
    return r < 0 ? err_set(err, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL has it so */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing;
    *(bool *)arg = true;
    return -1;
}

static const char *why(char *out, size_t len)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(out, len, "%s", reason ? reason : "unknown");
    ERR_clear_error();
    return out;
}

/* What follows the server's certificate: each has signed the one before it. */
static int check_chain(BIO *b, X509 *cert, const char *path, struct err *err)
{
    X509 *below = cert, *x;
    int r = 0;
    for (int n = 2; r == 0 && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)); n++) {
        if (X509_check_issued(x, below) != X509_V_OK)
            r = err_set(err, EINVAL,
                        "%s: the certificates do not follow from one another: number %d did not "
                        "sign number %d; the server's own comes first, then its issuer's",
                        path, n, n - 1);
        if (below != cert)
            X509_free(below);
        below = x;
    }
    if (below != cert)
        X509_free(below);
    if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        char text[120];
        r = err_set(err, EINVAL, "%s: a certificate of the chain is broken: %s", path,
                    why(text, sizeof(text)));
    }
    ERR_clear_error();
    return r;
}

GENERAL_NAMES *cert_names(const X509 *cert)
{
    return X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
}

static bool has_dns_name(const X509 *cert)
{
    GENERAL_NAMES *list = cert_names(cert);
    bool any = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++)
        any = any || sk_GENERAL_NAME_value(list, i)->type == GEN_DNS;
    GENERAL_NAMES_free(list);
    return any;
}

static int check_key(const struct cert_pair *p, struct err *err)
{
    bool encrypted = false;
    char text[120];
    BIO *b = BIO_new_mem_buf(p->key.data, (int)p->key.len);
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, &encrypted) : NULL;
    int r = 0;
    if (encrypted)
        r = err_set(err, EINVAL,
                    "%s: the key has a passphrase, and nobody could be asked for it: store it "
                    "without (openssl pkey -in %s -out NEW)",
                    p->key_path, p->key_path);
    else if (!key)
        r = err_set(err, EINVAL, "%s: no private key in PEM: %s", p->key_path,
                    why(text, sizeof(text)));
    else if (X509_check_private_key(p->cert, key) != 1)
        r = err_set(err, EINVAL, "%s is not the key of the certificate in %s", p->key_path,
                    p->chain_path);
    EVP_PKEY_free(key);
    BIO_free(b);
    ERR_clear_error();
    return r;
}

static int check_pair(struct cert_pair *p, struct err *err)
{
    char text[120];
    BIO *b = BIO_new_mem_buf(p->chain.data, (int)p->chain.len);
    p->cert = b && p->chain.len ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    int r = 0;
    if (!p->cert)
        r = err_set(err, EINVAL, "%s: no certificate in PEM: %s", p->chain_path,
                    p->chain.len ? why(text, sizeof(text)) : "it is empty");
    if (r == 0)
        r = check_chain(b, p->cert, p->chain_path, err);
    BIO_free(b);
    if (r == 0 && !has_dns_name(p->cert))
        r = err_set(err, EINVAL,
                    "%s: the certificate has no host name (subjectAltName): no browser takes it",
                    p->chain_path);
    return r < 0 ? r : check_key(p, err);
}

int certs_read(struct certs *c, struct err *err)
{
    struct cert_pair fresh[TLS_PAIRS_MAX];
    int r = 0;
    size_t done = 0;

    ERR_clear_error();
    for (; r == 0 && done < c->n; done++) {
        struct cert_pair *p = &fresh[done];
        mode_t mode;
        *p = c->pairs[done];
        p->cert = NULL;
        p->chain = p->key = BUF_INIT(CERT_FILE_MAX);
        r = read_file(p->chain_path, &p->chain, &p->chain_print, &mode, err);
        if (r == 0)
            r = read_file(p->key_path, &p->key, &p->key_print, &p->key_mode, err);
        /* also of what was wrong: it is read again when it changes */
        c->pairs[done].chain_print = p->chain_print;
        c->pairs[done].key_print = p->key_print;
        if (r == 0)
            r = check_pair(p, err);
    }
    for (size_t i = 0; i < done; i++) {
        if (r == 0) {
            cert_forget(&c->pairs[i]);
            c->pairs[i] = fresh[i];
        } else {
            cert_forget(&fresh[i]);
        }
    }
    if (r == 0 && c->n)
        c->use_own = false;
    return r;
}

/* ---- handed on ---- */

const struct cert_pair *certs_list(const struct certs *c, size_t *n)
{
    *n = c->use_own ? 1 : c->n;
    return c->use_own ? &c->own : c->pairs;
}

int certs_to_fd(const struct certs *c, const struct tls_ticket_key tickets[TLS_TICKET_KEYS],
                struct err *err)
{
    struct tls_bundle b = {0};
    size_t n;
    const struct cert_pair *list = certs_list(c, &n);
    for (size_t i = 0; i < n; i++)
        b.pairs[b.n_pairs++] = (struct tls_pair){
            {list[i].chain.data, (uint32_t)list[i].chain.len},
            {list[i].key.data, (uint32_t)list[i].key.len},
        };
    memcpy(b.tickets, tickets, sizeof(b.tickets));
    int fd = tlsbundle_to_fd(&b, err);
    OPENSSL_cleanse(&b, sizeof(b));
    return fd;
}
