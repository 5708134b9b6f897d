#include "send.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define IN_ONE_GO (4u << 20) /* an archive up to this is as soon sent anew */
#define AWAY_MAX_MS 120000   /* for how long nothing may come across */
#define STALL_S 20           /* then a connection counts as broken */
#define AGAIN_FIRST_MS 100
#define AGAIN_MAX_MS 3000

struct upload {
    struct client *c;
    const struct spacename *n;
    char path[512]; /* of the upload */
    char id[64];
    int fd;
    uint64_t offset, size;
    void (*progress)(void *arg, uint64_t sent, uint64_t total);
    void *arg;
};

/* What the server knows the content by. */
static int make_key(int fd, uint64_t size, char out[65], struct err *err)
{
    crypto_hash_sha256_state state;
    unsigned char digest[32], data[65536];
    crypto_hash_sha256_init(&state);
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(fd, data, sizeof(data), (off_t)at);
        if (n <= 0)
            return err_set(err, n < 0 ? errno : EAGAIN, "cannot read what is to be sent: %s",
                           n < 0 ? strerror(errno) : "it became shorter");
        crypto_hash_sha256_update(&state, data, (unsigned long long)n);
        at += (uint64_t)n;
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
    return 0;
}

static int take_answer(struct upload *u, json_t *answer, struct err *err)
{
    json_int_t offset = json_integer_value(json_object_get(answer, "offset"));
    const char *id = json_str(answer, "id");
    if (offset < 0 || (uint64_t)offset > u->size || !*id || strlen(id) >= sizeof(u->id) ||
        id[strspn(id, "0123456789abcdef")])
        return err_set(err, EIO, "%s gave no answer to the upload; is that a Vitrine?",
                       client_url(u->c));
    u->offset = (uint64_t)offset;
    snprintf(u->id, sizeof(u->id), "%s", id);
    snprintf(u->path, sizeof(u->path), "%s/uploads/%s", u->n->path, id);
    return 0;
}

static int begin(struct upload *u, struct err *err)
{
    _cleanup_json_ json_t *answer = NULL;
    char key[65], path[512];
    int r = make_key(u->fd, u->size, key, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/uploads?size=%" PRIu64 "&key=%s", u->n->path, u->size, key);
    struct client_request rq = {.method = "POST", .path = path, .body_fd = -1, .timeout_ms = 30000};
    r = client_json(u->c, &rq, &answer, err);
    return r < 0 ? r : take_answer(u, answer, err);
}

static int look(struct upload *u, struct err *err)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = client_get(u->c, u->path, &answer, err);
    return r < 0 ? r : take_answer(u, answer, err);
}

static void on_part(void *arg, uint64_t sent, uint64_t total)
{
    const struct upload *u = arg;
    (void)total;
    /* The last byte is not told: what begins with it (submit.c) is a request of its own here. */
    uint64_t all = u->offset + sent;
    u->progress(u->arg, all < u->size ? all : u->size - 1, u->size);
}

static int send_rest(struct upload *u, struct err *err)
{
    _cleanup_json_ json_t *answer = NULL;
    char header[64];
    snprintf(header, sizeof(header), "Upload-Offset: %" PRIu64, u->offset);
    struct client_request rq = {.method = "PATCH",
                                .path = u->path,
                                .body_fd = u->fd,
                                .body_from = u->offset,
                                .body_size = u->size - u->offset,
                                .header = header,
                                .stall_s = STALL_S,
                                .progress = on_part,
                                .arg = u};
    int r = client_json(u->c, &rq, &answer, err);
    return r < 0 ? r : take_answer(u, answer, err);
}

/* Whether it may go better in a moment: the connection broke, the server starts anew, or has not
 * noticed yet that an earlier request ended. */
static bool is_passing(int r)
{
    return r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT || r == -EHOSTUNREACH ||
           r == -EBUSY || r == -EAGAIN;
}

static int send_all(struct upload *u, struct err *err)
{
    uint64_t moved_ms = mono_ms();
    int wait_ms = AGAIN_FIRST_MS;
    int r = begin(u, err);
    while (r == 0 && u->offset < u->size) {
        uint64_t before = u->offset;
        r = send_rest(u, err);
        while (r < 0 && is_passing(r) && mono_ms() - moved_ms < AWAY_MAX_MS) {
            poll(NULL, 0, wait_ms);
            wait_ms = wait_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : wait_ms * 2;
            r = look(u, err);
        }
        if (r == -ENOENT && mono_ms() - moved_ms < AWAY_MAX_MS)
            r = begin(u, err); /* the server has forgotten it: it was started anew */
        if (r == 0 && u->offset > before) {
            moved_ms = mono_ms();
            wait_ms = AGAIN_FIRST_MS;
        }
    }
    return r;
}

int send_bundle(struct client *c, const struct spacename *n, const char *path_query, int fd,
                uint64_t size, void (*progress)(void *arg, uint64_t sent, uint64_t total),
                void *arg, json_t **ret, struct err *err)
{
    struct client_request rq = {.method = "PUT",
                                .path = path_query,
                                .body_fd = fd,
                                .body_size = size,
                                .progress = progress,
                                .arg = arg};
    if (size <= IN_ONE_GO)
        return client_json(c, &rq, ret, err);
    struct upload u = {.c = c, .n = n, .fd = fd, .size = size, .progress = progress, .arg = arg};
    char path[2048];
    int r = send_all(&u, err);
    if (r < 0)
        return r;
    progress(arg, size, size);
    snprintf(path, sizeof(path), "%s&upload=%s", path_query, u.id);
    rq.path = path;
    rq.body_fd = -1;
    rq.body_size = 0;
    return client_json(c, &rq, ret, err);
}
