/* See run.h. Options become a START message, exactly as the runner would send it. */
#include "run.h"

#include "common/cleanup.h"
#include "common/gpus.h"
#include "common/limits_met.h"
#include "common/netrule.h"
#include "common/proto.h"
#include "common/util.h"
#include "sandbox/filesystems.h"
#include "sandbox/filter.h"
#include "sandbox/launch.h"
#include "sandbox/run_wait.h"
#include "sandbox/trace.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_NO_SANDBOX 125

static const char usage_text[] =
    "usage: vitrine-sandbox run [options] -- PROGRAM [ARGUMENT...]\n"
    "  --root host|DIR   the system that the program sees, read-only (host: this one's /usr)\n"
    "  --ro SRC:DST      also SRC, read-only, at DST; may be given several times\n"
    "  --rw SRC:DST      the same, writable where SRC's permissions let the sandbox's user write\n"
    "  --over SRC:DST    the folder SRC, read-only, laid over what is at DST (/usr)\n"
    "  --copied SRC:DST  the folder SRC at DST, which is below /home/user: what the program "
    "changes\n"
    "                    there is thrown away\n"
    "  --app DIR         DIR at /home/user/app under a writable layer that is thrown away\n"
    "  --device PATH     the device PATH (a GPU's), in /dev; may be given several times. The "
    "program\n"
    "                    may then make the requests of GPUs' drivers (ioctl), too\n"
    "  --cwd DIR         where it starts (/home/user, or /home/user/app with --app)\n"
    "  --env NAME=VALUE  a variable of its environment; may be given several times\n"
    "  --memory N        at most N bytes of memory (512M, 2G; default 1G; 0: no limit)\n"
    "  --pids N          at most N processes and threads (256)\n"
    "  --cpu N           at most N CPU cores (0.5, 2; default: no limit)\n"
    "  --io-weight N     share of a busy disk, beside the others' of 100 (with its caller's)\n"
    "  --tmp-size N      size of /tmp (256M)\n"
    "  --home-size N     what it may write below /home/user (512M)\n"
    "  --tmp-inodes N    files and folders in /tmp (as many as pages of its size)\n"
    "  --home-inodes N   files and folders that it may make below /home/user (the same)\n"
    "  --root-size N     what it may write below /var, /opt, /srv and /usr/local of --root DIR;\n"
    "                    thrown away (256M; 0: nothing)\n"
    "  --open-files N    open files of a process (4096)\n"
    "  --file-size N     largest file that it writes (2G)\n"
    "  --net none        its own loopback and nothing else (default)\n"
    "  --net internet    public addresses besides; no private ones, not this machine\n"
    "  --net-allow ADDR[/PREFIX][:PORT]   an exception; may be given several times\n"
    "  --net-deny ADDR[/PREFIX]           refused as well; may be given several times\n"
    "  --net-bandwidth N     bytes a second in each direction (16M; 0: no limit)\n"
    "  --net-connections N   at most N connections at the same time (256; 0: no limit)\n"
    "  --net-new-connections N   and N new ones in a second (50; 0: no limit)\n"
    "  --port N          a port that it listens on: opened to it if it is below 1024\n"
    "  --listener FD     a listening SOCK_SEQPACKET socket: who connects gets sockets of the\n"
    "                    program's network (DIAL in common/proto.h)\n"
    "  --hostname NAME   (sandbox)\n"
    "  --uid-index N     which uid of the range it is outside (the last)\n"
    "vitrine-sandbox trace takes the same, and tells what the program asked for and did not get:\n"
    "  --output FILE     writes that to FILE (default: standard error)\n"
    "  --json            as JSON\n"
    "  --follow          also each refusal as a line, when it first happens\n";

