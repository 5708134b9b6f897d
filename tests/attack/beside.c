/* The victim, the neighbour that answers, and the one who measures its answers. */
#include "tests/attack/attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char secret[256];

static int listen_at(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, address, len) < 0 || listen(fd, 64) < 0) {
        perror("attempts: listen");
        exit(3);
    }
    return fd;
}

static int listen_abstract(const char *name)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", name);
    return listen_at((struct sockaddr *)&un,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n));
}

static void answer(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && write(fd, secret, strlen(secret)) < 0)
        perror("attempts: answer");
    if (fd >= 0)
        close(fd);
}

/* The token comes by standard input, and is in memory, in sockets, and in the command line. In a
 * neighbour's sandbox it also holds locks on a file that all sandboxes see, and opens another. */
int victim_main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!fgets(secret, sizeof(secret), stdin))
        return 2;
    secret[strcspn(secret, "\n")] = 0;
    const char *ro = getenv("VICTIM_RO"), *abstract = getenv("VICTIM_ABSTRACT"),
               *port = getenv("VICTIM_PORT");
    /* the suite holds the other end of standard input: when it is gone, so are we */
    struct pollfd p[3] = {{.fd = -1}, {.fd = -1}, {.fd = 0, .events = POLLIN}};
    if (abstract)
        p[0] = (struct pollfd){.fd = listen_abstract(abstract), .events = POLLIN};
    if (port) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(port)),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        p[1] =
            (struct pollfd){.fd = listen_at((struct sockaddr *)&in, sizeof(in)), .events = POLLIN};
    }
    char path[4096];
    if (ro) {
        snprintf(path, sizeof(path), "%s/locked", ro);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        flock(fd, LOCK_EX);
        fcntl(fd, F_SETLK, &l);
        snprintf(path, sizeof(path), "%s/file", ro);
    }
    printf("%#lx\n", (long)secret);
    fflush(stdout);
    for (;;) {
        poll(p, 3, 100);
        if (p[2].revents)
            return 0;
        for (int i = 0; i < 2; i++)
            if (p[i].fd >= 0 && p[i].revents)
                answer(p[i].fd);
        if (ro)
            can_open(path, O_RDONLY);
    }
}

/* A little of everything that a demo does for a request: arithmetic, memory, a file. */
static unsigned work(void)
{
    static unsigned char data[65536];
    unsigned sum = 0;
    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 0; i < sizeof(data); i++)
            sum = (data[i] = (unsigned char)(data[i] + sum + i)) + sum * 31;
    int fd = open("/tmp/neighbour", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && pwrite(fd, data, 4096, 0) != 4096)
        sum++;
    close(fd);
    return sum;
}

int neighbour_main(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/mnt/rw/neighbour.sock"};
    int listener = listen_at((struct sockaddr *)&un, sizeof(un));
    chmod(un.sun_path, 0777);
    signal(SIGPIPE, SIG_IGN);
    puts("ready");
    fflush(stdout);
    for (struct pollfd p = {.fd = listener, .events = POLLIN}; poll(&p, 1, -1) >= 0;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        unsigned sum;
        while (fd >= 0 && read(fd, &sum, 1) == 1) {
            sum = work();
            if (write(fd, &sum, 1) != 1)
                break;
        }
        close(fd);
    }
    return 0;
}

static long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* 200 requests a second, by the clock: one that is late does not put off the next. */
int measure_main(const char *path, double seconds)
{
    static long took[100000];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        perror("attempts: connect");
        return 2;
    }
    /* The neighbour is measured, not the one who measures: that one waits for nobody if it can. */
    struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
        (void)setpriority(PRIO_PROCESS, 0, -20);
    size_t n = 0;
    long start = now_us(), due = start;
    for (char c = 'x'; n < 100000 && due < start + (long)(seconds * 1e6); due += 5000, n++) {
        long wait = due - now_us();
        if (wait > 0)
            usleep((useconds_t)wait);
        long at = wait > 0 ? now_us() : due;
        if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
            return 2;
        took[n] = now_us() - at;
    }
    qsort(took, n, sizeof(*took), compare);
    printf("%zu %ld %ld %ld\n", n, took[n / 2], took[n * 99 / 100], took[n - 1]);
    return 0;
}
