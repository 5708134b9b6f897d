#include "proxywait.h"

#include "cleanup.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define WAIT_MS 20000
#define LOOK_MS 10

int proxy_wait(unsigned port, const char *where, struct err *err)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint64_t until = mono_ms() + WAIT_MS;
    while (port && mono_ms() < until) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            return 0;
        poll(NULL, 0, LOOK_MS);
    }
    return port ? err_set(err, ETIMEDOUT, "the way to %s did not open", where) : 0;
}
