/* `vitrine open NAME`: the Space's address, printed, and opened where there is a display. */
#include "cmd.h"
#include "client.h"
#include "spacename.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_display(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x && *x) || (wayland && *wayland);
}

/* xdg-open, whose own words go to stderr; stdout is for the address. */
static int open_browser(const char *url, struct err *err)
{
    /* It comes from the server: nothing but an address may reach a program that opens things. */
    if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
        return err_set(err, EPROTO, "the server's address for it is none: \"%s\"", url);
    char *argv[] = {"xdg-open", (char *)url, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code)
        return err_set(err, code, "cannot open a browser: %s; install xdg-utils, or say --print",
                       strerror(code));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return err_set(err, EIO, "xdg-open found no browser; say --print");
    return 0;
}

static int open_space(const struct spacename *n, bool print_only, bool json, struct err *err)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *space = NULL;
    int r = client_open(&c, err);
    if (r == 0)
        r = client_get(c, n->path, &space, err);
    if (r < 0)
        return r;
    const char *url = json_str(space, "url");
    if (json) {
        _cleanup_json_ json_t *out =
            json_pack("{s:s, s:s}", "id", json_str(space, "id"), "url", url);
        r = json_print(out, err);
    } else {
        printf("%s\n", url);
    }
    fflush(stdout);
    return r < 0 || print_only || !has_display() ? r : open_browser(url, err);
}

int cmd_open(int argc, char **argv)
{
    static const struct option longs[] = {
        {"print", no_argument, NULL, 'p'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct spacename n;
    struct err err = {0};
    bool print_only = false, json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        print_only |= o == 'p';
        json |= o == 'j';
    }
    if (argc - optind != 1)
        return cmd_usage(argv[0], "give the name of one Space");
    int r = spacename_parse(&n, argv[optind], &err);
    if (r == 0)
        r = open_space(&n, print_only, json, &err);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