enum option_id {
    O_ROOT = 256,
    O_RO,
    O_RW,
    O_OVER,
    O_COPIED,
    O_APP,
    O_DEVICE,
    O_CWD,
    O_ENV,
    O_MEMORY,
    O_PIDS,
    O_CPU,
    O_IO_WEIGHT,
    O_TMP,
    O_HOME,
    O_TMP_INODES,
    O_HOME_INODES,
    O_ROOT_SIZE,
    O_OPEN_FILES,
    O_FILE_SIZE,
    O_NET,
    O_NET_ALLOW,
    O_NET_DENY,
    O_NET_BANDWIDTH,
    O_NET_CONNECTIONS,
    O_NET_NEW,
    O_PORT,
    O_LISTENER,
    O_HOSTNAME,
    O_UID_INDEX,
    O_OUTPUT,
    O_JSON,
    O_FOLLOW,
    O_HELP
};

static const struct option options[] = {
    {"root", required_argument, NULL, O_ROOT},
    {"ro", required_argument, NULL, O_RO},
    {"rw", required_argument, NULL, O_RW},
    {"over", required_argument, NULL, O_OVER},
    {"copied", required_argument, NULL, O_COPIED},
    {"app", required_argument, NULL, O_APP},
    {"device", required_argument, NULL, O_DEVICE},
    {"cwd", required_argument, NULL, O_CWD},
    {"env", required_argument, NULL, O_ENV},
    {"memory", required_argument, NULL, O_MEMORY},
    {"pids", required_argument, NULL, O_PIDS},
    {"cpu", required_argument, NULL, O_CPU},
    {"io-weight", required_argument, NULL, O_IO_WEIGHT},
    {"tmp-size", required_argument, NULL, O_TMP},
    {"home-size", required_argument, NULL, O_HOME},
    {"tmp-inodes", required_argument, NULL, O_TMP_INODES},
    {"home-inodes", required_argument, NULL, O_HOME_INODES},
    {"root-size", required_argument, NULL, O_ROOT_SIZE},
    {"open-files", required_argument, NULL, O_OPEN_FILES},
    {"file-size", required_argument, NULL, O_FILE_SIZE},
    {"net", required_argument, NULL, O_NET},
    {"net-allow", required_argument, NULL, O_NET_ALLOW},
    {"net-deny", required_argument, NULL, O_NET_DENY},
    {"net-bandwidth", required_argument, NULL, O_NET_BANDWIDTH},
    {"net-connections", required_argument, NULL, O_NET_CONNECTIONS},
    {"net-new-connections", required_argument, NULL, O_NET_NEW},
    {"port", required_argument, NULL, O_PORT},
    {"listener", required_argument, NULL, O_LISTENER},
    {"hostname", required_argument, NULL, O_HOSTNAME},
    {"uid-index", required_argument, NULL, O_UID_INDEX},
    {"output", required_argument, NULL, O_OUTPUT},
    {"json", no_argument, NULL, O_JSON},
    {"follow", no_argument, NULL, O_FOLLOW},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

/* Of `trace`. */
struct run_trace {
    bool wanted, json, follow;
    bool devices; /* the program has some */
    FILE *out;
    struct trace *trace;
    pid_t tracer;
};

static int set_text(char *out, size_t size, const char *value, const char *name, struct err *err)
{
    if ((size_t)snprintf(out, size, "%s", value) >= size)
        return err_set(err, EINVAL, "--%s: \"%.60s...\" is too long", name, value);
    return 0;
}

static int set_path(char *out, size_t size, const char *value, const char *name, struct err *err)
{
    char path[PATH_MAX];
    if (!realpath(value, path))
        return err_errno(err, "--%s %s", name, value);
    return set_text(out, size, path, name, err);
}

static int set_count(uint32_t *out, const char *value, const char *name, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(value, &end, 10);
    if (errno || end == value || *end || v > UINT32_MAX || value[0] == '-')
        return err_set(err, EINVAL, "--%s: \"%s\" is no whole number", name, value);
    *out = (uint32_t)v;
    return 0;
}

static int set_bytes(uint64_t *out, const char *value, const char *name, struct err *err)
{
    if (parse_bytes(value, out) < 0)
        return err_set(err, EINVAL, "--%s: \"%s\" is no size (512M, 2G)", name, value);
    return 0;
}

static int set_inodes(uint64_t *out, const char *value, const char *name, struct err *err)
{
    uint32_t n = 0;
    int r = set_count(&n, value, name, err);
    if (r == 0 && n < SPEC_MIN_INODES)
        return err_set(err, EINVAL, "--%s %s: at least %d", name, value, SPEC_MIN_INODES);
    *out = n;
    return r;
}

static int set_cpu(uint64_t *out_milli, const char *value, struct err *err)
{
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end || !(v >= 0) || v > 1024)
        return err_set(err, EINVAL, "--cpu: \"%s\" is no number of cores (0.5, 2)", value);
    *out_milli = (uint64_t)(v * 1000 + 0.5);
    return 0;
}

