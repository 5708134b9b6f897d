/* See build_models.h. */
#include "runner/build_models.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/hub_url.h"
#include "common/log.h"
#include "common/preload_entry.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build_own.h"
#include "runner/bytecode.h"
#include "runner/chore.h"
#include "runner/egress.h"
#include "runner/indexes.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/models.h"
#include "runner/public.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM "/run/vitrine/vitrine-preload"
#define TOKEN_BYTES 2000
#define HEADS_BYTES (64u << 20)
#define STALE_TRIES 3

/* ---- what is asked for ---- */

static void add_entry(struct build *b, json_t *item)
{
    struct preload_entry entry;
    const char *text = json_string_value(item);
    /* the card's check said so already, for what is submitted today */
    if (!text || strchr(text, '\n') || preload_entry_parse(text, &entry, NULL) < 0 ||
        buf_printf(&b->preload, "%s\n", text) < 0)
        build_fail(b, "README.md: preload_from_hub has an entry that is not REPOSITORY FILE,FILE "
                      "REVISION");
}

void build_models_read_card(struct build *b, json_t *card)
{
    json_t *list = json_object_get(card, "preload_from_hub"), *item;
    size_t i;
    if (strcmp(b->version.sdk, "static") == 0) /* no program is there to read them */
        return;
    if (json_is_string(list))
        add_entry(b, list);
    json_array_foreach(list, i, item) add_entry(b, item);
}

bool build_models_has_hub(struct build *b)
{
    struct space_limits limits;
    if (!b->preload.len || *conf_of(b->r)->build_hub)
        return true;
    if (site_limits(b->r, b->space->id, &limits, NULL) == 0 && limits.v[LIMIT_NETWORK] == 1) {
        build_say(b, "warning",
                  "preload_from_hub: this server has no hub to fetch from (build.hub), so the "
                  "program has to fetch its models itself, at each start");
        buf_clear(&b->preload);
        return true;
    }
    build_fail(b, "README.md: preload_from_hub: this server has no hub to fetch models from, and "
                  "the Space no network to do it itself; the operator can name one ([build] hub = "
                  "https://huggingface.co, or a mirror), or put the files into the repository "
                  "(Git LFS)");
    return false;
}

static void make_request(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(b->preload.len + 65536);
    buf_printf(&text, "models %s\nspace %" PRIu64 "\nhub %s\n", BUILD_VERSION, b->space->id,
               conf_of(b->r)->build_hub);
    if (b->preload.len)
        buf_append(&text, b->preload.data, b->preload.len);
    sha256_hex(text.data ? text.data : "", text.len, b->models_request);
}

static void make_key(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(b->found.len + 65536);
    buf_printf(&text, "models %s\nspace %" PRIu64 "\n", BUILD_VERSION, b->space->id);
    if (b->found.len)
        buf_append(&text, b->found.data, b->found.len);
    sha256_hex(text.data ? text.data : "", text.len, b->key);
}

/* ---- its sandbox ---- */

/* "" without one. */
static int read_token(const struct runner *r, char out[TOKEN_BYTES])
{
    const char *path = conf_of(r)->build_hub_token_file;
    out[0] = '\0';
    if (!*path)
        return 0;
    ssize_t n = file_read_small(path, out, TOKEN_BYTES);
    if (n < 0 || !out[0] || strpbrk(out, " \r\n\t")) {
        log_error(NULL, "build.hub", "%s (build.hub_token_file) %s", path,
                  n < 0 ? strerror((int)-n) : "does not hold one line with a token");
        return n < 0 ? (int)n : -EINVAL;
    }
    return 0;
}

/* Where a token is to be added, the proxy is asked by http, and asks by what it is
 * (egress/policy.h).
 */
static uint16_t door_of(const struct hub_url *u)
{
    return u->secure && u->port == 443 ? 80 : u->port;
}

int build_models_fill(struct build *b, struct proto_start *start)
{
    const struct conf *c = conf_of(b->r);
    struct start_list argv = START_LIST(start, argv);
    struct start_list mounts = START_LIST(start, mounts);
    struct hub_url u;
    char fresh[PATH_MAX];
    int n = hub_url_parse(c->build_hub, &u, NULL);
    if (n < 0)
        return n;
    start_list_add(&argv, PROGRAM);
    start_list_add(&argv, "--hub");
    if (*c->build_hub_token_file)
        start_list_add(&argv, "http://%s:%u%.*s", u.host, door_of(&u), u.path_len, u.path);
    else
        start_list_add(&argv, "%.*s", (int)(u.path + u.path_len - c->build_hub), c->build_hub);
    start_list_add(&argv, "--max-bytes");
    start_list_add(&argv, "%" PRIu64, c->build_preload_size);
    start_list_add(&argv, "--proxy-port");
    start_list_add(&argv, "%d", EGRESS_PORT);
    env_fresh_path(b, "models", fresh, sizeof(fresh));
    start_list_add(&mounts, "ro:%s/vitrine-preload:" PROGRAM, b->r->programs);
    start_list_add(&mounts, "rw:%s:/run/vitrine/preload", fresh);
    start_list_add(&mounts, "rw:%s/" MODELS_PARTS "/%" PRIu64 ":/run/vitrine/parts", b->r->data,
                   b->space->id);
    start_list_add(&mounts, "ro:%s/" MODELS_STORE ":/run/vitrine/store", b->r->data);
    n = argv.failed < 0 ? argv.failed : mounts.failed;
    return n < 0 ? n : indexes_fill_trust(b->r, start);
}

