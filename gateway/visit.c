#include "visit.h"

#include "reply.h"
#include "request.h"
#include "route.h"
#include "runner.h"
#include "wake.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "common/visit.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS 256
#define WAYS 4
#define REMEMBER_MS 60000     /* who was let in */
#define REMEMBER_NOT_MS 10000 /* who was not */
#define ANSWER_MS 5000
#define COOKIES_MAX 4 /* of our name in one request: nobody sets more than one */
#define TOKEN_MAX 255
#define HASH crypto_generichash_BYTES
#define ASK_SHIFT 40 /* each loop asks with ids of its own; the runner keeps 48 bits of them */
#define VISIT_PATH "/.vitrine/visit"

enum state { FREE, ASKED, IN, OUT };

struct entry {
    unsigned char hash[HASH]; /* of the Space and what was shown */
    uint64_t until_ms, ask_id;
    struct link waiting; /* clients, while it is ASKED */
    uint8_t state;
};

struct visits {
    unsigned char pub[KEYS_VISIT_PUB];
    bool has_pub;
    unsigned char admin[crypto_hash_sha256_BYTES]; /* hash of the operator's token */
    bool has_admin;
    unsigned char salt[crypto_generichash_KEYBYTES]; /* nobody chooses which set an entry is in */
    uint64_t last_ask;
    struct entry entries[SETS][WAYS];
};

static void read_admin(struct visits *v, const char *data)
{
    char path[PATH_MAX], token[256];
    snprintf(path, sizeof(path), "%s/admin.token", data);
    ssize_t n = file_read_small(path, token, sizeof(token));
    if (n > 0) {
        crypto_hash_sha256(v->admin, (const unsigned char *)token, (size_t)n);
        v->has_admin = true;
    }
    sodium_memzero(token, sizeof(token));
}

int visits_new(struct loop *l, struct err *err)
{
    struct visits *v = calloc(1, sizeof(*v));
    if (!v || sodium_init() < 0) {
        free(v);
        return err_set(err, ENOMEM, "no memory for visits");
    }
    l->visits = v;
    v->last_ask = (uint64_t)l->number << ASK_SHIFT;
    for (int i = 0; i < SETS * WAYS; i++)
        list_init(&v->entries[i / WAYS][i % WAYS].waiting);
    randombytes_buf(v->salt, sizeof(v->salt));
    struct err why = {0};
    v->has_pub = keys_read(l->conf->server_data, "visit.pub", v->pub, sizeof(v->pub), &why) == 0;
    if (!v->has_pub)
        log_warn(NULL, "gateway.visits", "private Spaces stay closed to browsers: %s", why.msg);
    read_admin(v, l->conf->server_data);
    return 0;
}

void visits_free(struct loop *l)
{
    free(steal_ptr(l->visits));
}

/* ---- what was said about whom ---- */

static void hash_of(const struct visits *v, uint64_t space_id, const char *text, size_t len,
                    unsigned char out[HASH])
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, v->salt, sizeof(v->salt), HASH);
    crypto_generichash_update(&h, (const unsigned char *)&space_id, sizeof(space_id));
    crypto_generichash_update(&h, (const unsigned char *)text, len);
    crypto_generichash_final(&h, out, HASH);
}

static struct entry *find(struct visits *v, const unsigned char hash[HASH])
{
    struct entry *set = v->entries[hash[0] % SETS];
    for (int i = 0; i < WAYS; i++)
        if (set[i].state != FREE && memcmp(set[i].hash, hash, HASH) == 0)
            return &set[i];
    return NULL;
}

/* A free one, or the one that is over first; never one that somebody waits for. NULL then. */
static struct entry *take(struct visits *v, const unsigned char hash[HASH])
{
    struct entry *set = v->entries[hash[0] % SETS], *best = NULL;
    for (int i = 0; i < WAYS; i++) {
        struct entry *e = &set[i];
        if (!list_empty(&e->waiting))
            continue;
        if (!best || e->state == FREE || (best->state != FREE && e->until_ms < best->until_ms))
            best = e;
    }
    if (best) {
        memcpy(best->hash, hash, HASH);
        best->ask_id = 0;
    }
    return best;
}

static void remember(struct visits *v, const unsigned char hash[HASH], enum state state,
                     uint64_t until_ms)
{
    struct entry *e = find(v, hash);
    if (e && !list_empty(&e->waiting))
        return;
    if (!e)
        e = take(v, hash);
    if (!e)
        return;
    e->state = (uint8_t)state;
    e->until_ms = until_ms;
}

/* ---- what the request shows ---- */

