/* `vitrine dev [DIR]`: runs a folder in a sandbox on this machine, without a server, and again
 * whenever a file in it is saved.
 *
 *   devstage.c   the sandbox is shown a copy, which a save brings up to date
 *   devbuild.c   what the folder asks for is built as at a deploy, while what runs goes on
 *   devneeds.c   whether there is something to build
 *   devhost.c    without a build: what the machine has
 *   devrun.c     README.md is read and the program is started, in sandboxes
 *   devrelay.c   a port of this machine leads to the program: PID 1 of the sandbox hands out
 * sockets of its network, as it does to the gateway
 *   devpage.c    pages in a browser reload when the program has been started anew
 *
 * inotify only wakes us: what has changed is found by listing the folder again. While nothing runs,
 * a page says so and looks again by itself. */
#include "cmd.h"
#include "client.h"
#include "devbuild.h"
#include "devhost.h"
#include "devneeds.h"
#include "devrelay.h"
#include "devrun.h"
#include "devstage.h"
#include "serveropts.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
    char folder[4096]; /* the same, absolute */
    uint16_t port;
    struct conf conf; /* of builds */
    struct devrun run;
    struct devstage stage;         /* what runs, or is to */
    struct devstage next;          /* what is being built, or was to */
    const struct devstage *newest; /* the one of them that the folder was last looked at for */
    bool no_build;

    struct devbuild build;
    struct devbuilt built;
    bool has_built; /* built is what next asked for when it was built last */
    bool building;  /* the result of next is to come */
    bool again;     /* the folder has changed meanwhile */
    json_t *record; /* of next */

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

static void complain(const struct err *err)
{
    fprintf(stderr, "dev: %s\n", err->msg);
}

/* What the stage holds becomes what runs; nothing does any more. */
static int run_stage(struct dev *d, const json_t *record, struct err *err)
{
    d->started_ms = mono_ms();
    d->ready = false;
    int r = devrun_start(&d->run, &d->stage, record, &d->child, err);
    devrelay_set(d->relay,
                 r == 0 ? (uint16_t)json_integer_value(json_object_get(record, "app_port")) : 0);
    return r;
}

/* Nothing has to be built for it: the list `now` becomes what runs. */
static int start(struct dev *d, struct folder *now, const json_t *record, struct err *err)
{
    stop(d);
    d->newest = &d->stage;
    int r = devstage_sync(&d->stage, now, err);
    if (r < 0)
        return r;
    if (d->no_build && !d->advised)
        devhost_advise(&d->run, d->dir, record);
    d->advised = true;
    d->run.built = NULL;
    d->has_built = false;
    return run_stage(d, record, err);
}

/* ---- building ---- */

static int ask(struct dev *d, struct err *err)
{
    char sha[65];
    int r = devneeds_sha(&d->next, sha, err);
    if (r == 0)
        r = devbuild_ask(&d->build, d->folder, d->next.app, sha, d->record, err);
    d->building = r == 0;
    d->has_built = false;
    return r;
}

/* What `next` holds, and what was built for it, becomes what runs. */
static int start_built(struct dev *d, struct err *err)
{
    stop(d);
    devstage_swap(&d->stage, &d->next);
    d->newest = &d->stage;
    d->run.built = &d->built;
    return run_stage(d, d->record, err);
}

/* The list `now` is built, if that has to be, while what runs goes on; then it runs. */
static int start_by_build(struct dev *d, struct folder *now, json_t *record, struct err *err)
{
    const char *path;
    /* the newest one is what was built last, if has_built */
    bool anew = !d->has_built || d->built.bound ||
                !devstage_is_current_in(d->newest, now, devneeds_counts, &path);
    d->newest = &d->next;
    int r = devstage_sync(&d->next, now, err);
    if (r < 0)
        return r;
    json_decref(d->record);
    d->record = json_incref(record);
    return anew ? ask(d, err) : start_built(d, err);
}

/* A change while something is built: what is wrong in it by now is not built to its end. */
static void look_while_building(struct dev *d)
{
    _cleanup_folder_ struct folder now = {.fd = -1};
    const char *path = "";
    struct err err = {0};
    if (folder_scan(&now, d->dir, NULL, NULL, &err) < 0 || watch(d, &now, &err) < 0) {
        complain(&err);
        return;
    }
    if (devstage_is_current(&d->next, &now, &path))
        return;
    if (!d->again)
        fprintf(stderr, "dev: %s changed\n", path);
    d->again = true;
    if (!devstage_is_current_in(&d->next, &now, devneeds_counts, &path))
        devbuild_cancel(&d->build);
}

static void say_not_run(const struct dev *d, const struct err *err)
{
    fprintf(stderr, "dev: %s; %s\n", err->msg,
            d->child ? "the version before goes on until a file is saved"
                     : "save a file to try again");
}

/* The list `now` is to run. */
static int take(struct dev *d, struct folder *now, struct err *err)
{
    _cleanup_json_ json_t *record = NULL;
    int r = devrun_card(&d->run, now, &record, err);
    if (r < 0)
        return r;
    print_warnings(record);
    json_object_del(record, "readme"); /* long, and not needed */
    if (!d->no_build && devneeds_asks(now, record))
        return start_by_build(d, now, record, err);
    return start(d, now, record, err);
}