int build_models_policy(struct runner *r, struct buf *out)
{
    char token[TOKEN_BYTES] = "";
    struct hub_url u;
    int n = hub_url_parse(conf_of(r)->build_hub, &u, NULL);
    if (n == 0)
        n = read_token(r, token);
    if (n == 0)
        n = buf_printf(out, "allow %s %u,%u inside\n", u.host, u.port, door_of(&u));
    if (n == 0 && token[0])
        n = buf_printf(out, "login %s %s %u Bearer %s\nverbatim yes\n", u.secure ? "https" : "http",
                       u.host, u.port, token);
    explicit_bzero(token, sizeof(token));
    if (n == 0)
        n = indexes_policy_hosts(r, out);
    const struct conf *c = conf_of(r);
    uint64_t all = c->build_preload_size, with_heads = all + all / 16 + HEADS_BYTES;
    if (n == 0 && with_heads > all &&
        with_heads > c->build_max_transfer) /* the later line counts */
        n = buf_printf(out, "bytes %" PRIu64 "\n", with_heads);
    return n;
}

/* ---- the step ---- */

/* Did these entries lead to a cache before? */
bool build_models_known(struct build *b)
{
    if (!b->preload.len)
        return true;
    make_request(b);
    if (!b->anew && life_resolution(b->r, b->models_request, b->models, NULL) == 1 &&
        build_is_whole(b->r, b->models)) {
        build_say(b, "preload", "models %.12s are there already", b->models);
        return true;
    }
    b->models[0] = 0;
    return false;
}

static void fetch_models(struct build *b)
{
    b->phase = PHASE_MODELS;
    buf_clear(&b->found);
    build_save(b, "resolving");
    build_watch(b);
    build_start_step(b);
}

void build_models_begin(struct build *b)
{
    if (!b->preload.len || b->models[0]) {
        build_begin_env(b);
        return;
    }
    build_say(b, "preload", "preload_from_hub, from %s", conf_of(b->r)->build_hub);
    fetch_models(b);
}

static void on_models_sealed(void *arg, int code)
{
    struct build *b = arg;
    if (code == ESTALE && !b->cancelled && ++b->found_stale < STALE_TRIES) {
        fetch_models(b); /* somebody else's, which was there, is gone: its own then */
        return;
    }
    if (code || life_env_save(b->r, b->key, b->space->owner, "", env_bytes(b->r, b->key),
                              BYTECODE_MADE, NULL) < 0) {
        build_fail(b, public_reason(code ? code : EIO, "its models could not be stored"));
        build_give_up(b);
        return;
    }
    memcpy(b->models, b->key, sizeof(b->models));
    b->key[0] = 0;
    build_say(b, "preload", "models %.12s", b->models);
    if (life_resolution_save(b->r, b->models_request, b->models, NULL) < 0)
        log_warn(NULL, "build.row", "what preload_from_hub led to could not be written down");
    if (b->cancelled || b->over)
        build_give_up(b);
    else
        build_begin_env(b);
}

void build_models_fetched(struct build *b)
{
    make_key(b);
    build_begin_seal(b, PHASE_MODELS_SEAL, "models", on_models_sealed);
}

/* ---- what nobody needs ---- */

static int sweep(const void *arg, struct err *err)
{
    return models_sweep(arg, err);
}

static void on_swept(void *owner, int code)
{
    (void)owner;
    if (code)
        log_warn(NULL, "models.sweep", "files of models are left: %s", strerror(code));
}

void build_models_sweep(struct runner *r)
{
    struct err err = {0};
    for (const struct build *b = r->builds; b; b = b->next)
        if (b->phase == PHASE_MODELS || b->phase == PHASE_MODELS_SEAL)
            return;
    if (chore_begin(r, sweep, r->data, on_swept, r, &err) < 0)
        log_warn(NULL, "models.sweep", "%s", err.msg);
}
