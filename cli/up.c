/* `vitrine up`: the whole system in the foreground.
 *
 *   1. the configuration: defaults, --config's file, the command line; checked before anything is
 *      touched
 *   2. as an ordinary user: into an outer user namespace that maps the user's whole subuid range,
 * so that everything below is root over that range and nothing else (common/userns.h)
 *   3. child subreaper: a sandbox whose starter was killed becomes our child and is reaped
 *   4. the data folder, its lock (one `up` a folder), the token
 *   5. the listening sockets: ours, so that a restarted program refuses nobody; the certificates
 *      of HTTPS (tlskeep.h), which the gateway could not open
 *   6. the programs (supervise.c), and a child that says `ready:` (opening.c)
 *
 * SIGTERM or Ctrl-C: everything ends, workers included, exit 0. SIGKILL: gateway, webui and runner
 * see the end of their socket to us and end too; workers stay, and the next `up` adopts them. */
#include "accesslog.h"
#include "activation.h"
#include "cmd.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/userns.h"
#include "common/util.h"
#include "datadir.h"
#include "listener.h"
#include "opening.h"
#include "publics.h"
#include "sandbox/service.h"
#include "serveropts.h"
#include "supervise.h"
#include "tlskeep.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PORT_WAIT_MS 5000
#define AUTO_THREADS 8

static const char *const programs[] = {"vitrine-runner", "vitrine-gateway", "vitrine-webui",
                                       "vitrine-egress", "vitrine-sandbox", "vitrine-job",
                                       "vitrine-static", "vitrine-preload"};

static int find_programs(char *dir, size_t len, struct err *err)
{
    int r = exe_dir(dir, len, err);
    for (size_t i = 0; r == 0 && i < sizeof(programs) / sizeof(*programs); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
        if (access(path, X_OK) < 0)
            r = err_errno(err,
                          "the program %s is not in %s, where vitrine is; build or install "
                          "the whole of it",
                          programs[i], dir);
    }
    return r;
}

/* Beside the programs in a build folder, or where `make install` puts them. */
static int find_examples(const char *program_dir, char *out, size_t len, struct err *err)
{
    static const char *const places[] = {"examples", "../share/vitrine/examples"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(out, len, "%s/%s", program_dir, places[i]);
        if (access(out, R_OK | X_OK) == 0)
            return 0;
    }
    return err_set(err, ENOENT, "there are no examples beside %s; run `make all`", program_dir);
}

/* Before the runner writes there and webui confines itself: see sandbox/service.h. */
static int prepare_services(const struct conf *conf, struct err *err)
{
    struct service_paths paths;
    struct service_plan plan;
    service_plan_webui(&plan, &paths, conf->server_data);
    plan.uid_first = (uint32_t)conf->sandbox_uid_first;
    int r = service_prepare(&plan, err);
    if (r == 0 || conf->sandbox_require_services)
        return r < 0 ? err_prefix(err, -r, "cannot prepare the sandbox of webui") : 0;
    log_warn(NULL, "up.services", "%s", err->msg);
    return 0;
}

/* How many loops the gateway has, as a number. More than a few are of use only where visitors keep
 * them busy: whoever has that says so. */
static int set_threads(struct conf *conf, struct err *err)
{
    char n[16];
    if (conf_threads(conf->gateway_threads) > 0)
        return 0;
    snprintf(n, sizeof(n), "%u", service_cpus(AUTO_THREADS));
    return conf_set(conf, "gateway.threads", n, "gateway.threads", err);
}

static int run(struct conf *conf, struct activation *activation, bool examples, struct err *err)
{
    char program_dir[3072];
    struct opening opening = {.conf = conf, .examples = examples};
    int r = find_programs(program_dir, sizeof(program_dir), err);
    if (r == 0 && examples)
        r = find_examples(program_dir, opening.examples_dir, sizeof(opening.examples_dir), err);
    if (r == 0)
        r = userns_enter_outer(err);
    if (r < 0)
        return r;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_errno(err, "cannot become a child subreaper");

    struct datadir data = DATADIR_INIT;
    r = datadir_open(&data, conf->server_data, err);
    if (r == 0)
        r = conf_set(conf, "server.data", data.path, "--data", err);
    if (r == 0)
        r = prepare_services(conf, err);
    if (r < 0) {
        datadir_close(&data);
        return r;
    }
    opening.data = &data;
    struct publics publics;
    r = publics_open(&publics, conf, activation, data.after_a_crash ? PORT_WAIT_MS : 0, err);
    if (r < 0) {
        datadir_close(&data);
        return r;
    }
    r = set_threads(conf, err);
    struct tlskeep *tls = NULL;
    _cleanup_close_ int site_fd = listener_unix(data.run_fd, "webui.sock", err);
    struct accesslog access = {.fd = -1};
    if (r == 0)
        r = site_fd < 0 ? site_fd : accesslog_open(&access, conf, err);
    if (r == 0)
        r = tlskeep_open(&tls, conf, err);
    if (r == 0) {
        struct supervise s = {
            .conf = conf,
            .program_dir = program_dir,
            .publics = &publics,
            .tls = tls,
            .site_fd = site_fd,
            .run_fd = data.run_fd,
            .access = &access,
            .opening = opening_run,
            .opening_arg = &opening,
        };
        r = supervise_run(&s, err);
    }
    accesslog_close(&access);
    publics_close(&publics);
    tlskeep_close(tls);
    unlinkat(data.run_fd, "webui.sock", 0);
    datadir_close(&data);
    return r;
}

int cmd_up(int argc, char **argv)
{
    static const struct option longs[] = {
        SERVEROPTS_LONG, {"examples", no_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
    struct err err = {0};
    struct serveropts opts = {0};
    bool examples = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'e')
            examples = true;
        else
            serveropts_take(&opts, o, optarg);
    }
    if (optind < argc)
        return cmd_usage(argv[0], "there is no argument \"%s\"", argv[optind]);
    /* Nothing that whoever started us left open reaches the programs. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);

    struct activation activation;
    int r = activation_take(&activation, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);

    struct conf conf;
    r = serveropts_conf(&opts, &conf, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    log_init("vitrine-up", serveropts_log_format(&conf), serveropts_log_level(&conf),
             STDERR_FILENO);
    r = run(&conf, &activation, examples, &err);
    conf_free(&conf);
    activation_close(&activation);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
