#include "runner/recipe.h"

#include "common/built.h"
#include "common/conf.h"
#include "common/netrule.h"
#include "runner/environment.h"
#include "runner/gpus.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define APP "/home/user/app"
#define STATIC_PROGRAM "/run/vitrine/vitrine-static"

int recipe_check_sdk(const char *sdk, struct err *err)
{
    static const char *const known[] = {"static",    "python",  "gradio",
                                        "streamlit", "command", "node"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(sdk, known[i]) == 0)
            return 0;
    }
    return err_set(
        err, ENOTSUP,
        "sdk %s is not supported by this version; use static, gradio, streamlit, python, "
        "node or command",
        sdk);
}

static int fill_argv(struct proto_start *start, struct runner *r, const struct worker *w)
{
    const struct version *v = &w->version;
    struct start_list l = START_LIST(start, argv);
    const char *python = w->env[0] ? BUILT_PYTHON : conf_of(r)->sandbox_python;
    if (strcmp(v->sdk, "static") == 0) {
        const char *slash =
            strrchr(v->app_file, '/'); /* the folder of its page is what is served */
        start_list_add(&l, STATIC_PROGRAM);
        start_list_add(&l, "--port");
        start_list_add(&l, "%u", v->port);
        if (v->app_file[0]) {
            start_list_add(&l, "--index");
            start_list_add(&l, "%s", slash ? slash + 1 : v->app_file);
        }
        start_list_add(&l, "%s%s%.*s", APP, slash ? "/" : "",
                       slash ? (int)(slash - v->app_file) : 0, v->app_file);
    } else if (strcmp(v->sdk, "streamlit") == 0) {
        start_list_add(&l, "%s", python);
        start_list_add(&l, "-m");
        start_list_add(&l, "streamlit");
        start_list_add(&l, "run");
        start_list_add(&l, "%s", v->app_file);
        start_list_add(&l, "--server.port");
        start_list_add(&l, "%u", v->port);
        start_list_add(&l, "--server.address");
        start_list_add(&l, "127.0.0.1");
        start_list_add(&l, "--server.headless");
        start_list_add(&l, "true");
    } else if (strcmp(v->sdk, "command") == 0) {
        start_list_add(&l, "%s/%s", APP, v->app_file);
    } else if (strcmp(v->sdk, "node") == 0) {
        if (strcmp(v->app_file, "package.json") == 0) {
            start_list_add(&l, "npm");
            start_list_add(&l, "start");
        } else {
            start_list_add(&l, "node");
            start_list_add(&l, "%s", v->app_file);
        }
    } else { /* gradio, python */
        start_list_add(&l, "%s", python);
        start_list_add(&l, "%s", v->app_file);
    }
    return l.failed;
}

void recipe_host(const struct runner *r, const char *label, char *out, size_t size)
{
    const struct conf *c = conf_of(r);
    const char *domain = c->server_demo_domain[0] ? c->server_demo_domain : c->server_domain;
    const char *port = strrchr(c->server_listen, ':');
    const char *url = c->server_public_url;
    if (url[0]) { /* a proxy in front has the port that people write, if it is written at all */
        bool tls = strncmp(url, "https:", 6) == 0;
        const char *authority = strstr(url, "//");
        port = strrchr(authority ? authority : url, ':');
        if (port && (port[1] < '0' || port[1] > '9'))
            port = NULL;
        if (!port)
            port = tls ? ":443" : ":80";
    }
    size_t digits = port ? strspn(port + 1, "0123456789") : 0;
    bool usual =
        port && (strncmp(port, ":80", digits + 1) == 0 || strncmp(port, ":443", digits + 1) == 0);
    snprintf(out, size, "%s.%s%.*s", label, domain, usual || !digits ? 0 : (int)digits + 1,
             port ? port : "");
}

/* "2Gi" or "512Mi", as Hugging Face spells it */
static void spell_memory(uint64_t bytes, char out[32])
{
    uint64_t mib = bytes >> 20;
    if (mib % 1024 == 0)
        snprintf(out, 32, "%" PRIu64 "Gi", mib / 1024);
    else
        snprintf(out, 32, "%" PRIu64 "Mi", mib);
}

static int fill_env(struct proto_start *start, struct runner *r, const struct space *s,
                    const struct worker *w)
{
    const struct version *v = &w->version;
    char host[512], memory[32];
    recipe_host(r, s->label, host, sizeof(host));
    spell_memory(w->limits.v[LIMIT_MEMORY], memory);
    struct start_list l = START_LIST(start, env);
    start_list_add(&l, "PORT=%u", v->port);
    start_list_add(&l, "SPACE_ID=%s", s->full_name);
    start_list_add(&l, "SPACE_HOST=%s", host);
    start_list_add(&l, "SPACE_TITLE=%s", v->title);
    start_list_add(&l, "SPACE_AUTHOR_NAME=%s", s->owner);
    start_list_add(&l, "SPACE_REPO_NAME=%s", s->name);
    start_list_add(&l, "SYSTEM=spaces");
    start_list_add(&l, "CPU_CORES=%" PRIu64, (w->limits.v[LIMIT_CPU] + 999) / 1000);
    start_list_add(&l, "MEMORY=%s", memory);
    start_list_add(&l, "GRADIO_SERVER_NAME=0.0.0.0");
    start_list_add(&l, "GRADIO_SERVER_PORT=%u", v->port);
    if (strcmp(v->sdk, "streamlit") == 0) {
        start_list_add(&l, "STREAMLIT_SERVER_PORT=%u", v->port);
        start_list_add(&l, "STREAMLIT_SERVER_HEADLESS=true");
        start_list_add(&l, "STREAMLIT_BROWSER_GATHER_USAGE_STATS=false");
        start_list_add(
            &l, "STREAMLIT_SERVER_FILE_WATCHER_TYPE=none"); /* nothing in a version changes */
    }
    start_list_add(&l, "HOME=/home/user");
    start_list_add(&l, "LANG=C.UTF-8");
    start_list_add(&l, "PYTHONUNBUFFERED=1");
    start_list_add(&l, "TMPDIR=/tmp");
    return l.failed;
}