/* "SRC:DST" becomes "ro:/absolute/src:DST". */
static int add_mount(struct proto_start *st, const char *mode, const char *value, struct err *err)
{
    char src[PATH_MAX], path[PATH_MAX], text[PATH_MAX + 300];
    const char *colon = strrchr(value, ':');
    if (!colon || colon == value || (size_t)(colon - value) >= sizeof(src))
        return err_set(err, EINVAL, "--%s: \"%s\" is not SRC:DST", mode, value);
    snprintf(src, sizeof(src), "%.*s", (int)(colon - value), value);
    if (!realpath(src, path))
        return err_errno(err, "--%s %s", mode, src);
    snprintf(text, sizeof(text), "%s:%s%.256s", mode, path, colon);
    if (proto_list_add(st->mounts, &st->mounts_len, sizeof(st->mounts), text) < 0)
        return err_set(err, E2BIG, "--%s: too many mounts", mode);
    return 0;
}

/* A link in /dev is what it leads to, as in the configuration (common/gpus.h). */
static int add_device(struct proto_start *st, const char *value, struct err *err)
{
    char path[PATH_MAX], place[GPU_PATH], text[PATH_MAX + GPU_PATH + 8];
    if (!realpath(value, path))
        return err_errno(err, "--device %s", value);
    gpu_place(strncmp(path, "/dev/", 5) == 0 && strncmp(value, "/dev/", 5) == 0 ? path : value,
              place);
    snprintf(text, sizeof(text), "dv:%s:%s", path, place);
    if (proto_list_add(st->mounts, &st->mounts_len, sizeof(st->mounts), text) < 0)
        return err_set(err, E2BIG, "--device: too many");
    return 0;
}

static bool has_device(const struct proto_start *st)
{
    for (size_t at = 0; at < st->mounts_len; at += strlen(st->mounts + at) + 1)
        if (strncmp(st->mounts + at, "dv:", 3) == 0)
            return true;
    return false;
}

/* What was said of the same variable before, by default perhaps, is no longer so: a program takes
 * the first of two. */
static void drop_env(struct proto_start *st, const char *value)
{
    size_t name = strcspn(value, "=") + 1;
    for (size_t at = 0, len; at < st->env_len; at += len) {
        len = strlen(st->env + at) + 1;
        if (strncmp(st->env + at, value, name) != 0)
            continue;
        memmove(st->env + at, st->env + at + len, st->env_len - at - len);
        st->env_len -= (uint32_t)len;
        len = 0;
    }
}

static int add_env(struct proto_start *st, const char *value, struct err *err)
{
    drop_env(st, value);
    if (proto_list_add(st->env, &st->env_len, sizeof(st->env), value) < 0)
        return err_set(err, E2BIG, "--env: the environment is too large");
    return 0;
}

static int add_net_rule(struct proto_start *st, const char *verb, const char *value,
                        struct err *err)
{
    char text[120];
    struct netrule rule;
    int r = netrule_parse(value, *verb == 'a', &rule, err);
    if (r < 0)
        return err_prefix(err, -r, "--net-%s", verb);
    snprintf(text, sizeof(text), "%s %s", verb, value);
    if (proto_list_add(st->net_rules, &st->net_rules_len, sizeof(st->net_rules), text) < 0)
        return err_set(err, E2BIG, "--net-%s: too many addresses", verb);
    return 0;
}

