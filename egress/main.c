/* vitrine-egress: the way out of one build.
 *
 * A build's sandbox has its own loopback and nothing else; on 127.0.0.1:3128 in there this program
 * is its HTTP proxy. The runner starts one for each build (runner/egress.c) with
 *
 *   fd 3   a stream socket to the runner: what is to be said (say.h); its end is ours
 *   fd 4   a sealed memfd with the policy (policy.h)
 *   fd 5   the listening socket, which was made in the build's network namespace: nobody else
 *          reaches it, and it reaches nobody
 *
 * while connections out are made from the namespace of the host. Then it confines itself
 * (sandbox/service.h: its own uid, an empty root, a filter of system calls), but for a helper that
 * looks names up (names.c).
 *
 *   door.c      reads a request, strictly, decides whether it is allowed
 *   tunnel.c    CONNECT: bytes, as they are; what is in them is between the build and the host
 *   fetch.c     GET and HEAD of http://...: by libcurl; where the index needs a login, by https and
 *               with the credentials that a build never sees (links.c: its pages' links lead here)
 *   policy.c    hosts, ports, addresses
 *
 * One thread, one poll of everything: a build has a few dozen connections. */
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "egress/egress.h"
#include "sandbox/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define FD_RUNNER 3
#define FD_POLICY 4
#define FD_LISTENER 5
#define MAX_POLICY (256 * 1024)
#define MAX_CA (8 * 1024 * 1024)
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_BYTES RLIM_INFINITY /* its shadow takes more */
#else
#define MEMORY_BYTES (512ull * 1024 * 1024)
#endif
#define TURN_MS 1000
#define COUNT_EACH_MS 100

