#include "webui/auth.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/http.h"
#include "webui/lfs_link.h"
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
#define SECRET_MAX 512
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

/* The password of "Basic BASE64"; git sends a token as that, or as the name alone. */
static bool basic_secret(const char *base64, char out[SECRET_MAX])
{
    char text[SECRET_MAX];
    size_t n;
    if (sodium_base642bin((unsigned char *)text, sizeof text - 1, base64, strlen(base64), " ", &n,
                          NULL, sodium_base64_VARIANT_ORIGINAL) < 0)
        return false;
    text[n] = 0;
    const char *colon = strchr(text, ':');
    size_t name = colon ? (size_t)(colon - text) : n;
    if (colon && colon[1])
        snprintf(out, SECRET_MAX, "%s", colon + 1);
    else
        snprintf(out, SECRET_MAX, "%.*s", (int)name, text);
    sodium_memzero(text, sizeof text);
    return true;
}

/* What the request proves itself with, in one of the ways that clients have. */
static bool secret_of(struct req *r, char out[SECRET_MAX])
{
    const char *header = req_header(r, "Authorization");
    if (!header)
        header = req_header(r, "X-HF-Authorization");
    if (header && strncasecmp(header, "Bearer ", 7) == 0) {
        snprintf(out, SECRET_MAX, "%s", header + 7 + strspn(header + 7, " "));
        return true;
    }
    if (header && strncasecmp(header, "Basic ", 6) == 0) {
        if (!basic_secret(header + 6, out))
            *out = 0;
        return true;
    }
    return false;
}

static enum auth_kind auth_of(struct req *r)
{
    char secret[SECRET_MAX];
    if (secret_of(r, secret)) {
        enum auth_kind kind = AUTH_WRONG;
        if (auth_blocked(r))
            kind = AUTH_BLOCKED;
        else if (auth_token_right(r->app->auth, secret))
            kind = AUTH_TOKEN;
        else if (tokens_find(r->app->site, secret, &r->token, NULL) == 1)
            kind = AUTH_USER;
        sodium_memzero(secret, sizeof secret);
        return kind;
    }
    const char *cookie = session_cookie(r);
    if (!cookie || strlen(cookie) != 64)
        return AUTH_NONE;
    char hash[65];
    sha256_hex(cookie, 64, hash);
    return site_session_valid(r->app->site, hash, NULL) == 1 ? AUTH_SESSION : AUTH_NONE;
}

const char *auth_name(const struct req *r)
{
    return auth_is_admin(r->auth) ? OPERATOR_NAME : r->auth == AUTH_USER ? r->token.user : "";
}

static bool token_may(struct site *site, const struct token *t, const char *owner, enum right right)
{
    enum right there;
    return t->right >= right && owners_right(site, t->user_id, owner, &there, NULL) == 0 &&
           there >= right;
}

bool auth_may(struct req *r, const char *owner, enum right right)
{
    return auth_is_admin(r->auth) ||
           (r->auth == AUTH_USER && token_may(r->app->site, &r->token, owner, right));
}

int auth_token_may(struct app *app, const char *token, const char *owner, enum right right,
                   struct err *err)
{
    struct token t;
    if (auth_token_right(app->auth, token))
        return 1;
    int r = tokens_find(app->site, token, &t, err);
    return r == 1 ? token_may(app->site, &t, owner, right) : r;
}

void auth_why_not(struct req *r, const char *owner, enum right right, char *msg, size_t size)
{
    static const char *const what[] = {
        [MAY_READ] = "see what is private of",
        [MAY_WRITE] = "change Spaces of",
        [MAY_ADMIN] = "say who may change Spaces of",
    };
    if (r->auth != AUTH_USER)
        snprintf(msg, size, "this needs a token that may %s %s: log in, or send one", what[right],
                 owner);
    else if (r->token.right < right)
        snprintf(msg, size, "the token \"%s\" has the role \"%s\": this needs one of role \"%s\"",
                 r->token.name, right_name(r->token.right), right_name(right));
    else
        snprintf(msg, size, "%s may not %s %s", r->token.user, what[right], owner);
}

/* What the route takes of who asks. */
static unsigned check_rights(struct req *r, char *msg, size_t size)
{
    unsigned flags = r->route->flags;
    unsigned refused = r->auth == AUTH_USER ? 403 : 401;
    if ((flags & ROUTE_ADMIN) && !auth_is_admin(r->auth)) {
        snprintf(msg, size,
                 r->auth == AUTH_USER ? "only the operator may do this: send the admin token"
                                      : "this needs the administrator: log in, or send the admin "
                                        "token");
        return refused;
    }
    if ((flags & ROUTE_LOGIN) && !*auth_name(r)) {
        snprintf(msg, size, "this needs a token: `vitrine token new` makes one");
        return refused;
    }
    enum right need = flags & ROUTE_OWNER   ? MAY_ADMIN
                      : flags & ROUTE_WRITE ? MAY_WRITE
                      : flags & ROUTE_READ  ? MAY_READ
                                            : MAY_NOTHING;
    if (need && !auth_may(r, r->owner, need)) {
        auth_why_not(r, r->owner, need, msg, size);
        return refused;
    }
    return 0;
}

unsigned auth_check(struct req *r, char *msg, size_t size)
{
    r->auth = auth_of(r);
    if (r->auth == AUTH_BLOCKED || (r->auth == AUTH_WRONG && auth_failed_too_often(r))) {
        snprintf(msg, size, "too many wrong tokens: wait a minute");
        return 429;
    }
    if (r->auth == AUTH_WRONG) {
        snprintf(msg, size, "Invalid credentials in Authorization header");
        return 401;
    }
    if ((r->route->flags & ROUTE_SIGNED) && lfs_link_is_good(r))
        return 0;
    unsigned status = check_rights(r, msg, size);
    if (status)
        return status;
    /* A browser sends a cookie whoever wrote the page. */
    bool by_token = r->auth == AUTH_TOKEN || r->auth == AUTH_USER;
    if ((r->route->flags & ROUTE_CHANGES) && !by_token && !auth_same_origin(r)) {
        snprintf(msg, size, "this was sent by another site's page: use the site's own pages");
        return 403;
    }
    return 0;
}

bool auth_still(struct req *r)
{
    char msg[512];
    enum auth_kind before = r->auth;
    r->auth = auth_of(r);
    return r->auth == before && check_rights(r, msg, sizeof msg) == 0;
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
