/* `vitrine dev [DIR]`: runs a folder in a sandbox on this machine, without a server, and again
 * whenever a file in it is saved.
 *
 *   devstage.c   the sandbox is shown a copy, which a save brings up to date
 *   devrun.c     README.md is read and the program is started, in sandboxes
 *   devrelay.c   a port of this machine leads to the program: PID 1 of the sandbox hands out
 * sockets of its network, as it does to the gateway
 *   devpage.c    pages in a browser reload when the program has been started anew
 *
 * inotify only wakes us: what has changed is found by listing the folder again. While nothing runs,
 * a page says so and looks again by itself. */
#include "cmd.h"
#include "client.h"
#include "devrelay.h"
#include "devrun.h"
#include "devstage.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define ENV_MAX 100
#define SETTLE_MS 120 /* an editor saves in several steps */
#define SETTLE_MAX_MS 1500
#define PROBE_MS 1000
#define PROBE_EACH_MS 60
#define STOP_MS 7000 /* vitrine-sandbox gives the program 5 s */
#define WATCHED (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB | IN_ONLYDIR)

struct dev {
    const char *dir;
    uint16_t port;
    struct devrun run;
    struct devstage stage;
    struct devrelay *relay;
    int inotify, signals;
    pid_t child; /* 0: nothing runs */
    bool ready, told, advised;
    uint64_t started_ms;
    char *env[ENV_MAX + 1];
    unsigned n_env;
};

/* ---- watching ---- */

/* Watches every folder of the list; one that is watched already is so once. */
static int watch(struct dev *d, const struct folder *f, struct err *err)
{
    if (inotify_add_watch(d->inotify, d->dir, WATCHED) < 0)
        return err_errno(err, "cannot watch %s", d->dir);
    for (size_t i = 0; i < f->count; i++) {
        char path[8192];
        if (!S_ISDIR(f->entries[i].st.st_mode))
            continue;
        snprintf(path, sizeof(path), "%s/%s", d->dir, f->entries[i].path);
        if (inotify_add_watch(d->inotify, path, WATCHED) < 0 && errno != ENOENT && errno != ENOTDIR)
            return err_errno(
                err, "cannot watch %s (fs.inotify.max_user_watches says how many can be)", path);
    }
    return 0;
}

static void settle(struct dev *d)
{
    char events[8192];
    uint64_t end = mono_ms() + SETTLE_MAX_MS;
    struct pollfd p = {.fd = d->inotify, .events = POLLIN};
    while (mono_ms() < end && poll(&p, 1, SETTLE_MS) > 0)
        if (read(d->inotify, events, sizeof(events)) < 0)
            break;
}

/* ---- running ---- */

static void say_ended(int status)
{
    if (WIFEXITED(status))
        fprintf(stderr, "dev: the program ended with status %d; save a file to start it again\n",
                WEXITSTATUS(status));
    else
        fprintf(stderr, "dev: the program was ended by signal %d; save a file to start it again\n",
                WTERMSIG(status));
}

/* What a sandbox leaves behind to be waited for is ours as well (see run). */
static void reap(struct dev *d)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != d->child)
            continue;
        d->child = 0;
        devrelay_set(d->relay, 0);
        say_ended(status);
    }
}

static void stop(struct dev *d)
{
    uint64_t end = mono_ms() + STOP_MS;
    if (!d->child)
        return;
    kill(d->child, SIGTERM);
    while (waitpid(d->child, NULL, WNOHANG) == 0) {
        struct pollfd none = {.fd = -1};
        if (mono_ms() > end)
            kill(d->child, SIGKILL);
        poll(&none, 1, 5);
    }
    d->child = 0;
}

static void print_warnings(const json_t *record)
{
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(record, "warnings"), i, w)
        fprintf(stderr, "dev: %s\n", json_string_value(w));
}

static bool has(const struct dev *d, const char *name)
{
    char path[4200];
    snprintf(path, sizeof(path), "%.4000s/%s", d->dir, name);
    return access(path, R_OK) == 0;
}