/* Calls `each` for the values of the cookies of our name; true where one was good. */
static bool each_visit(const char *p, const struct http1_field *f,
                       bool (*each)(void *arg, const char *value, size_t len), void *arg,
                       unsigned *left)
{
    const char *v = p + f->value, *end = v + f->value_len;
    const size_t name = sizeof(VISIT_COOKIE) - 1;
    while (v < end) {
        const char *stop = memchr(v, ';', (size_t)(end - v));
        stop = stop ? stop : end;
        while (v < stop && (*v == ' ' || *v == '\t'))
            v++;
        if ((size_t)(stop - v) > name && memcmp(v, VISIT_COOKIE, name) == 0 && v[name] == '=') {
            if (!*left)
                return false;
            --*left;
            if (each(arg, v + name + 1, (size_t)(stop - v) - name - 1))
                return true;
        }
        v = stop + 1;
    }
    return false;
}

struct looking {
    struct loop *l;
    uint64_t space_id;
    bool was_good; /* once */
};

/* One that was checked lately is not checked again: that costs as much as the rest of a request. */
static bool visit_is_good(void *arg, const char *value, size_t len)
{
    struct looking *look = arg;
    struct visits *v = look->l->visits;
    unsigned char hash[HASH];
    uint64_t now_s = now_ms() / 1000, end_s = 0;
    if (!v->has_pub || len >= VISIT_TEXT)
        return false;
    hash_of(v, look->space_id, value, len, hash);
    const struct entry *e = find(v, hash);
    if (e && e->state == IN && e->until_ms > look->l->now_ms)
        return true;
    enum visit_verdict verdict =
        visit_check(v->pub, look->space_id, value, len, now_s, false, &end_s);
    if (verdict == VISIT_OVER)
        look->was_good = true;
    if (verdict != VISIT_GOOD)
        return false;
    uint64_t left_ms = (end_s - now_s) * 1000;
    remember(v, hash, IN, look->l->now_ms + (left_ms < REMEMBER_MS ? left_ms : REMEMBER_MS));
    return true;
}

/* "Bearer TOKEN" */
static bool bearer(const char *v, size_t len, const char **token, size_t *token_len)
{
    if (len < 8 || !http1_is(v, 7, "bearer "))
        return false;
    v += 7;
    len -= 7;
    while (len && *v == ' ') {
        v++;
        len--;
    }
    if (!len || len > TOKEN_MAX || memchr(v, ' ', len))
        return false;
    *token = v;
    *token_len = len;
    return true;
}

/* Is it one of ours, whatever it may do? A demo must not get it. */
static bool is_ours(const struct visits *v, const char *token, size_t len)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    if (len > 3 && memcmp(token, "vt_", 3) == 0)
        return true;
    crypto_hash_sha256(hash, (const unsigned char *)token, len);
    return v->has_admin && sodium_memcmp(hash, v->admin, sizeof(hash)) == 0;
}

/* "Basic BASE64" with one of ours as the password, or as the name: as git sends it. */
static bool basic_is_ours(const struct visits *v, const char *value, size_t len)
{
    char text[2 * TOKEN_MAX];
    size_t n = 0;
    if (len < 7 || !http1_is(value, 6, "basic ") ||
        sodium_base642bin((unsigned char *)text, sizeof(text), value + 6, len - 6, " ", &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    const char *colon = memchr(text, ':', n), *password = colon ? colon + 1 : text;
    size_t name_len = colon ? (size_t)(colon - text) : n;
    bool ours = is_ours(v, text, name_len) || is_ours(v, password, (size_t)(text + n - password));
    sodium_memzero(text, sizeof(text));
    return ours;
}

/* The one token that the request shows; several are as good as none. */
static bool token_of(struct client *c, const struct http1_head *h, const char **token, size_t *len)
{
    const char *p = gbuf_at(c->conn.in), *own = NULL;
    size_t own_len = 0, hf_len = 0;
    const char *hf = NULL;
    unsigned n_own = 0, n_hf = 0;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->id == FIELD_AUTHORIZATION) {
            n_own++;
            if (bearer(p + f->value, f->value_len, &own, &own_len)
                    ? is_ours(c->loop->visits, own, own_len)
                    : basic_is_ours(c->loop->visits, p + f->value, f->value_len))
                c->drop_authorization = true;
        } else if (f->id == FIELD_OURS) {
            n_hf++;
            if (!bearer(p + f->value, f->value_len, &hf, &hf_len))
                hf = NULL;
        }
    }
    if (n_own > 1 || n_hf > 1)
        return false;
    *token = hf ? hf : own;
    *len = hf ? hf_len : own_len;
    if (!hf && own)
        c->token_is_authorization = true;
    return *token != NULL;
}

/* ---- asking ---- */

static void wait_for_answer(struct client *c, struct entry *e)
{
    c->state = CLIENT_ASK;
    list_push_back(&e->waiting, &c->wait);
    client_set_deadline(c, ANSWER_MS);
}

static void busy(struct client *c)
{
    reply_send(c, &(struct reply){.status = 503,
                                  .title = "One moment",
                                  .text = "Who may see this Space cannot be asked right now.",
                                  .retry_after_s = 2});
}