static int apply_option(struct proto_start *st, int id, const char *v, struct err *err)
{
    switch (id) {
    case O_ROOT:
        return strcmp(v, "host") == 0 ? set_text(st->root, sizeof(st->root), v, "root", err)
                                      : set_path(st->root, sizeof(st->root), v, "root", err);
    case O_RO:
        return add_mount(st, "ro", v, err);
    case O_OVER:
        return add_mount(st, "ov", v, err);
    case O_COPIED:
        return add_mount(st, "cw", v, err);
    case O_RW:
        return add_mount(st, "rw", v, err);
    case O_APP:
        return set_path(st->app, sizeof(st->app), v, "app", err);
    case O_DEVICE:
        return add_device(st, v, err);
    case O_CWD:
        return set_text(st->cwd, sizeof(st->cwd), v, "cwd", err);
    case O_ENV:
        return add_env(st, v, err);
    case O_MEMORY:
        return set_bytes(&st->memory_bytes, v, "memory", err);
    case O_PIDS:
        return set_count(&st->pids, v, "pids", err);
    case O_CPU:
        return set_cpu(&st->cpu_milli, v, err);
    case O_IO_WEIGHT:
        return set_count(&st->io_weight, v, "io-weight", err);
    case O_TMP:
        return set_bytes(&st->tmp_bytes, v, "tmp-size", err);
    case O_HOME:
        return set_bytes(&st->home_bytes, v, "home-size", err);
    case O_TMP_INODES:
        return set_inodes(&st->tmp_inodes, v, "tmp-inodes", err);
    case O_HOME_INODES:
        return set_inodes(&st->home_inodes, v, "home-inodes", err);
    case O_ROOT_SIZE:
        return set_bytes(&st->root_bytes, v, "root-size", err);
    case O_OPEN_FILES:
        return set_count(&st->open_files, v, "open-files", err);
    case O_FILE_SIZE:
        return set_bytes(&st->file_size_bytes, v, "file-size", err);
    case O_NET:
        st->net = strcmp(v, "internet") == 0 ? NET_INTERNET : NET_NONE;
        return st->net == NET_NONE && strcmp(v, "none") != 0
                   ? err_set(err, EINVAL, "--net %s: it must be none or internet", v)
                   : 0;
    case O_NET_ALLOW:
        return add_net_rule(st, "allow", v, err);
    case O_NET_DENY:
        return add_net_rule(st, "deny", v, err);
    case O_NET_BANDWIDTH:
        return set_bytes(&st->net_bandwidth, v, "net-bandwidth", err);
    case O_NET_CONNECTIONS:
        return set_count(&st->net_connections, v, "net-connections", err);
    case O_NET_NEW:
        return set_count(&st->net_new_connections, v, "net-new-connections", err);
    case O_PORT:
        return set_count(&st->port, v, "port", err);
    case O_HOSTNAME:
        return set_text(st->hostname, sizeof(st->hostname), v, "hostname", err);
    case O_UID_INDEX:
        return set_count(&st->uid_index, v, "uid-index", err);
    default:
        return err_set(err, EINVAL, "unknown option (vitrine-sandbox run --help lists them)");
    }
}

/* A socket that we were started with. */
static int set_listener(int *out, const char *value, struct err *err)
{
    uint32_t fd;
    int on = 0;
    socklen_t len = sizeof(on);
    int r = set_count(&fd, value, "listener", err);
    if (r == 0 &&
        (fd > INT_MAX || getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) < 0 || !on))
        return err_set(err, EINVAL, "--listener %s: no descriptor of a listening socket", value);
    if (r < 0)
        return r;
    *out = (int)fd;
    return fd_set_cloexec((int)fd, true);
}

static const char home_entry[] = "HOME=" SPEC_HOME;
static const char *const default_env[] = {
    "PATH=/usr/local/bin:/usr/bin:/bin", home_entry, "USER=user", "LANG=C.UTF-8", "TMPDIR=/tmp",
};