static int read_policy(struct egress *e, struct err *err)
{
    struct buf text = BUF_INIT(MAX_POLICY);
    int fd = FD_POLICY;
    int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : buf_read_fd(&text, fd);
    if (r < 0)
        err_set(err, -r, "cannot read the policy: %s", strerror(-r));
    else
        r = policy_parse(&e->policy, text.data ? text.data : "", text.len, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    buf_free(&text);
    close(fd);
    if (r == 0 && e->policy.connections > 4096)
        e->policy.connections = 4096;
    return r == 0 ? policy_read_own(&e->policy, err) : r;
}

/* Kept as bytes: there are no files later. */
static int read_ca(struct egress *e, struct err *err)
{
    if (!e->policy.ca[0])
        return 0;
    static struct buf ca; /* libcurl goes on reading it */
    ca = BUF_INIT(MAX_CA);
    _cleanup_close_ int fd = open(e->policy.ca, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : buf_read_fd(&ca, fd);
    if (r < 0)
        return err_set(err, -r, "cannot read the certificates in %s: %s", e->policy.ca,
                       strerror(-r));
    e->ca = (struct curl_blob){.data = ca.data, .len = ca.len, .flags = CURL_BLOB_NOCOPY};
    return 0;
}

static int check_sockets(struct err *err)
{
    int type = 0, listens = 0;
    socklen_t len = sizeof(int);
    if (getsockopt(FD_RUNNER, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM ||
        getsockopt(FD_LISTENER, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
        return err_set(err, EINVAL, "this program is started by vitrine-runner");
    for (int fd = FD_RUNNER; fd <= FD_LISTENER; fd++)
        fd_set_cloexec(fd, true);
    return fd_set_nonblock(FD_LISTENER, true);
}

static int set_up(struct egress *e, uint32_t uid_first, bool require, struct err *err)
{
    int r = check_sockets(err);
    if (r == 0) /* first: the helper, which keeps the host's files, has no credentials then */
        r = names_new(&e->names, uid_first, err);
    if (r == 0)
        r = read_policy(e, err);
    if (r == 0)
        r = read_ca(e, err);
    if (r == 0)
        r = fetch_init(e, err);
    if (r < 0)
        return r;
    e->listener = FD_LISTENER;
    say_init(&e->say, FD_RUNNER);
    e->conns = calloc(e->policy.connections, sizeof(struct conn *));
    if (!e->conns)
        return err_set(err, ENOMEM, "out of memory");
    struct rlimit files = {e->policy.connections * 3 + 64, e->policy.connections * 3 + 64};
    struct rlimit memory = {MEMORY_BYTES, MEMORY_BYTES};
    (void)setrlimit(RLIMIT_NOFILE, &files); /* what it has may be less, and is enough */
    (void)setrlimit(RLIMIT_DATA, &memory);
    struct service_plan plan = {.kind = SERVICE_EGRESS, .uid_first = uid_first};
    r = service_confine(&plan, err);
    if (r < 0 && require)
        return err_prefix(err, -r,
                          "cannot confine itself; `vitrine check` says what is missing, and "
                          "[sandbox] require_services = false works without");
    if (r < 0)
        say(&e->say, "warning: the build's proxy is not in a sandbox of its own: %s", err->msg);
    return 0;
}

/* ---- the loop ---- */

struct waits {
    struct curl_waitfd *fds;
    unsigned n;
};

static void wait_for(struct waits *w, int fd, short events)
{
    if (fd >= 0 && events)
        w->fds[w->n++] =
            (struct curl_waitfd){.fd = fd,
                                 .events = (short)((events & POLLIN ? CURL_WAIT_POLLIN : 0) |
                                                   (events & POLLOUT ? CURL_WAIT_POLLOUT : 0))};
}

static void wants(const struct conn *c, short *client, short *up)
{
    *client = *up = 0;
    switch (c->state) {
    case CONN_HEAD:
    case CONN_LINGER:
        *client = POLLIN;
        break;
    case CONN_NAME:
        break;
    case CONN_CONNECT:
    case CONN_PROXY:
    case CONN_TUNNEL:
        tunnel_wants(c, client, up);
        break;
    case CONN_FETCH:
        *client = (short)(POLLIN | (c->to_client.tail ? POLLOUT : 0));
        break;
    case CONN_LAST:
        *client = POLLOUT;
        break;
    }
}

static short events_of(const struct waits *w, int fd)
{
    for (unsigned i = 0; fd >= 0 && i < w->n; i++)
        if (w->fds[i].fd == fd)
            return (short)((w->fds[i].revents & CURL_WAIT_POLLIN ? POLLIN : 0) |
                           (w->fds[i].revents & CURL_WAIT_POLLOUT ? POLLOUT : 0));
    return 0;
}

static bool has_room(const struct egress *e)
{
    for (uint64_t i = 0; i < e->policy.connections; i++)
        if (!e->conns[i])
            return true;
    return false;
}

/* How long nothing may have to be done. */
static int timeout_ms(const struct egress *e)
{
    uint64_t sum = e->bytes_in + e->bytes_out + e->connections;
    uint64_t next = e->now_ms + (sum == e->say.counted ? TURN_MS : COUNT_EACH_MS);
    for (uint64_t i = 0; i < e->policy.connections; i++)
        if (e->conns[i] && e->conns[i]->until_ms && e->conns[i]->until_ms < next)
            next = e->conns[i]->until_ms;
    return next > e->now_ms ? (int)(next - e->now_ms) : 0;
}

static void count(struct egress *e)
{
    uint64_t sum = e->bytes_in + e->bytes_out + e->connections;
    if (sum == e->say.counted || e->now_ms - e->say.counted_ms < COUNT_EACH_MS)
        return;
    e->say.counted = sum;
    e->say.counted_ms = e->now_ms;
    say_runner(&e->say, "@count %" PRIu64 " %" PRIu64 " %" PRIu64, e->connections, e->bytes_in,
               e->bytes_out);
}

static bool used_up(struct egress *e)
{
    if (e->bytes_in + e->bytes_out <= e->policy.bytes)
        return false;
    char most[32];
    format_bytes(e->policy.bytes, most);
    say(&e->say, "the build has transferred more than %s ([build] max_transfer)", most);
    return true;
}

/* One turn; false where it is over. */
static bool turn(struct egress *e, struct waits *w, struct err *err)
{
    w->n = 0;
    wait_for(w, FD_RUNNER, (short)(POLLIN | (e->say.pending.len ? POLLOUT : 0)));
    wait_for(w, names_fd(e->names), POLLIN);
    wait_for(w, has_room(e) ? e->listener : -1, POLLIN);
    for (uint64_t i = 0; i < e->policy.connections; i++) {
        short client, up;
        if (!e->conns[i])
            continue;
        wants(e->conns[i], &client, &up);
        wait_for(w, e->conns[i]->client, client);
        wait_for(w, e->conns[i]->up, up);
    }
    int running;
    if (curl_multi_poll(e->multi, w->fds, w->n, timeout_ms(e), NULL) != CURLM_OK) {
        err_set(err, EIO, "cannot wait for connections");
        return false;
    }
    e->now_ms = mono_ms();
    if (events_of(w, FD_RUNNER) & POLLIN)
        return false; /* its end: it says nothing */
    say_flush(&e->say);
    if ((events_of(w, names_fd(e->names)) & POLLIN) && names_read(e->names) < 0) {
        err_set(err, EPIPE, "the resolver has ended");
        return false;
    }
    for (uint64_t i = 0; i < e->policy.connections; i++) {
        struct conn *c = e->conns[i];
        if (!c)
            continue;
        c->client_events = events_of(w, c->client);
        c->up_events = events_of(w, c->up);
        door_step(e, c);
    }
    if (events_of(w, e->listener) & POLLIN)
        door_accept(e);
    curl_multi_perform(e->multi, &running);
    fetch_done(e);
    if (used_up(e))
        for (uint64_t i = 0; i < e->policy.connections; i++)
            if (e->conns[i] && e->conns[i]->state >= CONN_TUNNEL &&
                e->conns[i]->state <= CONN_FETCH)
                door_cut(e, e->conns[i]);
    count(e);
    return true;
}

static int run(struct egress *e, struct err *err)
{
    struct waits w = {
        .fds = calloc(e->policy.connections * 2 + 3, sizeof(struct curl_waitfd)),
    };
    if (!w.fds)
        return err_set(err, ENOMEM, "out of memory");
    e->now_ms = mono_ms();
    say_runner(&e->say, "@ready");
    while (turn(e, &w, err))
        continue;
    free(w.fds);
    return err->code ? -err->code : 0;
}

static void tidy(struct egress *e)
{
    for (uint64_t i = 0; e->conns && i < e->policy.connections; i++)
        if (e->conns[i])
            door_close(e, e->conns[i]);
    if (e->multi)
        curl_multi_cleanup(e->multi);
    names_free(e->names);
    buf_free(&e->say.pending);
    free(e->conns);
}

/* vitrine-egress UID_FIRST [unconfined-is-fine] */
int main(int argc, char **argv)
{
    static struct egress e; /* large */
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    uint32_t uid_first = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    bool require = !(argc > 2 && strcmp(argv[2], "unconfined-is-fine") == 0);
    int r = set_up(&e, uid_first, require, &err);
    if (r == 0)
        r = run(&e, &err);
    if (r < 0)
        fprintf(stderr, "vitrine-egress: %s\n", err.msg);
    tidy(&e);
    return r < 0;
}
