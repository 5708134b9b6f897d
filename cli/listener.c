#include "listener.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
    char holder[128];
    switch (errno) {
    case EADDRINUSE:
        holder_of_port((unsigned)atoi(port), holder, sizeof(holder));
        return err_set(err, EADDRINUSE,
                       "port %s is in use%s (%s); stop what listens there, or choose another with "
                       "--listen ADDR:PORT",
                       port, holder, listen_on);
    case EACCES:
        return err_set(err, EACCES,
                       "this user may not listen on port %s (%s); choose one above 1023 with "
                       "--listen ADDR:PORT, let systemd hand the socket over (vitrine.socket), or "
                       "allow it: sysctl net.ipv4.ip_unprivileged_port_start=%s",
                       port, listen_on, port);
    case EADDRNOTAVAIL:
        return err_set(err, EADDRNOTAVAIL,
                       "this machine has no such address: %s; choose another with --listen "
                       "ADDR:PORT",
                       listen_on);
    default:
        return err_errno(err, "cannot listen on %s", listen_on);
    }
}

int listener_where(int fd, char *out, size_t len, struct err *err)
{
    struct sockaddr_storage ss = {0};
    socklen_t ss_len = sizeof(ss);
    char addr[64], port[8];
    if (getsockname(fd, (struct sockaddr *)&ss, &ss_len) < 0)
        return err_errno(err, "cannot read the address of the listening socket");
    if (ss.ss_family == AF_UNIX) {
        const struct sockaddr_un *sun = (const struct sockaddr_un *)(const void *)&ss;
        snprintf(out, len, "%.*s", (int)sizeof(sun->sun_path), sun->sun_path);
        return 0;
    }
    if (getnameinfo((struct sockaddr *)&ss, ss_len, addr, sizeof(addr), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_errno(err, "cannot read the address of the listening socket");
    snprintf(out, len, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", addr, port);
    return 0;
}

static bool is_any6(const struct addrinfo *ai)
{
    return ai->ai_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr);
}

/* Where the port is taken by a socket of IPv4 ("0.0.0.0:80, [::]:80"), "[::]" is IPv6 alone. */
static int bind_and_listen(int fd, const struct addrinfo *ai)
{
    int one = 1;
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 &&
        (errno != EADDRINUSE || !is_any6(ai) ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0 ||
         bind(fd, ai->ai_addr, ai->ai_addrlen) < 0))
        return -errno;
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
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
    int one = 1, v6only = 0; /* whatever net.ipv6.bindv6only says */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        (ai->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)) {
        freeaddrinfo(ai);
        return err_errno(err, "cannot make a listening socket");
    }
    uint64_t deadline = mono_ms() + (uint64_t)wait_ms;
    do {
        r = bind_and_listen(fd, ai);
    } while (r == -EADDRINUSE && mono_ms() < deadline && (poll(NULL, 0, 20), true));
    freeaddrinfo(ai);
    if (r < 0) {
        errno = -r;
        return explain_bind(err, listen_on, port);
    }
    r = listener_where(fd, actual, len, err);
    return r < 0 ? r : steal_fd(&fd);
}

/* An address that is short whatever the folder's path is. */
static void short_address(int dir_fd, const char *name, struct sockaddr_un *sun)
{
    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
}

/* Names and numbers are the machine's; as an ordinary user we are root of a user namespace by now
 * (common/userns.h), which knows few of them by other numbers. -1: it does not know this one. */
static int64_t id_in_here(const char *map, uint32_t id)
{
    _cleanup_fclose_ FILE *f = fopen(map, "re");
    unsigned inside, outside, count;
    while (f && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
        if (id >= outside && id - outside < count)
            return (int64_t)inside + (id - outside);
    return -1;
}

static int foreign(const char *name, struct err *err)
{
    return err_set(err, EPERM,
                   "owner=%s of a Unix socket: only root can give it away; as this user, let mode= "
                   "say who may connect",
                   name);
}

/* "" leaves -1. */
static int find_ids(const char *user, const char *group, uid_t *uid, gid_t *gid, struct err *err)
{
    char *end;
    *uid = (uid_t)-1;
    *gid = (gid_t)-1;
    if (*user) {
        const struct passwd *pw = getpwnam(user);
        *uid = pw ? pw->pw_uid : (uid_t)strtoul(user, &end, 10);
        if (!pw && *end)
            return err_set(err, EINVAL, "there is no user \"%s\" (owner= of a Unix socket)", user);
        int64_t id = id_in_here("/proc/self/uid_map", *uid);
        if (id < 0)
            return foreign(user, err);
        *uid = (uid_t)id;
    }
    if (*group) {
        const struct group *gr = getgrnam(group);
        *gid = gr ? gr->gr_gid : (gid_t)strtoul(group, &end, 10);
        if (!gr && *end)
            return err_set(err, EINVAL, "there is no group \"%s\" (owner= of a Unix socket)",
                           group);
        int64_t id = id_in_here("/proc/self/gid_map", *gid);
        if (id < 0)
            return foreign(group, err);
        *gid = (gid_t)id;
    }
    return 0;
}

/* Is the path free, or a socket that nobody listens on any more, which then goes? */
static int clear_path(const char *path, const struct sockaddr_un *sun, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EEXIST, "%s is there and is no socket: name another path", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a Unix socket");
    if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN)
        return err_set(err, EADDRINUSE,
                       "somebody listens on %s already: stop it, or name another path", path);
    return unlink(path) < 0 ? err_errno(err, "cannot remove the old socket %s", path) : 0;
}

int listener_path(const char *path, mode_t mode, const char *user, const char *group,
                  struct err *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    uid_t uid;
    gid_t gid;
    if (strlen(path) >= sizeof(sun.sun_path))
        return err_set(err, ENAMETOOLONG, "%s: the path of a socket has at most %zu characters",
                       path, sizeof(sun.sun_path) - 1);
    memcpy(sun.sun_path, path, strlen(path));
    int r = find_ids(user, group, &uid, &gid, err);
    if (r == 0)
        r = clear_path(path, &sun, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "cannot make a Unix socket");
    mode_t mask = umask(0777); /* nobody, until it is whose it is to be */
    r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
    umask(mask);
    if (r < 0)
        return err_errno(err, "cannot make the socket %s", path);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(path, uid, gid) < 0)
        r = err_errno(err, "cannot give %s to its owner= (only root can, or its group's members)",
                      path);
    else if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
        r = err_errno(err, "cannot listen on %s", path);
    if (r < 0)
        unlink(path);
    return r < 0 ? r : steal_fd(&fd);
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
