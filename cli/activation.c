#include "activation.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3

/* A whole decimal number of the environment; -1 where there is none. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long v = strtol(text, &end, 10);
    return errno || *end || v < 0 ? -1 : v;
}

/* The i-th of a list that colons separate; "unknown" where there is none, as systemd has it. */
static void name_of(const char *list, unsigned i, char *out, size_t size)
{
    for (; list && i; i--) {
        list = strchr(list, ':');
        list = list ? list + 1 : NULL;
    }
    if (!list || !*list || *list == ':')
        snprintf(out, size, "unknown");
    else
        snprintf(out, size, "%.*s", (int)strcspn(list, ":"), list);
}

static int check(int fd, const char *name, struct err *err)
{
    int listens = 0, type = 0, domain = 0;
    socklen_t len = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
        (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
        return err_set(err, EINVAL,
                       "descriptor %d (%s) was handed over, and is no listening stream socket: the "
                       "socket unit needs ListenStream= and Accept=no",
                       fd, name);
    return 0;
}

int activation_take(struct activation *a, struct err *err)
{
    *a = (struct activation){0};
    long n = number_of("LISTEN_FDS"), pid = number_of("LISTEN_PID");
    const char *names = getenv("LISTEN_FDNAMES");
    int r = 0;
    if (n > 0 && pid == getpid()) {
        if (n > ACTIVATION_MAX)
            r = err_set(err, E2BIG, "%ld sockets were handed over; at most %d can be", n,
                        ACTIVATION_MAX);
        for (unsigned i = 0; r == 0 && i < (unsigned)n; i++) {
            a->sockets[i].fd = FIRST_FD + (int)i;
            a->n++;
            name_of(names, i, a->sockets[i].name, sizeof(a->sockets[i].name));
            r = check(a->sockets[i].fd, a->sockets[i].name, err);
            if (r == 0 && (r = fd_set_cloexec(a->sockets[i].fd, true)) < 0)
                r = err_set(err, -r, "descriptor %d cannot be used", a->sockets[i].fd);
            if (r == 0)
                r = listener_where(a->sockets[i].fd, a->sockets[i].where,
                                   sizeof(a->sockets[i].where), err);
        }
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return r;
}

int activation_at(struct activation *a, const char *address)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->sockets[i].fd >= 0 && strcmp(a->sockets[i].where, address) == 0)
            return steal_fd(&a->sockets[i].fd);
    return -1;
}

int activation_named(struct activation *a, const char *name)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->sockets[i].fd >= 0 && strcmp(a->sockets[i].name, name) == 0)
            return steal_fd(&a->sockets[i].fd);
    return -1;
}

void activation_close(struct activation *a)
{
    for (unsigned i = 0; i < a->n; i++)
        close_fd(&a->sockets[i].fd);
}
