#include "listener.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096

int listener_split(const char *listen_on, char *addr, size_t addr_len, char *port, size_t port_len,
                   struct err *err)
{
    const char *colon = strrchr(listen_on, ':');
    const char *from = listen_on, *to = colon;
    if (colon && colon > listen_on && listen_on[0] == '[' && colon[-1] == ']') {
        from++;
        to--;
    }
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (!colon || digits == 0 || digits > 5 || colon[1 + digits] || atoi(colon + 1) > 65535 ||
        to == from || (size_t)(to - from) >= addr_len || digits >= port_len)
        return err_set(err, EINVAL, "\"%s\" is no ADDRESS:PORT, as in 127.0.0.1:8080", listen_on);
    memcpy(addr, from, to - from);
    addr[to - from] = 0;
    snprintf(port, port_len, "%s", colon + 1);
    return 0;
}

static int explain_bind(struct err *err, const char *listen_on, const char *port)
{
    switch (errno) {
    case EADDRINUSE:
        return err_set(err, EADDRINUSE,
                       "port %s is in use (%s); stop what listens there, or choose another with "
                       "--listen ADDR:PORT",
                       port, listen_on);
    case EACCES:
        return err_set(err, EACCES,
                       "this user may not listen on port %s (%s); choose one above 1023 with "
                       "--listen ADDR:PORT",
                       port, listen_on);
    case EADDRNOTAVAIL:
        return err_set(err, EADDRNOTAVAIL,
                       "this machine has no such address: %s; choose another with --listen "
                       "ADDR:PORT",
                       listen_on);
    default:
        return err_errno(err, "cannot listen on %s", listen_on);
    }
}

static int print_address(int fd, char *out, size_t len, struct err *err)
{
    struct sockaddr_storage ss = {0};
    socklen_t ss_len = sizeof(ss);
    char addr[64], port[8];
    if (getsockname(fd, (struct sockaddr *)&ss, &ss_len) < 0 ||
        getnameinfo((struct sockaddr *)&ss, ss_len, addr, sizeof(addr), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_errno(err, "cannot read the address of the listening socket");
    snprintf(out, len, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", addr, port);
    return 0;
}

int listener_tcp(const char *listen_on, int wait_ms, char *actual, size_t len, struct err *err)
{
    char addr[256], port[8];
    int r = listener_split(listen_on, addr, sizeof(addr), port, sizeof(port), err);
    if (r < 0)
        return r;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *ai;
    int gai = getaddrinfo(addr, port, &hints, &ai);
    if (gai)
        return err_set(err, EINVAL, "cannot find the address %s to listen on: %s", addr,
                       gai_strerror(gai));
    _cleanup_close_ int fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) {
        freeaddrinfo(ai);
        return err_errno(err, "cannot make a listening socket");
    }
    uint64_t deadline = mono_ms() + (uint64_t)wait_ms;
    do {
        r = bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
    } while (r == -EADDRINUSE && mono_ms() < deadline && (poll(NULL, 0, 20), true));
    freeaddrinfo(ai);
    if (r < 0) {
        errno = -r;
        return explain_bind(err, listen_on, port);
    }
    r = print_address(fd, actual, len, err);
    return r < 0 ? r : steal_fd(&fd);
}

/* An address that is short whatever the folder's path is. */
static void short_address(int dir_fd, const char *name, struct sockaddr_un *sun)
{
    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
}

int listener_unix(int dir_fd, const char *name, struct err *err)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a Unix socket");
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove the old socket %s", name);
    struct sockaddr_un sun;
    short_address(dir_fd, name, &sun);
    mode_t mask = umask(0177);
    int r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
    umask(mask);
    if (r < 0 || listen(fd, BACKLOG) < 0)
        return err_errno(err, "cannot listen on the site's socket %s in the data folder", name);
    return steal_fd(&fd);
}

int listener_unix_connect(int dir_fd, const char *name, struct err *err)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a Unix socket");
    struct sockaddr_un sun;
    short_address(dir_fd, name, &sun);
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
        return err_errno(err, "cannot connect to the site's socket");
    return steal_fd(&fd);
}
