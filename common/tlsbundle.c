#include "common/tlsbundle.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static const char magic[8] = "vittls1";

static int put(struct buf *b, const void *p, uint32_t len)
{
    int r = buf_append(b, (const char *)&len, sizeof(len));
    return r < 0 ? r : buf_append(b, p, len);
}

int tlsbundle_to_fd(const struct tls_bundle *b, struct err *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT(TLS_BUNDLE_MAX);
    int r = buf_append(&out, magic, sizeof(magic));
    if (r == 0)
        r = put(&out, b->tickets, sizeof(b->tickets));
    for (uint32_t i = 0; r == 0 && i < b->n_pairs; i++) {
        r = put(&out, b->pairs[i].chain.data, b->pairs[i].chain.len);
        if (r == 0)
            r = put(&out, b->pairs[i].key.data, b->pairs[i].key.len);
    }
    if (r < 0)
        return err_set(err, -r, "the certificates are too large");
    _cleanup_close_ int fd = memfd_create("vitrine-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, "cannot make a memfd for the certificates");
    r = write_all(fd, out.data, out.len);
    explicit_bzero(out.data, out.len);
    if (r < 0)
        return err_set(err, -r, "cannot hand the certificates over: %s", strerror(-r));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, "cannot seal the certificates");
    return steal_fd(&fd);
}

/* The next piece; false at a bundle that is cut off. */
static bool take(const struct buf *b, size_t *at, struct tls_pem *ret)
{
    uint32_t len;
    if (b->len - *at < sizeof(len))
        return false;
    memcpy(&len, b->data + *at, sizeof(len));
    *at += sizeof(len);
    if (b->len - *at < len)
        return false;
    *ret = (struct tls_pem){b->data + *at, len};
    *at += len;
    return true;
}

/* From its start, whoever else reads it just now. */
static int read_all_of(struct buf *bytes, int fd)
{
    for (;;) {
        size_t room = bytes->max - bytes->len;
        int r = room ? buf_reserve(bytes, room < 65536 ? room : 65536) : -EFBIG;
        if (r < 0)
            return r;
        ssize_t n =
            pread(fd, bytes->data + bytes->len, room < 65536 ? room : 65536, (off_t)bytes->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        bytes->len += (size_t)n;
    }
}

int tlsbundle_from_fd(struct tls_bundle *b, int fd, struct buf *bytes, struct err *err)
{
    static const char *const wrong = "the certificates handed over are cut off";
    size_t at = sizeof(magic);
    struct tls_pem tickets;
    int r = read_all_of(bytes, fd);
    if (r < 0)
        return err_set(err, -r, "cannot read the certificates handed over: %s", strerror(-r));
    b->n_pairs = 0;
    if (bytes->len < at || memcmp(bytes->data, magic, at) != 0 || !take(bytes, &at, &tickets) ||
        tickets.len != sizeof(b->tickets))
        return err_set(err, EPROTO, "%s", wrong);
    memcpy(b->tickets, tickets.data, sizeof(b->tickets));
    while (at < bytes->len) {
        struct tls_pair *p = &b->pairs[b->n_pairs];
        if (b->n_pairs == TLS_PAIRS_MAX || !take(bytes, &at, &p->chain) ||
            !take(bytes, &at, &p->key))
            return err_set(err, EPROTO, "%s", wrong);
        b->n_pairs++;
    }
    return 0;
}
