/* See network.h. */
#include "network.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int network_loopback(struct err *err)
{
    _cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return err_errno(err, "make a socket");
    struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (ioctl(sock, SIOCSIFFLAGS, &req) < 0)
        return err_errno(err, "bring the loopback interface up");
    return 0;
}

int network_open_port(int proc_fd, uint32_t port, struct err *err)
{
    if (port == 0 || port >= 1024)
        return 0;
    _cleanup_close_ int fd =
        openat(proc_fd, "sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open net.ipv4.ip_unprivileged_port_start");
    int r = write_all(fd, "0", 1);
    return r < 0 ? err_set(err, -r, "open port %u: %s", port, strerror(-r)) : 0;
}
