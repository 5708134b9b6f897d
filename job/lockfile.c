#include "job/lockfile.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "job/pylock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <jansson.h>

static int read_file(const char *path, size_t most, struct buf *ret, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    *ret = BUF_INIT(most);
    int n = fd < 0 ? -errno : buf_read_fd(ret, fd);
    return n < 0 ? err_set(err, -n, "what the installer resolved cannot be read: %s", strerror(-n))
                 : 0;
}

int lockfile_of_uv(const char *path, struct buf *lock, struct err *err)
{
    _cleanup_buf_ struct buf text = {0};
    int n = read_file(path, LOCKFILE_MAX, &text, err);
    if (n < 0 || !text.len)
        return n;
    char *to = text.data;
    for (const char *from = text.data; *from;) {
        if (from[0] == '\\' && from[1] == '\n') {
            from += 2;
            from += strspn(from, " ");
        } else if (from[0] == '#' && (from == text.data || from[-1] == '\n')) {
            from += strcspn(from, "\n");
            from += *from == '\n';
        } else {
            *to++ = *from++;
        }
    }
    n = buf_append(lock, text.data, (size_t)(to - text.data));
    return n < 0 ? err_set(err, -n, "the lock is longer than %d MiB", LOCKFILE_MAX >> 20) : 0;
}

int lockfile_of_pylock(const char *path, struct buf *lock, struct err *err)
{
    _cleanup_buf_ struct buf text = {0};
    int n = read_file(path, LOCKFILE_REPORT_MAX, &text, err);
    return n < 0 ? n : text.len && pylock_read(text.data, lock);
}

static const char *text_of(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_hex_hash(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* Older pips do not tell the hash of what lies in a local folder. */
static int hash_of_file(const char *url, char out[65])
{
    _cleanup_buf_ struct buf b = BUF_INIT((size_t)2 << 30);
    _cleanup_close_ int fd = strncmp(url, "file://", 7) == 0 && !strchr(url, '%')
                                 ? open(url + 7, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                                 : -1;
    if (fd < 0 || buf_read_fd(&b, fd) < 0)
        return -ENOENT;
    sha256_hex(b.data ? b.data : "", b.len, out);
    return 0;
}

static int add_item(json_t *item, struct buf *lock, bool *wheels)
{
    json_t *meta = json_object_get(item, "metadata"),
           *from = json_object_get(item, "download_info");
    json_t *archive = json_object_get(from, "archive_info"),
           *vcs = json_object_get(from, "vcs_info");
    const char *name = text_of(meta, "name"), *version = text_of(meta, "version");
    const char *url = text_of(from, "url");
    const char *sha = text_of(json_object_get(archive, "hashes"), "sha256");
    char hashed[65];
    size_t len = strlen(url);
    *wheels = *wheels && archive && len > 4 && strcmp(url + len - 4, ".whl") == 0;
    if (!*sha && strncmp(text_of(archive, "hash"), "sha256=", 7) == 0)
        sha = text_of(archive, "hash") + 7;
    if (archive && !*sha && hash_of_file(url, hashed) == 0)
        sha = hashed;
    bool direct = json_is_true(json_object_get(item, "is_direct"));
    if (vcs)
        return buf_printf(lock, "%s @ %s+%s@%s\n", name, text_of(vcs, "vcs"), url,
                          text_of(vcs, "commit_id"));
    if (!archive || !is_hex_hash(sha))
        return buf_printf(lock, "%s @ %s\n", name, url);
    if (direct)
        return buf_printf(lock, "%s @ %s --hash=sha256:%s\n", name, url, sha);
    return buf_printf(lock, "%s==%s --hash=sha256:%s\n", name, version, sha);
}

int lockfile_of_pip(const char *path, struct buf *lock, bool *ret_wheels, struct err *err)
{
    _cleanup_buf_ struct buf text = {0};
    json_error_t e;
    int n = read_file(path, LOCKFILE_REPORT_MAX, &text, err);
    if (n < 0)
        return n;
    json_t *root = json_loadb(text.data ? text.data : "", text.len, 0, &e), *item;
    json_t *list = json_object_get(root, "install");
    size_t i;
    *ret_wheels = true;
    if (!json_is_array(list))
        n = err_set(err, EPROTO, "pip's report cannot be read");
    json_array_foreach(list, i, item) n = n < 0 ? n : add_item(item, lock, ret_wheels);
    json_decref(root);
    return n;
}
