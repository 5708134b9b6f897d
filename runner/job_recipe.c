#include "runner/job_recipe.h"

#include "common/conf.h"
#include "common/util.h"
#include "runner/recipe.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/start_list.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOB_PROGRAM "/run/vitrine/vitrine-job"
#define JOB_TREE "/job/tree"
#define JOB_REPO "/job/repo"
#define JOB_BEFORE "/job/before"
#define JOB_DATA_FOLDER "/job/data"

static const struct job_kind kinds[] = {
    [JOB_UNPACK] = {"unpack", "unpacking", "unpacking", true, false, false, false, false, false},
    [JOB_COMMIT] = {"commit", "the commit", "a commit", true, false, false, false, false, false},
    [JOB_VERSION] = {"version", "the checkout", "checking out", true, false, false, false, false,
                     false},
    [JOB_RECEIVE] = {"receive", "the push", "a git push", true, true, false, false, false, false},
    [JOB_SERVE] = {"serve", "the transfer", NULL, false, true, true, false, false, false},
    [JOB_READ] = {"read", "the question", NULL, false, true, false, false, false, false},
    [JOB_REF] = {"ref", "the change", NULL, true, false, false, false, false, false},
    [JOB_LFS] = {"lfs", "the upload", NULL, true, false, false, false, false, false},
    [JOB_DATA] = {"data", "the transfer", NULL, false, true, true, true, false, false},
    [JOB_PACK] = {"pack", "packing the repository", NULL, true, false, false, false, true, false},
    [JOB_CARD] = {"card", "the question", NULL, false, false, false, false, false, true},
    [JOB_DATA_DELETE] = {"data-delete", "the deletion", NULL, false, false, false, true, false,
                         false},
};

const struct job_kind *job_kind(uint32_t kind)
{
    return kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind].command ? &kinds[kind] : NULL;
}

struct places {
    char tree[PATH_MAX], repo[PATH_MAX];
    char before[PATH_MAX]; /* "" none */
};

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
           faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A repository without a first commit has to be written, whatever the job is. */
static bool is_fresh(const char *repo)
{
    return !is_there(repo, "HEAD") || !is_there(repo, "refs/heads/main");
}

static int path_of(const struct job *j, const char *folder, const char *suffix, char *out)
{
    return snprintf(out, PATH_MAX, "%s/%s/%" PRIu64 "%s", j->r->data, folder, j->space->id,
                    suffix) < PATH_MAX
               ? 0
               : -ENAMETOOLONG;
}

/* An argument of the job's command, or NULL. */
static const char *arg_of(const struct job *j, const char *key)
{
    size_t len = strlen(key);
    for (uint32_t at = 0; at < j->args_len; at += (uint32_t)strlen(j->args + at) + 1)
        if (strncmp(j->args + at, key, len) == 0 && j->args[at + len] == '=')
            return j->args + at + len + 1;
    return NULL;
}

/* The tree of a version from before the Space had a repository: its current one, which becomes the
 * first commit, or one that is gone back to. */
static void find_before(struct job *j, struct places *p, bool fresh)
{
    const char *sha = arg_of(j, "before");
    struct site_space site;
    struct version v = {0};
    if (!sha && fresh && site_space(j->r, j->space->id, &site, NULL) == 1 && site.version_id &&
        site_version(j->r, j->space->id, site.version_id, &v, NULL) == 1)
        sha = v.sha;
    char versions[PATH_MAX];
    if (!sha || strlen(sha) != 64 || strspn(sha, "0123456789abcdef") != 64 ||
        path_of(j, "versions", "", versions) < 0 || !is_there(versions, sha) ||
        snprintf(p->before, sizeof(p->before), "%s/%s", versions, sha) >= (int)sizeof(p->before))
        p->before[0] = 0;
}

