#include "keys.h"

#include "util.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(KEYS_BOX == crypto_box_PUBLICKEYBYTES, "");
_Static_assert(KEYS_VISIT_KEY == crypto_sign_SECRETKEYBYTES, "");
_Static_assert(KEYS_VISIT_PUB == crypto_sign_PUBLICKEYBYTES, "");

#define KEY_MAX 64

static void path_of(char out[PATH_MAX], const char *data, const char *name)
{
    snprintf(out, PATH_MAX, "%s/keys/%s", data, name);
}

int keys_read(const char *data, const char *name, unsigned char *out, size_t len, struct err *err)
{
    char path[PATH_MAX], text[2 * KEY_MAX + 8];
    path_of(path, data, name);
    ssize_t n = file_read_small(path, text, sizeof text);
    if (n < 0)
        return err_set(err, (int)-n, "cannot read %s: %s", path, strerror((int)-n));
    size_t got = 0;
    const char *end = text;
    int r = sodium_hex2bin(out, len, text, (size_t)n, NULL, &got, &end);
    sodium_memzero(text, sizeof text);
    if (r < 0 || got != len || *end)
        return err_set(err, EINVAL, "%s does not hold a key of %zu hexadecimal digits", path,
                       2 * len);
    return 0;
}

static int write_key(const char *path, const unsigned char *key, size_t len, struct err *err)
{
    char text[2 * KEY_MAX + 2];
    sodium_bin2hex(text, sizeof text, key, len);
    text[2 * len] = '\n';
    int r = file_write_whole(path, text, 2 * len + 1, 0600, err);
    sodium_memzero(text, sizeof text);
    return r;
}

/* A key is made once: two programs that begin at the same time end up with the same one. */
static int make_key(const char *data, const char *name, const unsigned char *key, size_t len,
                    struct err *err)
{
    char path[PATH_MAX], fresh[PATH_MAX], mark[48];
    path_of(path, data, name);
    if (access(path, F_OK) == 0)
        return 0;
    snprintf(mark, sizeof mark, ".%s.%d", name, (int)getpid());
    path_of(fresh, data, mark);
    int r = write_key(fresh, key, len, err);
    if (r == 0 && link(fresh, path) < 0 && errno != EEXIST)
        r = err_errno(err, "cannot make %s", path);
    unlink(fresh);
    return r;
}

/* The public half, wherever it is not that of the key. */
static int make_half(const char *data, const char *name, const unsigned char *half, size_t len,
                     struct err *err)
{
    unsigned char there[KEY_MAX];
    char path[PATH_MAX];
    path_of(path, data, name);
    if (keys_read(data, name, there, len, NULL) == 0 && memcmp(there, half, len) == 0)
        return 0;
    return write_key(path, half, len, err);
}

int keys_make(const char *data, struct err *err)
{
    unsigned char box[KEYS_BOX], box_pub[KEYS_BOX], visit[KEYS_VISIT_KEY],
        visit_pub[KEYS_VISIT_PUB];
    char folder[PATH_MAX];
    if (sodium_init() < 0)
        return err_set(err, EIO, "libsodium does not start");
    snprintf(folder, sizeof folder, "%s/keys", data);
    int r = mkdir_p(folder, 0700, err);
    crypto_box_keypair(box_pub, box);
    crypto_sign_keypair(visit_pub, visit);
    if (r == 0)
        r = make_key(data, "box.key", box, sizeof box, err);
    if (r == 0)
        r = make_key(data, "visit.key", visit, sizeof visit, err);
    if (r == 0) /* what is there, ours or another's */
        r = keys_read(data, "box.key", box, sizeof box, err);
    if (r == 0)
        r = keys_read(data, "visit.key", visit, sizeof visit, err);
    if (r == 0 && crypto_scalarmult_base(box_pub, box) < 0)
        r = err_set(err, EINVAL, "%s/box.key is no key", folder);
    if (r == 0)
        crypto_sign_ed25519_sk_to_pk(visit_pub, visit);
    if (r == 0)
        r = make_half(data, "box.pub", box_pub, sizeof box_pub, err);
    if (r == 0)
        r = make_half(data, "visit.pub", visit_pub, sizeof visit_pub, err);
    sodium_memzero(box, sizeof box);
    sodium_memzero(visit, sizeof visit);
    return r;
}
