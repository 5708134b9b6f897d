#include "runner/recipe.h"

#include "common/conf.h"
#include "common/netrule.h"
#include "runner/environment.h"
#include "runner/build_env.h"
#include "runner/layer.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define APP "/home/user/app"
#define ENV "/run/vitrine/env"
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

/* Appends one formatted string to a list of the message. The first failure sticks. */
struct list {
    char *bytes;
    uint32_t *len;
    size_t max;
    int failed;
};

static __attribute__((format(printf, 2, 3))) void add(struct list *l, const char *fmt, ...)
{
    char text[PATH_MAX + 512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (l->failed == 0)
        l->failed = n < 0 || (size_t)n >= sizeof(text)
                        ? -EMSGSIZE
                        : proto_list_add(l->bytes, l->len, l->max, text);
}

static int fill_argv(struct proto_start *start, struct runner *r, const struct worker *w)
{
    const struct version *v = &w->version;
    struct list l = {start->argv, &start->argv_len, sizeof(start->argv), 0};
    const char *python = w->env[0] ? ENV "/bin/python" : conf_of(r)->sandbox_python;
    if (strcmp(v->sdk, "static") == 0) {
        const char *slash =
            strrchr(v->app_file, '/'); /* the folder of its page is what is served */
        add(&l, STATIC_PROGRAM);
        add(&l, "--port");
        add(&l, "%u", v->port);
        if (v->app_file[0]) {
            add(&l, "--index");
            add(&l, "%s", slash ? slash + 1 : v->app_file);
        }
        add(&l, "%s%s%.*s", APP, slash ? "/" : "", slash ? (int)(slash - v->app_file) : 0,
            v->app_file);
    } else if (strcmp(v->sdk, "streamlit") == 0) {
        add(&l, "%s", python);
        add(&l, "-m");
        add(&l, "streamlit");
        add(&l, "run");
        add(&l, "%s", v->app_file);
        add(&l, "--server.port");
        add(&l, "%u", v->port);
        add(&l, "--server.address");
        add(&l, "127.0.0.1");
        add(&l, "--server.headless");
        add(&l, "true");
    } else if (strcmp(v->sdk, "command") == 0) {
        add(&l, "%s/%s", APP, v->app_file);
    } else if (strcmp(v->sdk, "node") == 0) {
        if (strcmp(v->app_file, "package.json") == 0) {
            add(&l, "npm");
            add(&l, "start");
        } else {
            add(&l, "node");
            add(&l, "%s", v->app_file);
        }
    } else { /* gradio, python */
        add(&l, "%s", python);
        add(&l, "%s", v->app_file);
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
    struct list l = {start->env, &start->env_len, sizeof(start->env), 0};
    add(&l, "PORT=%u", v->port);
    add(&l, "SPACE_ID=%s", s->full_name);
    add(&l, "SPACE_HOST=%s", host);
    add(&l, "SPACE_TITLE=%s", v->title);
    add(&l, "SPACE_AUTHOR_NAME=%s", s->owner);
    add(&l, "SPACE_REPO_NAME=%s", s->name);
    add(&l, "SYSTEM=spaces");
    add(&l, "CPU_CORES=%" PRIu64, (w->limits.v[LIMIT_CPU] + 999) / 1000);
    add(&l, "MEMORY=%s", memory);
    add(&l, "GRADIO_SERVER_NAME=0.0.0.0");
    add(&l, "GRADIO_SERVER_PORT=%u", v->port);
    if (strcmp(v->sdk, "streamlit") == 0) {
        add(&l, "STREAMLIT_SERVER_PORT=%u", v->port);
        add(&l, "STREAMLIT_SERVER_HEADLESS=true");
        add(&l, "STREAMLIT_BROWSER_GATHER_USAGE_STATS=false");
        add(&l, "STREAMLIT_SERVER_FILE_WATCHER_TYPE=none"); /* nothing in a version changes */
    }
    add(&l, "HOME=/home/user");
    add(&l, "PATH=%s/usr/local/bin:/usr/bin:/bin%s", w->env[0] ? ENV "/bin:" : "",
        w->layer[0] ? ":/usr/games" : "");
    if (w->env[0])
        add(&l, "VIRTUAL_ENV=%s", ENV);
    add(&l, "LANG=C.UTF-8");
    add(&l, "PYTHONUNBUFFERED=1");
    add(&l, "TMPDIR=/tmp");
    return l.failed;
}

static int fill_mounts(struct proto_start *start, struct runner *r, const struct space *s,
                       const struct worker *w)
{
    const struct version *v = &w->version;
    struct list l = {start->mounts, &start->mounts_len, sizeof(start->mounts), 0};
    add(&l, "%s:%s/volumes/%" PRIu64 ":/data", w->data_read_only ? "ro" : "rw", r->data, s->id);
    if (w->env[0] && !env_has(r, w->env, "app")) { /* else it is the application (recipe_worker) */
        char path[PATH_MAX];
        env_path(r, w->env, path, sizeof(path));
        if (env_has(r, w->env, "node_modules"))
            add(&l, "ro:%s/node_modules:" APP "/node_modules", path);
        else
            add(&l, "ro:%s:%s", path, ENV);
    }
    if (strcmp(v->sdk, "static") == 0)
        add(&l, "ro:%s/vitrine-static:%s", r->programs, STATIC_PROGRAM);
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
    return add(arg, "%s %s", rule->allow ? "allow" : "deny", entry), 0;
}

/* Jobs never have a way out; a worker has what the operator decided. */
static int fill_network(struct proto_start *start, const struct runner *r,
                        const struct space_limits *limits)
{
    const struct conf *c = conf_of(r);
    if (limits->v[LIMIT_NETWORK] != 1)
        return 0;
    struct list l = {start->net_rules, &start->net_rules_len, sizeof(start->net_rules), 0};
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
    if (w->env[0] && env_has(r, w->env, "app")) { /* as its build left it */
        char path[PATH_MAX];
        env_path(r, w->env, path, sizeof(path));
        if (snprintf(start->app, sizeof(start->app), "%s/app", path) >= (int)sizeof(start->app))
            return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s",
                           r->data);
    }
    n = fill_argv(start, r, w);
    if (n == 0)
        n = fill_env(start, r, s, w);
    if (n == 0)
        n = fill_mounts(start, r, s, w);
    if (n == 0 && w->layer[0])
        n = layer_fill(start, r, w->layer);
    if (n == 0)
        n = fill_network(start, r, &w->limits);
    if (n < 0)
        return err_set(err, -n,
                       "its command line, environment, mounts or network rules are too long");
    /* the file server of a static Space is ours, and needs none of them */
    return strcmp(v->sdk, "static") == 0 ? 0 : environment_add(start, r, s->id, err);
}
