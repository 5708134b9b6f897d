/* vitrine-static: serves the files of a static Space inside its sandbox.
 *
 *   vitrine-static --port N [--index FILE] DIR
 *
 * One thread, one epoll loop (server.c): a request's head is read and parsed (request.c), turned
 * into a header and a file (answer.c), and the file goes out with sendfile. It stands behind the
 * gateway, which deals with slow and hostile visitors; what it must not do itself is serve a file
 * outside of DIR, and that is the kernel's word: every path is opened with openat2 and
 * RESOLVE_BENEATH. Linked with libc alone, so that it is up within a millisecond. */
#include "static/server.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int usage(void)
{
    fprintf(stderr, "usage: vitrine-static --port N [--index FILE] DIR\n");
    return 2;
}

static int listen_on(unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1024) < 0)
        return -errno;
    return steal_fd(&fd);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'}, {"index", required_argument, NULL, 'i'}, {0}};
    struct site site = {.root_fd = -1, .index = "index.html"};
    unsigned long port = 0;
    char *end = NULL;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'p')
            port = strtoul(optarg, &end, 10);
        else if (c == 'i' && *optarg && !strchr(optarg, '/') && strlen(optarg) < 256)
            site.index = optarg;
        else
            return usage();
    }
    if (optind != argc - 1 || port < 1 || port > 65535 || *end)
        return usage();
    signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */

    site.root_fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (site.root_fd < 0) {
        fprintf(stderr, "vitrine-static: %s: %s\n", argv[optind], strerror(errno));
        return 1;
    }
    int listen_fd = listen_on((unsigned)port);

    if (listen_fd < 0) {
        fprintf(stderr, "vitrine-static: port %lu: %s\n", port, strerror(-listen_fd));
        return 1;
    }
    int r = server_run(listen_fd, &site);

    fprintf(stderr, "vitrine-static: %s\n", strerror(-r));
    return 1;
}
