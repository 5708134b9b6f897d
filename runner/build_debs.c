/* A build's step for packages.txt: Debian packages become a layer, envs/KEY, which all owners share
 * (layer.h). */
#include "runner/build_own.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/bytecode.h"
#include "runner/life.h"
#include "runner/life_build.h"
#include "runner/public.h"
#include "runner/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What the root has: another one lacks other packages. */
static void add_root(const struct build *b, struct buf *text)
{
    const char *root = conf_of(b->r)->sandbox_root;
    char path[PATH_MAX];
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s/var/lib/dpkg/status", strcmp(root, "host") == 0 ? "" : root);
    (void)stat(path, &st);
    buf_printf(text, "debs %s\nroot %s %lld %lld\n", BUILD_VERSION, root, (long long)st.st_size,
               (long long)st.st_mtime);
}

static void make_request(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    add_root(b, &text);
    buf_printf(&text, "words %s\n", b->debs_digest);
    sha256_hex(text.data ? text.data : "", text.len, b->debs_request);
}

static void make_key(struct build *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(b->debs.len + 65536);
    add_root(b, &text);
    if (b->debs.len)
        buf_append(&text, b->debs.data, b->debs.len);
    sha256_hex(text.data ? text.data : "", text.len, b->key);
}

/* Did these words lead to a layer before? */
bool build_debs_known(struct build *b)
{
    if (!b->debs_digest[0])
        return true;
    make_request(b);
    if (!b->anew && life_resolution(b->r, b->debs_request, b->layer, NULL) == 1 &&
        build_is_whole(b->r, b->layer))
        return true;
    b->layer[0] = 0;
    return false;
}

void build_debs_begin(struct build *b)
{
    if (!b->debs_digest[0] || b->layer[0]) {
        build_models_begin(b);
        return;
    }
    if (!build_index_has_way_out(b->r)) {
        build_fail(b, "packages.txt needs a way out, and [build] index = none leaves builds none; "
                      "the operator can change that");
        build_give_up(b);
        return;
    }
    b->phase = PHASE_DEBS;
    build_save(b, "resolving");
    build_say(b, "packages", "packages.txt");
    build_start_step(b);
}

static void have_layer(struct build *b, const char *key)
{
    memcpy(b->layer, key, sizeof(b->layer));
    b->key[0] = 0;
    if (life_resolution_save(b->r, b->debs_request, b->layer, NULL) < 0)
        log_warn(NULL, "build.row", "what packages.txt led to could not be written down");
    if (b->cancelled || b->over)
        build_give_up(b);
    else
        build_models_begin(b);
}

static void on_layer_sealed(void *arg, int code)
{
    struct build *b = arg;
    char key[65], size[32];
    memcpy(key, b->key, sizeof(key));
    if (code || life_env_save(b->r, key, "", "", env_bytes(b->r, key), BYTECODE_MADE, NULL) < 0) {
        build_fail(b, public_reason(code ? code : EIO, "its packages could not be stored"));
        build_give_up(b);
        return;
    }
    buf_clear(&b->debs); /* nothing of it is left in .new-N */
    format_bytes(env_bytes(b->r, key), size);
    build_say(b, "packages", "layer %.12s, %s", key, size);
    have_layer(b, key);
}

/* They are unpacked: are they what is there already? */
void build_debs_unpacked(struct build *b)
{
    make_key(b);
    if (build_is_whole(b->r, b->key)) {
        char key[65];
        memcpy(key, b->key, sizeof(key));
        build_say(b, "packages", "layer %.12s is there already", key);
        have_layer(b, key);
        return;
    }
    build_begin_seal(b, PHASE_DEBS_SEAL, "debs", on_layer_sealed);
}