static int fill_lists(const struct job *j, const struct places *p, struct proto_start *start)
{
    const struct conf *c = conf_of(j->r);
    struct start_list argv = START_LIST(start, argv);
    struct start_list env = START_LIST(start, env);
    struct start_list mounts = START_LIST(start, mounts);
    start_list_add(&argv, JOB_PROGRAM);
    start_list_add(&argv, "%s", j->kind->command);
    start_list_add(&argv, "--name");
    start_list_add(&argv, "%s", j->name);
    start_list_add(&argv, "--max-unpacked");
    start_list_add(&argv, "%" PRIu64, c->upload_max_unpacked);
    start_list_add(&argv, "--max-files");
    start_list_add(&argv, "%" PRIu64, c->upload_max_files);
    start_list_add(&argv, "--max-file");
    start_list_add(&argv, "%" PRIu64, c->upload_max_file);
    start_list_add(&argv, "--max-repo");
    start_list_add(&argv, "%" PRIu64, c->upload_max_repository);
    if (!j->kind->bare) {
        start_list_add(&argv, "--repo");
        start_list_add(&argv, JOB_REPO);
    }
    if (p->before[0]) {
        start_list_add(&argv, "--before");
        start_list_add(&argv, JOB_BEFORE);
    }
    start_list_add(&argv, "%s", j->kind->logged ? JOB_TREE : "-");
    for (uint32_t at = 0; at < j->args_len; at += (uint32_t)strlen(j->args + at) + 1)
        start_list_add(&argv, "%s", j->args + at);
    start_list_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin");
    start_list_add(&env, "LANG=C.UTF-8");
    start_list_add(&env, "HOME=/home/user");
    start_list_add(&env, "TMPDIR=/tmp");
    if (j->kind->logged)
        start_list_add(&mounts, "rw:%s:" JOB_TREE, p->tree);
    if (j->kind->data)
        start_list_add(&mounts, "%s:%s/volumes/%" PRIu64 ":" JOB_DATA_FOLDER,
                       j->kind->streams ? "ro" : "rw", j->r->data, j->space->id);
    else if (!j->kind->bare) /* that one sees nothing but itself and its body */
        start_list_add(&mounts, "%s:%s:" JOB_REPO, j->writes ? "rw" : "ro", p->repo);
    if (p->before[0])
        start_list_add(&mounts, "ro:%s:" JOB_BEFORE, p->before);
    start_list_add(&mounts, "ro:%s/vitrine-job:" JOB_PROGRAM, j->r->programs);
    return argv.failed ? argv.failed : env.failed ? env.failed : mounts.failed;
}

static int fill(const struct job *j, const struct places *p, struct proto_start *start,
                struct err *err)
{
    const struct conf *c = conf_of(j->r);
    memset(start, 0, sizeof(*start));
    struct space_limits limits;
    space_limits_default(&limits, c); /* what a Space has of its own is for its worker */
    recipe_limits(start, j->r, &limits);
    /* of no Space: the uid of sandboxes that are made by hand, which owns nothing */
    start->uid_index = j->space ? j->space->uid_index : j->r->range.count - 2;
    /* the job's own limits, which have the words, are below that */
    start->file_size_bytes = c->upload_max_repository > c->upload_max_unpacked
                                 ? c->upload_max_repository
                                 : c->upload_max_unpacked;
    snprintf(start->hostname, sizeof(start->hostname), "job");
    snprintf(start->cwd, sizeof(start->cwd), "%s",
             j->kind->bare     ? "/tmp"
             : j->kind->data   ? JOB_DATA_FOLDER
             : j->kind->logged ? JOB_TREE
                               : JOB_REPO);
    int n = fill_lists(j, p, start);
    return n < 0 ? err_set(err, -n,
                           "the path of the data folder is too long, or the arguments of "
                           "the job are")
                 : 0;
}

static int make_folder(const struct job *j, const char *path, bool may_be_there, struct err *err)
{
    uid_t uid = j->r->range.first + 1 + j->space->uid_index;
    bool made = mkdir(path, 0700) == 0;
    if ((!made && (errno != EEXIST || !may_be_there)) || (made && lchown(path, uid, uid) < 0))
        return err_errno(err, "cannot make the folder %s", path);
    return 0;
}

static int make_places(struct job *j, struct places *p, struct err *err)
{
    char repos[PATH_MAX];
    int n = space_make_folders(j->space, err);
    if (n < 0 || j->kind->data)
        return n;
    snprintf(repos, sizeof(repos), "%s/repos", j->r->data);
    if (path_of(j, "repos", ".git", p->repo) < 0 ||
        snprintf(p->tree, sizeof(p->tree), "%s/versions/%" PRIu64 "/.new-%" PRIu64, j->r->data,
                 j->space->id, j->id) >= (int)sizeof(p->tree))
        return err_set(err, ENAMETOOLONG, "the path of the data folder is too long");
    n = mkdir_p(repos, 0700, err);
    if (n == 0)
        n = make_folder(j, p->repo, true, err);
    if (n == 0 && j->kind->logged)
        n = make_folder(j, p->tree, false, err);
    return n;
}

int job_recipe(struct job *j, struct proto_start *start, struct err *err)
{
    struct places places = {0};
    int n = j->kind->bare ? 0 : make_places(j, &places, err);
    if (n < 0)
        return n;
    if (!j->kind->bare && !j->kind->data)
        find_before(j, &places, is_fresh(places.repo));
    return fill(j, &places, start, err);
}

bool job_writes(const struct job *j)
{
    char repo[PATH_MAX];
    if (j->kind->data || j->kind->bare)
        return false;
    return j->kind->writes || path_of(j, "repos", ".git", repo) < 0 || is_fresh(repo);
}