/* What a deploy would install, and how to have it here. Once. */
static void advise(struct dev *d, const json_t *record)
{
    const char *sdk = json_str(record, "sdk");
    const char *version = json_str(json_object_get(record, "card"), "sdk_version");
    bool of_python = !strcmp(sdk, "gradio") || !strcmp(sdk, "streamlit"),
         lists = has(d, "requirements.txt") && strcmp(sdk, "static") != 0;
    if (d->advised)
        return;
    d->advised = true;
    if (!*d->run.packages && (of_python || lists))
        fprintf(stderr,
                "dev: a deploy installs %s%s%s, this does not; in the folder, make python3 -m venv "
                ".venv && .venv/bin/pip install%s%s%s%s%s\n",
                lists ? "requirements.txt" : "", lists && of_python ? " and " : "",
                of_python ? sdk : "", lists ? " -r requirements.txt" : "", of_python ? " " : "",
                of_python ? sdk : "", of_python && *version ? "==" : "", of_python ? version : "");
    if (!strcmp(sdk, "node") && has(d, "package.json") && !*d->run.node_modules)
        fprintf(stderr, "dev: a deploy installs what package.json asks for, this does not; in the "
                        "folder, run npm install\n");
    if (has(d, "packages.txt"))
        fprintf(stderr, "dev: a deploy adds the Debian packages of packages.txt; here the program "
                        "sees those of this machine\n");
}

/* The list `now` becomes what runs. */
static int start(struct dev *d, struct folder *now, struct err *err)
{
    _cleanup_json_ json_t *record = NULL;
    stop(d);
    d->started_ms = mono_ms();
    d->ready = false;
    int r = devstage_sync(&d->stage, now, err);
    if (r == 0)
        r = devrun_card(&d->run, &d->stage.folder, &record, err);
    if (r == 0) {
        print_warnings(record);
        advise(d, record);
    }
    if (r == 0)
        r = devrun_start(&d->run, &d->stage, record, &d->child, err);
    devrelay_set(d->relay,
                 r == 0 ? (uint16_t)json_integer_value(json_object_get(record, "app_port")) : 0);
    return r;
}

static void complain(const struct err *err)
{
    fprintf(stderr, "dev: %s\n", err->msg);
}

/* Looks what has changed, and starts anew if something has. */
static void look(struct dev *d, bool first)
{
    _cleanup_folder_ struct folder now = {.fd = -1};
    const char *path = "";
    struct err err = {0};
    int r = -EAGAIN;
    for (int i = 0; r == -EAGAIN && i < 5; i++) { /* a file may be in the middle of being written */
        if (i)
            settle(d);
        folder_free(&now);
        r = folder_scan(&now, d->dir, NULL, NULL, &err);
        if (r == 0)
            r = watch(d, &now, &err);
        if (r == 0 && !first && devstage_is_current(&d->stage, &now, &path))
            return;
        if (r == 0 && !first && i == 0)
            fprintf(stderr, "dev: %s changed\n", path);
        if (r == 0)
            r = start(d, &now, &err);
    }
    if (r < 0) {
        stop(d);
        devrelay_set(d->relay, 0);
        complain(&err);
    }
}

static void probe(struct dev *d)
{
    int status = devrelay_probe(d->relay, PROBE_MS);
    if (status < 200 || status >= 500)
        return;
    uint64_t ms = mono_ms() - d->started_ms;
    d->ready = true;
    devrelay_reload(d->relay);
    if (d->told)
        fprintf(stderr, "dev: runs again, after %llu.%llu s\n", (unsigned long long)(ms / 1000),
                (unsigned long long)(ms % 1000 / 100));
    else
        printf("ready: http://localhost:%u/\n", d->port);
    fflush(stdout);
    d->told = true;
}

static void loop(struct dev *d)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = d->inotify, .events = POLLIN},
                              {.fd = d->signals, .events = POLLIN}};
        if (poll(p, 2, d->child && !d->ready ? PROBE_EACH_MS : -1) < 0 && errno != EINTR)
            return;
        if (p[1].revents) {
            struct signalfd_siginfo info;
            if (read(d->signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
                return;
            reap(d);
        }
        if (p[0].revents) {
            settle(d);
            look(d, false);
        }
        if (d->child && !d->ready)
            probe(d);
    }
}

