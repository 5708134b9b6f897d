/* What runs in the sandbox of a build's step, and what it sees there. */
#include "runner/build_job.h"

#include "common/conf.h"
#include "runner/build_env.h"
#include "runner/build_index.h"
#include "runner/build_models.h"
#include "runner/egress.h"
#include "runner/environment.h"
#include "runner/layer.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOB_PROGRAM "/run/vitrine/vitrine-job"
#define ENV_DIR "/run/vitrine/env"
#define DEBS_DIR "/run/vitrine/debs"
#define APP "/home/user/app"

const char *build_job_folder(const struct build_job *j)
{
    return j->phase == PHASE_DEBS      ? "debs"
           : j->phase == PHASE_MODELS  ? "models"
           : j->phase == PHASE_RESOLVE ? "resolve"
                                       : lock_kind_name(j->kind);
}

/* Where apt of the root finds its sources and keys, and what the root has. */
static void add_apt(const struct build *b, struct start_list *mounts)
{
    const char *root = conf_of(b->r)->sandbox_root;
    static const char *const places[][2] = {{"/etc/apt", "apt"},
                                            {"/var/lib/dpkg/status", "dpkg-status"}};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s%s", strcmp(root, "host") == 0 ? "" : root, places[i][0]);
        if (access(path, F_OK) == 0)
            start_list_add(mounts, "ro:%s:/run/vitrine/%s", path, places[i][1]);
    }
}

static void add_command(const struct build_job *j, struct start_list *argv)
{
    const struct build *b = j->b;
    static const char *const verbs[] = {[PHASE_PLAN] = "plan",
                                        [PHASE_DEBS] = "debs",
                                        [PHASE_RESOLVE] = "resolve",
                                        [PHASE_INSTALL] = "install"};
    bool plans = j->phase == PHASE_PLAN;
    start_list_add(argv, JOB_PROGRAM);
    start_list_add(argv, "%s", verbs[j->phase]);
    if (!plans && build_index_has_way_out(b->r)) {
        start_list_add(argv, "--proxy-port");
        start_list_add(argv, "%d", EGRESS_PORT);
    }
    if (j->phase == PHASE_DEBS)
        return;
    start_list_add(argv, "--python");
    start_list_add(argv, "%s", plans ? conf_of(b->r)->sandbox_python : b->python);
    start_list_add(argv, "--sdk");
    start_list_add(argv, "%s", b->version.sdk);
    if (plans) {
        start_list_add(argv, "--python-version");
        start_list_add(argv, "%s", b->python_version);
    }
    if (b->command[0]) {
        start_list_add(argv, "--build");
        start_list_add(argv, "%s", b->command);
    }
    if (j->phase == PHASE_INSTALL) {
        start_list_add(argv, "--kind");
        start_list_add(argv, "%s", lock_kind_name(j->kind));
    }
    for (unsigned i = 0; !plans && i < b->added; i++) {
        start_list_add(argv, "--add");
        start_list_add(argv, "%s", b->add[i]);
    }
}

static int fill_lists(const struct build_job *j, struct proto_start *start)
{
    struct build *b = j->b;
    struct start_list argv = START_LIST(start, argv);
    struct start_list env = START_LIST(start, env);
    struct start_list mounts = START_LIST(start, mounts);
    bool plans = j->phase == PHASE_PLAN, debs = j->phase == PHASE_DEBS;
    bool layered = b->layer[0] && !debs && !(j->phase == PHASE_INSTALL && j->kind == LOCK_SHARED);
    if (j->phase == PHASE_MODELS)
        return build_models_fill(b, start);
    add_command(j, &argv);
    start_list_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin%s", layered ? ":/usr/games" : "");
    start_list_add(&env, "LANG=C.UTF-8");
    start_list_add(&env, "HOME=/home/user");
    start_list_add(&env, "TMPDIR=/tmp");
    start_list_add(&mounts, "ro:%s/vitrine-job:" JOB_PROGRAM, b->r->programs);
    if (!plans) {
        char path[PATH_MAX];
        env_fresh_path(b, build_job_folder(j), path, sizeof(path));
        start_list_add(&mounts, "rw:%s:%s", path, debs ? DEBS_DIR : ENV_DIR);
    }
    if (debs)
        add_apt(b, &mounts);
    char uv[PATH_MAX];
    build_index_uv(b->r, uv);
    if (uv[0])
        start_list_add(&mounts, "ro:%s:/run/vitrine/uv", uv);
    int n = argv.failed < 0 ? argv.failed : env.failed < 0 ? env.failed : mounts.failed;
    if (n == 0 && layered)
        n = layer_fill(start, b->r, b->layer);
    if (n == 0 && !plans)
        n = build_index_fill(start, b->r);
    /* What all owners share is made of the lock alone, and Debian's packages of names. */
    bool sees = !plans && !debs && !(j->phase == PHASE_INSTALL && j->kind == LOCK_SHARED);
    return n == 0 && sees ? environment_add_variables(start, b->r, b->space->id, NULL) : n;
}

static void limit(const struct build_job *j, struct worker *w, struct proto_start *start)
{
    const struct build *b = j->b;
    const struct conf *c = conf_of(b->r);
    if (j->phase != PHASE_PLAN) {
        w->limits.v[LIMIT_MEMORY] = c->build_memory;
        w->limits.v[LIMIT_CPU] = c->build_cpu;
        w->limits.v[LIMIT_PIDS] = c->build_pids;
        w->limits.v[LIMIT_FILE_SIZE] =
            j->phase == PHASE_MODELS ? c->build_preload_size : c->build_size;
    }
    recipe_limits(start, b->r, &w->limits);
    start->uid_index = b->space->uid_index;
    snprintf(start->hostname, sizeof(start->hostname), "build");
}

int build_recipe(const struct build_job *j, struct worker *w, struct proto_start *start,
                 struct err *err)
{
    const struct build *b = j->b;
    memset(start, 0, sizeof(*start));
    limit(j, w, start);
    /* What is shared by all owners is made without a look at one owner's tree. */
    bool sees_tree =
        j->phase != PHASE_MODELS && (j->phase != PHASE_INSTALL || j->kind != LOCK_SHARED);
    snprintf(start->cwd, sizeof(start->cwd), "%s", sees_tree ? APP : "/tmp");
    if (sees_tree && snprintf(start->app, sizeof(start->app), "%s/versions/%" PRIu64 "/%s",
                              b->r->data, b->space->id, b->version.sha) >= (int)sizeof(start->app))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long: %s",
                       b->r->data);
    int n = fill_lists(j, start);
    return n < 0 ? err_set(err, -n, "the command line of a build is too long") : 0;
}