static int fill_mounts(struct proto_start *start, struct runner *r, const struct space *s,
                       const struct worker *w)
{
    const struct version *v = &w->version;
    struct start_list l = START_LIST(start, mounts);
    start_list_add(&l, "%s:%s/volumes/%" PRIu64 ":/data", w->data_read_only ? "ro" : "rw", r->data,
                   s->id);
    if (strcmp(v->sdk, "static") == 0)
        start_list_add(&l, "ro:%s/vitrine-static:%s", r->programs, STATIC_PROGRAM);
    return l.failed;
}

void recipe_limits(struct proto_start *start, const struct runner *r, const struct space_limits *l)
{
    start->memory_bytes = l->v[LIMIT_MEMORY];
    start->cpu_milli = l->v[LIMIT_CPU];
    start->pids = (uint32_t)l->v[LIMIT_PIDS];
    start->io_weight = (uint32_t)l->v[LIMIT_IO_WEIGHT];
    start->open_files = (uint32_t)l->v[LIMIT_OPEN_FILES];
    start->file_size_bytes = l->v[LIMIT_FILE_SIZE];
    start->tmp_bytes = l->v[LIMIT_TMP_SIZE];
    start->tmp_inodes = l->v[LIMIT_TMP_INODES];
    start->home_bytes = l->v[LIMIT_HOME_SIZE];
    start->home_inodes = l->v[LIMIT_HOME_INODES];
    start->root_bytes = conf_of(r)->sandbox_root_size;
    snprintf(start->root, sizeof(start->root), "%s", conf_of(r)->sandbox_root);
}

static int add_rule(void *arg, const char *entry, const struct netrule *rule, struct err *err)
{
    (void)err;
    return start_list_add(arg, "%s %s", rule->allow ? "allow" : "deny", entry), 0;
}

/* Jobs never have a way out; a worker has what the operator decided. */
static int fill_network(struct proto_start *start, const struct runner *r,
                        const struct space_limits *limits)
{
    const struct conf *c = conf_of(r);
    if (limits->v[LIMIT_NETWORK] != 1)
        return 0;
    struct start_list l = START_LIST(start, net_rules);
    start->net = NET_INTERNET;
    start->net_bandwidth = c->network_bandwidth;
    start->net_connections = (uint32_t)c->network_connections;
    start->net_new_connections = (uint32_t)c->network_new_connections;
    int n = netrule_list(c->network_deny, "network.deny", false, add_rule, &l, NULL);
    if (n == 0)
        n = netrule_list(c->network_allow, "network.allow", true, add_rule, &l, NULL);
    return n < 0 ? n : l.failed;
}

int recipe_worker(struct proto_start *start, struct runner *r, const struct space *s,
                  const struct worker *w, struct err *err)
{
    const struct version *v = &w->version;
    int n = recipe_check_sdk(v->sdk, err);
    if (n < 0)
        return n;
    memset(start, 0, sizeof(*start));
    start->uid_index = s->uid_index;
    start->port = v->port;
    snprintf(start->hostname, sizeof(start->hostname), "%s", s->label);
    snprintf(start->cwd, sizeof(start->cwd), APP);
    recipe_limits(start, r, &w->limits);
    if (snprintf(start->app, sizeof(start->app), "%s/versions/%" PRIu64 "/%s", r->data, s->id,
                 v->sha) >= (int)sizeof(start->app))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s", r->data);
    const struct built built = {
        .data = r->data, .env = w->env, .layer = w->layer, .models = w->models};
    char app[sizeof(start->app)];
    if (built_app(&built, app, sizeof(app)))
        snprintf(start->app, sizeof(start->app), "%s", app);
    else if (w->env[0] && built_env_has(r->data, w->env, "app"))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s", r->data);
    n = fill_argv(start, r, w);
    if (n == 0)
        n = fill_env(start, r, s, w);
    if (n == 0)
        n = fill_mounts(start, r, s, w);
    if (n == 0)
        n = built_place(&built, start_list_built, start);
    if (n == 0)
        n = gpus_fill(start, w);
    if (n == 0)
        n = fill_network(start, r, &w->limits);
    if (n < 0)
        return err_set(err, -n,
                       "its command line, environment, mounts or network rules are too long");
    /* the file server of a static Space is ours, and needs none of them */
    return strcmp(v->sdk, "static") == 0 ? 0 : environment_add(start, r, s->id, err);
}
