#include "webui/auth.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/http.h"
#include "webui/site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SESSION_MS (30 * 24 * 3600000LL)
#define LINK_MS 3600000
#define FAILURES_MAX 10 /* of one address ... */
#define FAILURES_MS 60000
#define ADDRESSES 1024

struct failures {
    uint8_t address[16]; /* IPv4 as mapped into IPv6; of IPv6 the /64 */
    uint64_t since_ms;
    unsigned n;
};

struct auth {
    struct site *site;
    unsigned char token_hash[crypto_hash_sha256_BYTES];
    pthread_mutex_t lock;
    struct failures failures[ADDRESSES];
};

int auth_new(struct auth **ret, struct site *site, const char *token_path, struct err *err)
{
    char token[256];
    ssize_t n = file_read_small(token_path, token, sizeof token);
    if (n < 0)
        return err_set(err, (int)-n, "cannot read the admin token %s: %s", token_path,
                       strerror((int)-n));
    if (n < 32)
        return err_set(err, EINVAL,
                       "the admin token in %s is shorter than 32 characters: remove the file and "
                       "start again to get a new one",
                       token_path);
    struct auth *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, ENOMEM, "out of memory");
    a->site = site;
    crypto_hash_sha256(a->token_hash, (const unsigned char *)token, (size_t)n);
    sodium_memzero(token, sizeof token);
    pthread_mutex_init(&a->lock, NULL);
    *ret = a;
    return 0;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    pthread_mutex_destroy(&a->lock);
    free(a);
}

bool auth_token_right(struct auth *a, const char *token)
{
    /* Hashes are compared, so that neither the time nor the length tells anything. */
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
    return sodium_memcmp(hash, a->token_hash, sizeof hash) == 0;
}

static const char *session_cookie(struct req *r)
{
    return MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, AUTH_COOKIE);
}

enum auth_kind auth_of(struct req *r)
{
    const char *header = req_header(r, "Authorization");
    if (header && strncasecmp(header, "Bearer ", 7) == 0) {
        header += 7 + strspn(header + 7, " ");
        if (auth_blocked(r))
            return AUTH_BLOCKED;
        return auth_token_right(r->app->auth, header) ? AUTH_TOKEN : AUTH_WRONG;
    }
    const char *cookie = session_cookie(r);
    if (!cookie || strlen(cookie) != 64)
        return AUTH_NONE;
    char hash[65];
    sha256_hex(cookie, 64, hash);
    return site_session_valid(r->app->site, hash, NULL) == 1 ? AUTH_SESSION : AUTH_NONE;
}

bool auth_same_origin(struct req *r)
{
    const char *site = req_header(r, "Sec-Fetch-Site");
    if (site)
        return strcmp(site, "same-origin") == 0;
    const char *origin = req_header(r, "Origin");
    return origin && urls_own_origin(&r->app->urls, origin, req_header(r, "Host"));
}

static void address_of(struct req *r, uint8_t out[16])
{
    const char *text = req_header(r, "X-Forwarded-For"); /* set by the gateway */
    memset(out, 0, 16);
    if (!text)
        return;
    if (inet_pton(AF_INET6, text, out) == 1) {
        memset(out + 8, 0, 8); /* all of a /64 is one visitor's */
    } else if (inet_pton(AF_INET, text, out + 12) == 1) {
        out[10] = out[11] = 0xff;
    }
}

/* ::1 is nothing but zeros as a /64, and so is an address that was not said */
static bool is_loopback(const uint8_t address[16])
{
    static const uint8_t none[16] = {0}, v4[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, none, 16) == 0 || (memcmp(address, v4, 12) == 0 && address[12] == 127);
}

/* The address's entry of the last minute, or NULL. The lock is held. */
static struct failures *find_failures(struct auth *a, const uint8_t address[16], uint64_t now)
{
    for (struct failures *f = a->failures; f < a->failures + ADDRESSES; f++)
        if (f->n && now - f->since_ms <= FAILURES_MS && memcmp(f->address, address, 16) == 0)
            return f;
    return NULL;
}

bool auth_blocked(struct req *r)
{
    struct auth *a = r->app->auth;
    uint8_t address[16];
    address_of(r, address);
    if (is_loopback(address))
        return false;
    pthread_mutex_lock(&a->lock);
    const struct failures *f = find_failures(a, address, mono_ms());
    bool blocked = f && f->n >= FAILURES_MAX;
    pthread_mutex_unlock(&a->lock);
    return blocked;
}

bool auth_failed_too_often(struct req *r)
{
    struct auth *a = r->app->auth;
    uint64_t now = mono_ms();
    uint8_t address[16];
    address_of(r, address);
    pthread_mutex_lock(&a->lock);
    struct failures *f = find_failures(a, address, now);
    if (!f) { /* the oldest gives way to a new address */
        f = &a->failures[0];
        for (struct failures *e = a->failures; e < a->failures + ADDRESSES; e++)
            if (e->since_ms < f->since_ms)
                f = e;
        *f = (struct failures){.since_ms = now};
        memcpy(f->address, address, sizeof f->address);
    }
    bool too_often = ++f->n > FAILURES_MAX;
    pthread_mutex_unlock(&a->lock);
    return too_often;
}

int auth_begin(struct req *r, struct err *err)
{
    char secret[65], hash[65];
    random_hex(secret, 32);
    sha256_hex(secret, 64, hash);
    int res = site_session_add(r->app->site, hash, (int64_t)now_ms() + SESSION_MS, err);
    if (res < 0)
        return res;
    snprintf(r->cookie, sizeof r->cookie,
             AUTH_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%lld", secret,
             SESSION_MS / 1000);
    return 0;
}

int auth_end(struct req *r, struct err *err)
{
    const char *cookie = session_cookie(r);
    char hash[65];
    snprintf(r->cookie, sizeof r->cookie,
             AUTH_COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    if (!cookie)
        return 0;
    sha256_hex(cookie, strlen(cookie), hash);
    return site_session_end(r->app->site, hash, err);
}

int auth_link_new(struct auth *a, char out[65], struct err *err)
{
    char hash[65];
    random_hex(out, 32);
    sha256_hex(out, 64, hash);
    return site_link_add(a->site, hash, err);
}

int auth_link_use(struct auth *a, const char *secret, struct err *err)
{
    char hash[65];
    sha256_hex(secret, strlen(secret), hash);
    return site_link_use(a->site, hash, LINK_MS, err);
}
