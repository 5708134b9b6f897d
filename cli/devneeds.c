#include "devneeds.h"

#include "client.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LARGE (16 << 20)

static bool has(const struct folder *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->entries[i].path, name) == 0)
            return true;
    return false;
}

bool devneeds_asks(const struct folder *folder, const json_t *record)
{
    const char *sdk = json_str(record, "sdk");
    const json_t *card = json_object_get(record, "card");
    if (json_object_get(card, "app_build_command") || json_object_get(card, "preload_from_hub"))
        return true;
    if (strcmp(sdk, "static") == 0)
        return false;
    if (strcmp(sdk, "gradio") == 0 || strcmp(sdk, "streamlit") == 0 || has(folder, "packages.txt"))
        return true;
    if (strcmp(sdk, "node") == 0)
        return has(folder, "package.json");
    return has(folder, "requirements.txt") || has(folder, "pre-requirements.txt");
}

/* requirements.txt may include others of any name; these are those that people give. */
bool devneeds_counts(const char *path)
{
    static const char *const ends[] = {
        ".txt", ".in", "package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"};
    size_t len = strlen(path);
    if (strcmp(path, "README.md") == 0)
        return true;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        size_t n = strlen(ends[i]);
        if (len >= n && strcmp(path + len - n, ends[i]) == 0)
            return true;
    }
    return false;
}

static int hash_file(crypto_hash_sha256_state *sum, int app_fd, const struct folder_entry *e,
                     struct err *err)
{
    unsigned char chunk[65536];
    _cleanup_close_ int fd = openat(app_fd, e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;
    if (fd < 0)
        return err_errno(err, "cannot read %s", e->path);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        crypto_hash_sha256_update(sum, chunk, (size_t)n);
    return n < 0 ? err_errno(err, "cannot read %s", e->path) : 0;
}

int devneeds_sha(const struct devstage *s, char out[65], struct err *err)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state sum;
    _cleanup_close_ int app_fd = open(s->app, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = app_fd < 0 ? err_errno(err, "cannot open %s", s->app) : 0;
    crypto_hash_sha256_init(&sum);
    for (size_t i = 0; r == 0 && i < s->folder.count; i++) {
        const struct folder_entry *e = &s->folder.entries[i];
        bool file = S_ISREG(e->st.st_mode), large = file && e->st.st_size > LARGE;
        char facts[128];
        snprintf(facts, sizeof(facts), "%o %lld %lld", e->st.st_mode & (S_IFMT | 0100),
                 file ? (long long)e->st.st_size : 0,
                 large ? (long long)e->st.st_mtim.tv_sec * 1000000000 + e->st.st_mtim.tv_nsec : 0);
        crypto_hash_sha256_update(&sum, (const unsigned char *)facts, strlen(facts) + 1);
        crypto_hash_sha256_update(&sum, (const unsigned char *)e->path, strlen(e->path) + 1);
        if (e->target)
            crypto_hash_sha256_update(&sum, (const unsigned char *)e->target,
                                      strlen(e->target) + 1);
        if (file && !large)
            r = hash_file(&sum, app_fd, e, err);
    }
    crypto_hash_sha256_final(&sum, digest);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
    return r;
}