static int apply_trace_option(struct run_trace *t, int id, const char *v, struct err *err)
{
    if (!t->wanted)
        return err_set(err, EINVAL, "--output, --json and --follow are for vitrine-sandbox trace");
    t->json |= id == O_JSON;
    t->follow |= id == O_FOLLOW;
    if (id != O_OUTPUT)
        return 0;
    if (t->out != stderr)
        return err_set(err, EINVAL, "--output: given twice");
    FILE *f = fopen(v, "we");
    if (!f)
        return err_errno(err, "--output %s", v);
    t->out = f;
    return 0;
}

/* Fills the message: 0, a negative errno, or 1 where help was asked for. */
static int parse(int argc, char **argv, struct proto_start *st, struct run_trace *trace,
                 int *listener, struct err *err)
{
    st->flags = START_JOB;
    st->uid_index = UINT32_MAX;
    st->memory_bytes = 1ull << 30;
    st->pids = 256;
    st->open_files = 4096;
    st->file_size_bytes = 2ull << 30;
    st->tmp_bytes = 256ull << 20;
    st->home_bytes = 512ull << 20;
    st->root_bytes = 256ull << 20;
    st->net_bandwidth = 16u << 20;
    st->net_connections = 256;
    st->net_new_connections = 50;
    snprintf(st->root, sizeof(st->root), "host");
    int r = 0, id;
    for (size_t i = 0; r == 0 && i < sizeof(default_env) / sizeof(*default_env); i++)
        r = add_env(st, default_env[i], err);
    opterr = 0;
    while (r == 0 && (id = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (id == O_HELP)
            return 1;
        if (id == '?')
            return err_set(err, EINVAL, "%s: unknown option, or its value is missing",
                           argv[optind - 1]);
        r = id >= O_OUTPUT     ? apply_trace_option(trace, id, optarg, err)
            : id == O_LISTENER ? set_listener(listener, optarg, err)
                               : apply_option(st, id, optarg, err);
    }
    trace->devices = has_device(st);
    for (int i = optind; r == 0 && i < argc; i++)
        if (proto_list_add(st->argv, &st->argv_len, sizeof(st->argv), argv[i]) < 0)
            r = err_set(err, E2BIG, "the arguments are too long");
    if (r == 0 && optind >= argc)
        r = err_set(err, EINVAL, "which program? (vitrine-sandbox run [options] -- PROGRAM ...)");
    if (r == 0 && !st->cwd[0])
        snprintf(st->cwd, sizeof(st->cwd), "%s", st->app[0] ? SPEC_APP : SPEC_HOME);
    return r;
}

static int complain(const struct err *err, int status)
{
    fprintf(stderr, "vitrine-sandbox: %s\n", err->msg);
    return status;
}

/* A program that met a limit should not have to guess which: "out of memory: 512 MiB". */
static void limits_met(struct launch_env *env, const struct launch *l, const struct proto_start *st,
                       uint32_t met, char *out, size_t len)
{
    struct cgroup_stat stat = {0};
    struct space_limits limits = {{
        [LIMIT_MEMORY] = st->memory_bytes,
        [LIMIT_CPU] = st->cpu_milli,
        [LIMIT_PIDS] = st->pids,
        [LIMIT_FILE_SIZE] = st->file_size_bytes,
        [LIMIT_TMP_SIZE] = st->tmp_bytes,
        [LIMIT_TMP_INODES] = st->tmp_inodes ? st->tmp_inodes : fs_inodes_for(st->tmp_bytes),
        [LIMIT_HOME_SIZE] = st->home_bytes,
        [LIMIT_HOME_INODES] = st->home_inodes ? st->home_inodes : fs_inodes_for(st->home_bytes),
    }};
    if (env->has_groups)
        cgroup_stat_refusals(&env->groups, &l->group, &stat);
    met |= limits_met_of_group(stat.oom_kills, stat.pids_refused, stat.cpu_periods,
                               stat.cpu_throttled);
    limits_met_text(met, &limits, out, len);
}

static void report(struct run_trace *t, const char *limits, int status)
{
    if (!t->wanted) {
        if (limits[0])
            fprintf(stderr, "vitrine-sandbox: %s\n", limits);
        return;
    }
    trace_wait(t->tracer);
    if (t->json)
        trace_print_json(t->out, t->trace, limits, status);
    else
        trace_print(t->out, t->trace, limits);
    fflush(t->out);
}

static int follow(void *arg, pid_t pid, struct err *err)
{
    struct run_trace *t = arg;
    t->trace = trace_new(t->follow, t->devices ? &filter_user_gpu : &filter_user);
    return t->trace ? trace_start(t->trace, pid, fileno(t->out), &t->tracer, err)
                    : err_errno(err, "memory for the trace");
}

static int launch(struct launch_env *env, struct launch *l, const struct proto_start *st,
                  const int fds[SPEC_FD_COUNT], struct run_trace *t, struct cpu_classes *classes,
                  struct err *err)
{
    if (t->wanted) {
        env->on_born = follow;
        env->on_born_arg = t;
    }
    int r = launch_open(env, st->root, l, err);
    if (r == 0 && env->has_groups)
        cpu_classes_begin(classes, &env->groups, l->pid, st->cpu_milli);
    if (r < 0 || (r = launch_go(env, l, st, fds, err)) < 0)
        launch_abandon(env, l);
    return r;
}

static int run_sandbox(struct launch_env *env, const struct proto_start *st,
                       struct run_trace *trace, int listener, struct steps *steps)
{
    struct err err = {0};
    struct launch l;
    struct run_wait w;
    int control[2];
    if (proto_pair(control, &err) < 0 ||
        run_wait_open(&w, control[0], env->range.first + 1 + st->uid_index, &err) < 0) {
        launch_env_close(env);
        return complain(&err, EXIT_NO_SANDBOX);
    }
    int fds[SPEC_FD_COUNT] = {listener, -1, -1, -1, w.stdio[0], w.stdio[1], w.stdio[2], control[1]};
    int r = launch(env, &l, st, fds, trace, &w.classes, &err);
    close(control[1]);
    run_wait_handed_over(&w);
    if (r < 0) {
        launch_env_close(env);
        return complain(&err, EXIT_NO_SANDBOX);
    }
    int status = run_wait(&w, &l, env->has_groups ? &env->groups : NULL, &err);
    if (status < 0) {
        launch_abandon(env, &l);
        launch_env_close(env);
        return complain(&err, EXIT_NO_SANDBOX);
    }
    steps_mark(steps, "sandbox");
    char limits[600];
    limits_met(env, &l, st, w.met, limits, sizeof(limits));
    report(trace, limits, status);
    fflush(NULL);
    steps_mark(steps, "told");
    bool left = run_wait_leave(env, &l);
    steps_mark(steps, "left");
    steps_print(steps, "run");
    if (left)
        _exit(status);
    return status;
}

int run_main(int argc, char **argv)
{
    static struct proto_start st; /* large */
    struct err err = {0};
    struct steps steps = {0};
    int listener = -1;
    steps_mark(&steps, "begin");
    struct run_trace trace = {.wanted = strcmp(argv[0], "trace") == 0, .out = stderr};
    int r = parse(argc, argv, &st, &trace, &listener, &err);
    if (r == 1) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (r < 0)
        return complain(&err, EXIT_USAGE);
    signal(SIGPIPE, SIG_IGN);
    if (userns_enter_outer(&err) < 0)
        return complain(&err, EXIT_NO_SANDBOX);
    steps_mark(&steps, "outer namespace");
    struct launch_env env;
    if (launch_env_open(&env, NULL, 0, st.io_weight != 0, &err) < 0)
        return complain(&err, EXIT_NO_SANDBOX);
    steps_mark(&steps, "namespace and hierarchies");
    if (st.uid_index == UINT32_MAX)
        st.uid_index = env.range.count - 2;
    return run_sandbox(&env, &st, &trace, listener, &steps);
}
