/* What there is to say of certificates that are in order. */
#include "certs_own.h"

#include "common/tlsname.h"

#include <stdio.h>
#include <time.h>

/* As the gateway chooses. */
static bool is_for(const X509 *cert, const char *host)
{
    GENERAL_NAMES *list = cert_names(cert);
    bool any = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);
        any = any || (name->type == GEN_DNS &&
                      tls_name_fits((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                    (size_t)ASN1_STRING_length(name->d.dNSName), host));
    }
    GENERAL_NAMES_free(list);
    return any;
}

static time_t when(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void day_of(time_t t, char out[32])
{
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%d", &tm);
}

static void warn_pair(const struct certs *c, const struct cert_pair *p,
                      void (*say)(void *arg, const char *text), void *arg)
{
    char text[600], day[32];
    time_t now = time(NULL), from = when(X509_get0_notBefore(p->cert)),
           until = when(X509_get0_notAfter(p->cert));
    uint64_t left_ms = until > now ? (uint64_t)(until - now) * 1000 : 0;

    day_of(until, day);
    if (until <= now)
        snprintf(text, sizeof(text), "%s: the certificate ended on %s: renew it", p->chain_path,
                 day);
    else if (from > now)
        snprintf(text, sizeof(text), "%s: the certificate is not valid yet: is the clock right?",
                 p->chain_path);
    else if (left_ms < c->conf->tls_warn_before)
        snprintf(text, sizeof(text), "%s: the certificate ends on %s, in %llu days: renew it",
                 p->chain_path, day, (unsigned long long)(left_ms / 86400000));
    else
        text[0] = '\0';
    if (text[0])
        say(arg, text);
    if (p->key_mode & (S_IROTH | S_IWOTH)) {
        snprintf(text, sizeof(text), "%s: everybody on this machine can read the key: chmod o= %s",
                 p->key_path, p->key_path);
        say(arg, text);
    }
}

void certs_warn(const struct certs *c, void (*say)(void *arg, const char *text), void *arg)
{
    const struct conf *conf = c->conf;
    const char *demos = *conf->server_demo_domain ? conf->server_demo_domain : conf->server_domain;
    char space[320], text[600];
    size_t n;
    const struct cert_pair *list = certs_list(c, &n);
    bool site = false, spaces = false;

    snprintf(space, sizeof(space), "some-space.%s", demos);
    for (size_t i = 0; i < n && list[i].cert; i++) {
        if (list != &c->own)
            warn_pair(c, &list[i], say, arg);
        site = site || is_for(list[i].cert, conf->server_domain);
        spaces = spaces || is_for(list[i].cert, space);
    }
    if (!site) {
        snprintf(text, sizeof(text), "no certificate is for the site's host %s (server.domain)",
                 conf->server_domain);
        say(arg, text);
    }
    if (!spaces) {
        snprintf(text, sizeof(text),
                 "no certificate is for *.%s, the hosts of Spaces: certificate authorities give "
                 "one by a dns-01 challenge",
                 demos);
        say(arg, text);
    }
}

void certs_describe(const struct certs *c, char *out, size_t len)
{
    size_t n, at = 0;
    const struct cert_pair *list = certs_list(c, &n);

    out[0] = '\0';
    for (size_t i = 0; i < n && list[i].cert; i++) {
        GENERAL_NAMES *names = cert_names(list[i].cert);
        char day[32];
        day_of(when(X509_get0_notAfter(list[i].cert)), day);
        for (int k = 0; k < sk_GENERAL_NAME_num(names) && at < len; k++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, k);
            if (name->type == GEN_DNS)
                at += (size_t)snprintf(out + at, len - at, "%s%.*s", k ? ", " : "",
                                       ASN1_STRING_length(name->d.dNSName),
                                       ASN1_STRING_get0_data(name->d.dNSName));
        }
        GENERAL_NAMES_free(names);
        if (at < len)
            at += (size_t)snprintf(out + at, len - at, " until %s%s", day,
                                   list == &c->own ? " (signed by itself)"
                                   : i + 1 < n     ? "; "
                                                   : "");
    }
}
