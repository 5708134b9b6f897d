/* See names.h. */
#include "egress/names.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "sandbox/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#define KEPT 64
#define KEEP_MS 60000
#define KEEP_FAILED_MS 2000

struct answer {
    int error;
    unsigned n;
    struct sockaddr_storage addresses[NAMES_ADDRESSES];
};

struct names {
    int fd;
    struct name *busy; /* the one that the helper works on */
    struct name all[KEPT];
};

static void look_up(const char *host, struct answer *a)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *all = NULL;
    a->error = getaddrinfo(host, NULL, &hints, &all);
    for (struct addrinfo *i = all; !a->error && i && a->n < NAMES_ADDRESSES; i = i->ai_next)
        if (i->ai_addrlen <= sizeof(a->addresses[0]))
            memcpy(&a->addresses[a->n++], i->ai_addr, i->ai_addrlen);
    if (!a->error)
        freeaddrinfo(all);
}

static void help(int fd, uint32_t uid_first)
{
    struct service_plan plan = {.kind = SERVICE_EGRESS, .uid_first = uid_first};
    struct err err = {0};
    signal(SIGTERM, SIG_DFL);
    if (service_lower(&plan, &err) < 0) {
        fprintf(stderr, "vitrine-egress: its resolver cannot give up its rights: %s\n", err.msg);
        _exit(1);
    }
    char host[NAMES_HOST];
    ssize_t n;
    while ((n = recv(fd, host, sizeof(host) - 1, 0)) > 0) {
        struct answer a = {0};
        host[n] = '\0';
        look_up(host, &a);
        if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

int names_new(struct names **ret, uint32_t uid_first, struct err *err)
{
    _cleanup_free_ struct names *s = calloc(1, sizeof(*s));
    int pair[2];
    if (!s)
        return err_set(err, ENOMEM, "no memory for names");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, "make a socket to the resolver");
    pid_t pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return err_errno(err, "start the resolver");
    }
    if (pid == 0) {
        close_range(3, (unsigned)pair[1] - 1, 0);
        close_range((unsigned)pair[1] + 1, ~0U, 0);
        help(pair[1], uid_first);
    }
    close(pair[1]);
    s->fd = pair[0];
    *ret = steal_ptr(s);
    return 0;
}

void names_free(struct names *s)
{
    if (!s)
        return;
    close(s->fd); /* which ends the helper */
    free(s);
}

int names_fd(const struct names *s)
{
    return s->fd;
}

static void ask_next(struct names *s)
{
    for (size_t i = 0; i < KEPT && !s->busy; i++)
        if (s->all[i].asked &&
            send(s->fd, s->all[i].host, strlen(s->all[i].host), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            s->busy = &s->all[i];
}

/* One that is its own address. */
static bool is_address(const char *host, struct name *ret)
{
    struct sockaddr_in *v4 = (void *)&ret->addresses[0];
    struct sockaddr_in6 *v6 = (void *)&ret->addresses[0];
    char text[NAMES_HOST];
    memset(ret, 0, sizeof(*ret));
    ret->known = true;
    ret->n = 1;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return true;
    }
    size_t len = strlen(host);
    if (host[0] != '[' || len < 4)
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)len - 2, host + 1);
    v6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

const struct name *names_get(struct names *s, const char *host)
{
    static struct name literal;
    struct name *oldest = NULL;
    uint64_t now = mono_ms();
    if (is_address(host, &literal))
        return &literal;
    for (size_t i = 0; i < KEPT; i++) {
        struct name *n = &s->all[i];
        if (strcmp(n->host, host) == 0) {
            if (n->known && now < n->until_ms)
                return n;
            n->asked = true;
            ask_next(s);
            return NULL;
        }
        if (!n->asked && (!oldest || n->until_ms < oldest->until_ms))
            oldest = n;
    }
    if (!oldest) /* all are being looked up: asked again by the next answer */
        return NULL;
    memset(oldest, 0, sizeof(*oldest));
    snprintf(oldest->host, sizeof(oldest->host), "%s", host);
    oldest->asked = true;
    ask_next(s);
    return NULL;
}

int names_read(struct names *s)
{
    struct answer a;
    ssize_t n = recv(s->fd, &a, sizeof(a), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != sizeof(a) || a.n > NAMES_ADDRESSES || !s->busy)
        return -EPIPE;
    struct name *name = s->busy;
    s->busy = NULL;
    name->asked = false;
    name->known = true;
    name->error = a.error;
    name->n = a.error ? 0 : a.n;
    memcpy(name->addresses, a.addresses, sizeof(a.addresses));
    name->until_ms = mono_ms() + (a.error ? KEEP_FAILED_MS : KEEP_MS);
    ask_next(s);
    return 0;
}