/* Looks what has changed, and starts anew if something has: then it returns true. `told`: people
 * know that it has. */
static bool look(struct dev *d, bool first, bool told)
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
        if (r == 0 && !first && devstage_is_current(d->newest, &now, &path))
            return false;
        if (r == 0 && !first && !told && i == 0)
            fprintf(stderr, "dev: %s changed\n", path);
        if (r == 0)
            r = take(d, &now, &err);
    }
    if (r < 0 && !d->child)
        devrelay_set(d->relay, 0);
    if (r < 0)
        say_not_run(d, &err);
    return true;
}

static void on_built(struct dev *d)
{
    struct err err = {0};
    struct devbuilt built;
    bool again = d->again;
    int r = devbuild_take(&d->build, &built, &err);
    d->building = d->again = false;
    if (r == 0) {
        d->built = built;
        d->has_built = true;
    }
    if (again && look(d, false, true))
        return;
    if (r == -ECANCELED) /* for a change that was taken back */
        r = ask(d, &err);
    else if (r == 0)
        r = start_built(d, &err);
    if (r < 0)
        say_not_run(d, &err);
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
        struct pollfd p[3] = {{.fd = d->inotify, .events = POLLIN},
                              {.fd = d->signals, .events = POLLIN},
                              {.fd = d->building ? d->build.fd : -1, .events = POLLIN}};
        if (poll(p, 3, d->child && !d->ready ? PROBE_EACH_MS : -1) < 0 && errno != EINTR)
            return;
        if (p[1].revents) {
            struct signalfd_siginfo info;
            if (read(d->signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
                return;
            reap(d);
        }
        if (p[0].revents) {
            settle(d);
            if (d->building)
                look_while_building(d);
            else
                (void)look(d, false, false);
        }
        if (p[2].revents)
            on_built(d);
        if (d->child && !d->ready)
            probe(d);
    }
}

/* ---- beginning and end ---- */

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
    if (r == 0 && !d->no_build)
        r = devbuild_open(&d->build, &d->conf, d->run.programs, err);
    if (r == 0)
        r = devstage_open(&d->stage, err);
    if (r == 0)
        r = devstage_beside(&d->next, &d->stage, err);
    if (r < 0)
        return r;
    d->newest = &d->stage;
    d->run.conf = &d->conf;
    if (d->no_build)
        devhost_find(&d->run, d->dir);
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
    (void)look(d, true, false);
    loop(d);
    return 0;
}

static void end(struct dev *d)
{
    devbuild_close(&d->build); /* it reads `next` */
    stop(d);
    if (*d->stage.dir)
        devrun_clean(&d->run, &d->stage);
    json_decref(d->record);
    devstage_close(&d->next);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    devstage_close(&d->stage);
    close_fd(&d->inotify);
    close_fd(&d->signals);
}

/* The runner that builds gets it: what is built is as on a server with that configuration, but
 * nothing is started there. */
static int read_conf(struct dev *d, const struct serveropts *opts, struct err *err)
{
    char data[4096];
    int r = serveropts_conf(opts, &d->conf, err);
    if (r < 0 || d->no_build)
        return r;
    if (!opts->data && devbuild_data(data, sizeof(data), err) < 0) {
        fprintf(stderr, "dev: nothing is built: %s\n", err->msg);
        d->no_build = true;
        return 0;
    }
    if (!opts->data)
        r = conf_set(&d->conf, "server.data", data, "--data", err);
    if (r == 0)
        r = conf_set(&d->conf, "lifecycle.max_workers", "0", "dev", err);
    if (r == 0)
        r = conf_set(&d->conf, "log.level", "error", "dev", err);
    return r;
}

static int take_folder(struct dev *d, const char *dir, struct err *err)
{
    char full[PATH_MAX];
    d->dir = dir;
    if (!realpath(dir, full))
        return err_errno(err, "cannot read the folder %s", dir);
    snprintf(d->folder, sizeof(d->folder), "%s", full);
    return 0;
}

int cmd_dev(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},   {"env", required_argument, NULL, 'e'},
        {"memory", required_argument, NULL, 'm'}, {"net", required_argument, NULL, 'n'},
        {"data", required_argument, NULL, 'd'},   {"config", required_argument, NULL, 'c'},
        {"no-build", no_argument, NULL, 'b'},     {NULL, 0, NULL, 0}};
    static struct dev d = {
        .inotify = -1, .signals = -1, .stage.folder.fd = -1, .next.folder.fd = -1, .build.fd = -1};
    struct serveropts opts = {0};
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
        d.no_build |= o == 'b';
        serveropts_take(&opts, o, optarg);
    }
    if (argc - optind > 1)
        return cmd_usage(argv[0], "takes at most one folder");
    d.run.env = d.env;
    int r = take_folder(&d, argv[optind] ? argv[optind] : ".", &err);
    if (r == 0)
        r = read_conf(&d, &opts, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    r = run(&d, &err);
    end(&d);
    conf_free(&d.conf);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