/* ---- beginning and end ---- */

/* What `npm install` made, or would have to make. */
static void find_modules(struct dev *d)
{
    char path[4200];
    snprintf(path, sizeof(path), "%.4000s/node_modules", d->dir);
    if (access(path, R_OK | X_OK) == 0)
        snprintf(d->run.node_modules, sizeof(d->run.node_modules), "%.4000s/node_modules", d->dir);
}

/* The site-packages of a virtual environment: of the folder, else the one that is active. */
static void find_packages(struct dev *d)
{
    const char *active = getenv("VIRTUAL_ENV");
    const char *const places[] = {".venv", "venv", "env"};
    char pattern[4200];
    glob_t g = {0};
    for (size_t i = 0; i < 4 && !g.gl_pathc; i++) {
        if (i < 3)
            snprintf(pattern, sizeof(pattern), "%s/%s/lib/python3*/site-packages", d->dir,
                     places[i]);
        else
            snprintf(pattern, sizeof(pattern), "%s/lib/python3*/site-packages",
                     active ? active : "");
        if (i < 3 || active)
            (void)glob(pattern, 0, NULL, &g);
    }
    if (g.gl_pathc)
        snprintf(d->run.packages, sizeof(d->run.packages), "%s", g.gl_pathv[0]);
    globfree(&g);
}

static int open_signals(struct dev *d, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return d->signals < 0 || d->inotify < 0 ? err_errno(err, "cannot watch the folder") : 0;
}

static int run(struct dev *d, struct err *err)
{
    char socket[640];
    int r = exe_dir(d->run.programs, sizeof(d->run.programs), err);
    if (r == 0)
        r = open_signals(d, err);
    if (r == 0)
        r = devstage_open(&d->stage, err);
    if (r < 0)
        return r;
    find_packages(d);
    find_modules(d);
    snprintf(socket, sizeof(socket), "%s/dial.sock", d->stage.dir);
    d->run.listener = proto_listen_path(socket, err);
    if (d->run.listener < 0 || (r = fd_set_cloexec(d->run.listener, false)) < 0)
        return d->run.listener < 0 ? d->run.listener : r;
    /* What takes a sandbox away goes on for a moment when `vitrine-sandbox run` has ended. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    r = devrelay_open(&d->relay, &d->port, socket, err);
    if (r < 0)
        return r;
    d->run.public_port = d->port;
    look(d, true);
    loop(d);
    return 0;
}

static void end(struct dev *d)
{
    stop(d);
    if (*d->stage.dir)
        devrun_clean(&d->run, &d->stage);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    devstage_close(&d->stage);
    close_fd(&d->inotify);
    close_fd(&d->signals);
}

int cmd_dev(int argc, char **argv)
{
    static const struct option longs[] = {{"port", required_argument, NULL, 'p'},
                                          {"env", required_argument, NULL, 'e'},
                                          {"memory", required_argument, NULL, 'm'},
                                          {"net", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
    static struct dev d = {.inotify = -1, .signals = -1, .stage.folder.fd = -1};
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        char *rest;
        unsigned long port = o == 'p' ? strtoul(optarg, &rest, 10) : 0;
        if (o == '?')
            return CMD_USAGE;
        if (o == 'p' && (*rest || rest == optarg || port > 65535))
            return cmd_usage(argv[0], "--port takes a number up to 65535, not \"%s\"", optarg);
        if (o == 'p')
            d.port = (uint16_t)port;
        if (o == 'e' && (!strchr(optarg, '=') || *optarg == '=' || d.n_env == ENV_MAX))
            return cmd_usage(argv[0], "--env takes NAME=VALUE, at most %d times, not \"%s\"",
                             ENV_MAX, optarg);
        if (o == 'e')
            d.env[d.n_env++] = optarg;
        d.run.memory = o == 'm' ? optarg : d.run.memory;
        d.run.net = o == 'n' ? optarg : d.run.net;
    }
    if (argc - optind > 1)
        return cmd_usage(argv[0], "takes at most one folder");
    d.dir = argv[optind] ? argv[optind] : ".";
    d.run.env = d.env;
    int r = run(&d, &err);
    end(&d);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