/* IN or OUT where it is known; else the client waits, or is answered. */
static enum state ask(struct client *c, const struct route *r, const char *token, size_t len)
{
    struct loop *l = c->loop;
    struct visits *v = l->visits;
    unsigned char hash[HASH];
    hash_of(v, r->space_id, token, len, hash);
    struct entry *e = find(v, hash);
    if (e && (e->state == IN || e->state == OUT) && e->until_ms > l->now_ms)
        return (enum state)e->state;
    if (!e || (e->state == ASKED && e->until_ms <= l->now_ms && list_empty(&e->waiting)) ||
        e->state != ASKED) {
        if (!e && !(e = take(v, hash))) {
            busy(c);
            return ASKED;
        }
        struct proto_token_ask m = {.ask_id = ++v->last_ask, .space_id = r->space_id};
        memcpy(m.token, token, len);
        e->state = ASKED;
        e->ask_id = m.ask_id;
        e->until_ms = l->now_ms + ANSWER_MS;
        bool sent = runner_ask(l, &m);
        sodium_memzero(m.token, sizeof(m.token));
        if (!sent) {
            e->state = FREE;
            busy(c);
            return ASKED;
        }
    }
    wait_for_answer(c, e);
    return ASKED;
}

void visit_answer(struct loop *l, const struct proto_token_answer *m)
{
    struct link waiting;
    for (int i = 0; i < SETS * WAYS; i++) {
        struct entry *e = &l->visits->entries[i / WAYS][i % WAYS];
        if (e->state != ASKED || e->ask_id != m->ask_id)
            continue;
        e->state = m->allowed ? IN : OUT;
        e->until_ms = l->now_ms + (m->allowed ? REMEMBER_MS : REMEMBER_NOT_MS);
        list_move_all(&waiting, &e->waiting);
        while (!list_empty(&waiting)) {
            struct client *c = container_of(waiting.next, struct client, wait);
            list_remove(&c->wait);
            request_dispatch(c);
            client_step(c);
        }
        return;
    }
}

void visit_give_up(struct client *c)
{
    client_unwait(c);
    busy(c);
}

/* ---- the door ---- */

/* As where there is no Space: whether there is one is not told. A browser that was here with a
 * visit that is over goes by way of the site, which makes it a new one. */
static void turn_away(struct client *c, const struct route *r, bool was_good)
{
    if (was_good && c->navigation)
        reply_to_site(c, r);
    else
        reply_nothing(c, r);
}

bool visit_may(struct client *c, struct route *r)
{
    const struct http1_head *h = request_head(c);
    const char *p = gbuf_at(c->conn.in), *token = NULL;
    struct looking look = {.l = c->loop, .space_id = r->space_id};
    unsigned left = COOKIES_MAX;
    size_t len = 0;
    bool has_token = token_of(c, h, &token, &len);
    if (!(r->flags & ROUTE_PRIVATE))
        return true;
    for (unsigned i = 0; i < h->n_fields; i++)
        if (h->fields[i].id == FIELD_COOKIE &&
            each_visit(p, &h->fields[i], visit_is_good, &look, &left))
            return true;
    if (has_token) {
        enum state s = ask(c, r, token, len);
        if (s == IN && c->token_is_authorization)
            c->drop_authorization = true;
        if (s != OUT)
            return s == IN;
    }
    turn_away(c, r, look.was_good);
    return false;
}

/* The path to go on to: one of this host, whatever a browser makes of it. */
static bool path_ok(const char *path, size_t len)
{
    return len > 0 && path[0] == '/' && (len == 1 || (path[1] != '/' && path[1] != '\\'));
}

bool visit_enter(struct client *c, struct route *r)
{
    const struct http1_head *h = request_head(c);
    const char *p = gbuf_at(c->conn.in), *t = p + h->target;
    const size_t n = sizeof(VISIT_PATH) - 1;
    if (h->target_len < n || memcmp(t, VISIT_PATH, n) != 0 || (h->target_len > n && t[n] != '?'))
        return false;
    if (!r->known) {
        wake_hold(c, r);
        return true;
    }
    const char *visit = t + n + 1, *end = t + h->target_len;
    const char *amp = h->target_len > n ? memchr(visit, '&', (size_t)(end - visit)) : NULL;
    struct visits *v = c->loop->visits;
    uint64_t end_s = 0, now_s = now_ms() / 1000;
    enum visit_verdict verdict = VISIT_BAD;
    if (amp && path_ok(amp + 1, (size_t)(end - amp - 1)) && v->has_pub && r->space_id)
        verdict =
            visit_check(v->pub, r->space_id, visit, (size_t)(amp - visit), now_s, true, &end_s);
    bool framed = false;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->id == FIELD_OTHER && http1_is(p + f->name, f->name_len, "sec-fetch-site"))
            framed = http1_is(p + f->value, f->value_len, "cross-site");
    }
    if (verdict == VISIT_GOOD)
        reply_visit(c, visit, (size_t)(amp - visit), end_s - now_s, framed, amp + 1,
                    (size_t)(end - amp - 1));
    else
        turn_away(c, r, verdict == VISIT_OVER);
    return true;
}
