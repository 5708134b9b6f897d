/* One file, from the hub to PRELOAD_PARTS: hashed as it comes, taken up where it broke off. */
#include "preload/preload.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define TRIES 5 /* without a byte in between */
#define PAUSE_MS 500
#define SAY_EACH_MS 2000

struct sink {
    const struct file *f;
    struct progress *progress;
    int fd;
    uint64_t at;
    bool begun;    /* the first bytes of this answer are there */
    bool too_long; /* more than the hub said */
    int code;      /* of writing */
    crypto_hash_sha256_state hash;
};

static void tell(struct progress *p)
{
    uint64_t now = mono_ms();
    unsigned percent = p->total ? (unsigned)(100.0 * (double)p->done / (double)p->total) : 100;
    char total[32];
    if (now - p->said_ms < SAY_EACH_MS || percent == p->said_percent || percent > 99)
        return;
    p->said_ms = now;
    p->said_percent = percent;
    format_bytes(p->total, total);
    say("%u%% of %s", percent, total);
}

static int begin_anew(struct sink *s)
{
    s->progress->done -= s->at < s->progress->done ? s->at : s->progress->done;
    s->at = 0;
    crypto_hash_sha256_init(&s->hash);
    return ftruncate(s->fd, 0) < 0 || lseek(s->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static bool take(void *arg, long status, const char *data, size_t n)
{
    struct sink *s = arg;
    if (status != 200 && status != 206)
        return true; /* an error's page */
    if (!s->begun && status == 200 && s->at)
        s->code = begin_anew(s); /* it does not know ranges */
    s->begun = true;
    s->too_long = s->at + n > s->f->meta.size;
    if (s->code == 0 && !s->too_long)
        s->code = write_all(s->fd, data, n);
    if (s->code < 0 || s->too_long)
        return false;
    crypto_hash_sha256_update(&s->hash, (const unsigned char *)data, n);
    s->at += n;
    s->progress->done += n;
    tell(s->progress);
    return true;
}

/* What is there already, hashed. Of a file whose content nobody knows it counts for nothing. */
static int take_up(struct sink *s)
{
    static char chunk[1 << 17];
    struct stat st;
    ssize_t n = 0;
    if (fstat(s->fd, &st) < 0)
        return -errno;
    if (!s->f->meta.hashed || (uint64_t)st.st_size > s->f->meta.size)
        return begin_anew(s);
    while ((n = read_all(s->fd, chunk, sizeof(chunk))) > 0) {
        crypto_hash_sha256_update(&s->hash, (const unsigned char *)chunk, (size_t)n);
        s->at += (uint64_t)n;
    }
    s->progress->done += s->at;
    if (s->at) {
        char size[32];
        format_bytes(s->at, size);
        say("%s: goes on after %s", s->f->path, size);
    }
    return n < 0 ? (int)n : 0;
}

static int why(const struct sink *s, struct hub *h, long status, struct err *err)
{
    const struct file *f = s->f;
    if (s->code < 0)
        return err_set(err, -s->code, "%s: %s cannot be kept: %s", f->repo, f->path,
                       strerror(-s->code));
    if (s->too_long)
        return err_set(err, EPROTO, "%s: %s is longer than the hub said, %llu bytes", f->repo,
                       f->path, (unsigned long long)f->meta.size);
    int r = hub_refused(f->repo, f->path, status, err);
    if (r < 0)
        return r;
    return err_set(err, EIO, "%s: %s could not be fetched: %s", f->repo, f->path,
                   h->error[0] ? h->error : "the hub ends it too early");
}

static int get(struct sink *s, struct hub *h, struct err *err)
{
    const struct file *f = s->f;
    long status = 0;
    for (int tries = 0; s->at < f->meta.size || !s->begun;) {
        uint64_t from = s->at;
        s->begun = false;
        int r = hub_get(h, f->repo, f->meta.commit, f->path, from, take, s, &status);
        if (r == 0 && status == 200 && f->meta.size == 0)
            return 0;
        if (r == 0 && (status == 200 || status == 206) && s->at == f->meta.size)
            return 0;
        if (status == 416 && from && (s->code = begin_anew(s)) == 0)
            continue;
        tries = s->at > from ? 1 : tries + 1;
        if (s->code < 0 || s->too_long || hub_refused(f->repo, f->path, status, NULL) < 0 ||
            tries == TRIES)
            return why(s, h, status, err);
        poll(NULL, 0, PAUSE_MS << tries);
    }
    return 0;
}

int fetch_file(struct hub *h, const struct file *f, const char *part, struct progress *p,
               char sha[65], struct err *err)
{
    char path[PATH_MAX];
    unsigned char digest[crypto_hash_sha256_BYTES];
    snprintf(path, sizeof(path), PRELOAD_PARTS "/%s", part);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EACCES && unlink(path) == 0) /* it was being taken into the store */
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "%s: %s cannot be kept", f->repo, f->path);
    struct sink s = {.f = f, .progress = p, .fd = fd};
    crypto_hash_sha256_init(&s.hash);
    int r = take_up(&s);
    if (r < 0)
        return err_set(err, -r, "%s: %s cannot be kept: %s", f->repo, f->path, strerror(-r));
    for (bool resumed = s.at > 0;; resumed = false) {
        s.begun = resumed && s.at == f->meta.size; /* nothing is missing */
        r = get(&s, h, err);
        if (r < 0)
            return r;
        crypto_hash_sha256_final(&s.hash, digest);
        sodium_bin2hex(sha, 65, digest, sizeof(digest));
        if (!f->meta.hashed || strcmp(sha, f->meta.etag) == 0)
            return 0;
        if (!resumed)
            break;
        if ((r = begin_anew(&s)) < 0) /* what was kept may have been another's */
            return err_set(err, -r, "%s: %s cannot be kept: %s", f->repo, f->path, strerror(-r));
    }
    (void)unlink(path);
    return err_set(err, EPROTO,
                   "%s: %s is not what the hub says: its SHA-256 is %.12s..., and should be "
                   "%.12s...",
                   f->repo, f->path, sha, f->meta.etag);
}
