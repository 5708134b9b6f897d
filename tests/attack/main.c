/* attempts: the attack suite's program, inside the sandbox and beside it.
 *
 *   attempts NAME            one attempt; 0: it succeeded, 1: it was refused
 *   attempts --again BOMB    a bomb over and over while its time lasts; a byte to standard input as
 *                            it begins
 *   attempts --list          kind and name of each
 *   attempts --victim        what lives outside, or in a neighbour's sandbox, to be attacked
 *   attempts --neighbour     a worker that answers, to be measured
 *   attempts --docker-filter       what Docker's default profile refuses, as a filter
 *   attempts --measure SOCKET SECONDS    prints how long its answers took
 *
 * The driver (tests/attack/run) sets up the canaries, starts this program in each kind of sandbox,
 * and looks at the canaries afterwards: an attempt also succeeded if one of them has changed. */
#include "tests/attack/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct attempt_group *const groups[] = {
    &files_group, &escape_group, &kernel_group, &rights_group,
    &leak_group,  &peers_group,  &storms_group, &bombs_group,
};
#define GROUPS (sizeof(groups) / sizeof(*groups))

const char *canary(const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "CANARY_%s", name);
    const char *value = getenv(key);
    return value ? value : "";
}

long canary_number(const char *name)
{
    const char *value = canary(name);
    return *value ? strtol(value, NULL, 0) : -1;
}

const char *canary_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", canary("DIR"), name);
    return path;
}

const char *scratch(void)
{
    static const char *const places[] = {"/tmp", "/home/user", "/dev/shm", "/dev"};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (access(places[i], W_OK) == 0)
            return places[i];
    return ".";
}

bool has_token(const char *data, size_t len)
{
    const char *at = memmem(data, len, TOKEN_MARK, sizeof(TOKEN_MARK) - 1);
    if (!at || (size_t)(data + len - at) < TOKEN_LEN)
        return false;
    printf("%.*s\n", (int)TOKEN_LEN, at);
    return true;
}

bool fd_has_token(int fd)
{
    static char data[1 << 20];
    size_t len = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (len < sizeof(data) && poll(&p, 1, 1000) > 0) {
        ssize_t n = read(fd, data + len, sizeof(data) - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (has_token(data, len))
            return true;
    }
    return false;
}

bool file_has_token(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool found = fd_has_token(fd);
    close(fd);
    return found;
}

bool can_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

bool past_check(long result)
{
    return result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS &&
                           errno != EOPNOTSUPP && errno != EAFNOSUPPORT && errno != ENOPKG);
}

static int list(void)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            printf("%s %s\n", groups[g]->kind, groups[g]->attempts[i].name);
    return 0;
}

static int attempt(const char *name)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++) {
            const struct attempt *a = &groups[g]->attempts[i];
            if (strcmp(a->name, name) != 0)
                continue;
            errno = 0;
            /* where PID 1 is the program itself there is none of the platform's to attack */
            bool succeeded = (getpid() != 1 || !strstr(name, "-init")) && a->run(a);
            int why = errno;
            printf("%s %s\n", succeeded ? "succeeded" : "refused:", succeeded ? "" : strerror(why));
            return succeeded ? 0 : 1;
        }
    fprintf(stderr, "attempts: no attempt is called %s\n", name);
    return 2;
}

/* A bomb that was met by its limit at once is no less of a bomb while a neighbour is measured. */
static int again(const char *name)
{
    double end = bomb_now() + bomb_seconds();
    if (write(0, "b", 1) != 1)
        return 2;
    struct timespec rest = {0};
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    for (double left; (left = end - bomb_now()) > 0;) {
        pid_t pid = fork();
        if (pid == 0) {
            sigprocmask(SIG_UNBLOCK, &child, NULL);
            _exit(attempt(name));
        }
        rest.tv_sec = (time_t)left;
        rest.tv_nsec = (long)((left - (double)rest.tv_sec) * 1e9);
        /* no process was to be had: what the round before left holds them */
        if (pid < 0 || sigtimedwait(&child, NULL, &rest) < 0)
            break;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    kill(-1, SIGKILL);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc >= 2 && strcmp(argv[1], "--victim") == 0)
        return victim_main();
    if (argc == 2 && strcmp(argv[1], "--neighbour") == 0)
        return neighbour_main();
    if (argc == 2 && strcmp(argv[1], "--docker-filter") == 0)
        return docker_filter_main();
    if (argc == 4 && strcmp(argv[1], "--measure") == 0)
        return measure_main(argv[2], strtod(argv[3], NULL));
    if (argc == 2 && strcmp(argv[1], "--who") == 0) { /* run as a program with more rights */
        printf("%d\n", (int)geteuid());
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--again") == 0)
        return again(argv[2]);
    if (argc == 2 && argv[1][0] != '-')
        return attempt(argv[1]);
    fprintf(
        stderr,
        "usage: attempts NAME | --again BOMB | --list | --neighbour | --measure SOCKET SECONDS\n");
    return 2;
}
