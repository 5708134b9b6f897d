#include "job/lfs.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_LINE "version https://git-lfs.github.com/spec/v1"

bool lfs_is_oid(const char *oid)
{
    return strlen(oid) == 64 && strspn(oid, "0123456789abcdef") == 64;
}

bool lfs_parse(const char *text, size_t len, struct lfs_pointer *ret)
{
    char copy[LFS_POINTER_MAX], *rest = copy;
    bool version = false, size = false;

    *ret = (struct lfs_pointer){0};
    if (len >= LFS_POINTER_MAX)
        return false;
    if (len < sizeof(VERSION_LINE) || memchr(text, 0, len) ||
        memcmp(text, VERSION_LINE, sizeof(VERSION_LINE) - 1) != 0)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    for (char *line; (line = strsep(&rest, "\n"));) {
        size_t n = strlen(line);

        if (n && line[n - 1] == '\r')
            line[n - 1] = '\0';
        if (strcmp(line, VERSION_LINE) == 0) {
            version = true;
        } else if (strncmp(line, "oid sha256:", 11) == 0 && lfs_is_oid(line + 11)) {
            memcpy(ret->oid, line + 11, 65);
        } else if (strncmp(line, "size ", 5) == 0) {
            const char *digits = line + 5;
            n = strspn(digits, "0123456789");
            size = n > 0 && n <= 18 && digits[n] == '\0' &&
                   sscanf(digits, "%" SCNu64, &ret->size) == 1;
        }
    }
    return version && size && *ret->oid;
}

size_t lfs_format(const struct lfs_pointer *p, char out[LFS_POINTER_MAX])
{
    return (size_t)snprintf(out, LFS_POINTER_MAX,
                            VERSION_LINE "\noid sha256:%s\nsize %" PRIu64 "\n", p->oid, p->size);
}

static void place_of(const char *repo, const char *oid, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/lfs/objects/%.2s/%.2s/%s", repo, oid, oid + 2, oid);
}

int lfs_open(const char *repo, const char *oid, uint64_t *ret_size, struct err *err)
{
    char path[PATH_MAX];
    struct stat st;

    if (!lfs_is_oid(oid))
        return err_set(err, EINVAL, "%.80s is no SHA-256 of an LFS object", oid);
    place_of(repo, oid, path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, ENOENT, "the LFS object %s is not stored here", oid);
    if (ret_size)
        *ret_size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}

/* Copies and hashes: the bytes of `in` (a file) into `out`. */
static int copy(int in, int out, const struct lfs_pointer *p, struct err *err)
{
    static char data[256 * 1024];
    crypto_hash_sha256_state state;
    unsigned char digest[32];
    char hex[65];
    uint64_t size = 0;
    ssize_t n;

    crypto_hash_sha256_init(&state);
    while ((n = read_all(in, data, sizeof(data))) > 0) {
        int r = write_all(out, data, (size_t)n);

        if (r < 0)
            return err_set(err, -r, "the LFS object cannot be stored: %s", strerror(-r));
        crypto_hash_sha256_update(&state, (unsigned char *)data, (unsigned long long)n);
        size += (uint64_t)n;
        if (size > p->size)
            break;
    }
    if (n < 0)
        return err_set(err, (int)-n, "the LFS object cannot be read");
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    if (size != p->size)
        return err_set(err, EINVAL,
                       "the LFS object %s was announced with %" PRIu64 " bytes, %s came", p->oid,
                       p->size, size > p->size ? "more" : "fewer");
    if (strcmp(hex, p->oid) != 0)
        return err_set(err, EINVAL, "the bytes that came are not those of the LFS object %s",
                       p->oid);
    return 0;
}

int lfs_store(const char *repo, const struct lfs_pointer *p, int fd, struct err *err)
{
    char path[PATH_MAX], folder[PATH_MAX], fresh[PATH_MAX];

    if (!lfs_is_oid(p->oid))
        return err_set(err, EINVAL, "%.80s is no SHA-256 of an LFS object", p->oid);
    place_of(repo, p->oid, path);
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    snprintf(fresh, sizeof(fresh), "%s/lfs/.tmp-%s", repo, p->oid);
    int r = mkdir_p(folder, 0755, err);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, "the LFS object cannot be read");
    unlink(fresh);
    _cleanup_close_ int out =
        open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (out < 0)
        return err_errno(err, "the LFS object cannot be stored");
    r = copy(fd, out, p, err);
    if (r == 0 && (fsync(out) < 0 || rename(fresh, path) < 0))
        r = err_errno(err, "the LFS object cannot be stored");
    if (r < 0)
        unlink(fresh);
    return r;
}
