#include "checks.h"

#include "common/cleanup.h"
#include "common/err.h"
#include "common/listen.h"
#include "common/quota.h"
#include "common/util.h"
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPACE_WANTED_BYTES (2ULL << 30)
#define INODES_WANTED 10000

void checks_free(struct checks *k)
{
    free(k->list);
    *k = (struct checks){0};
}

void checks_add(struct checks *k, enum check_state state, bool needed, const char *name,
                const char *remedy, const char *fmt, ...)
{
    struct check *grown = reallocarray(k->list, k->count + 1, sizeof(*grown));
    if (!grown)
        return;
    k->list = grown;
    struct check *c = &grown[k->count++];
    *c = (struct check){.state = state, .needed = needed};
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(c->remedy, sizeof(c->remedy), "%s", remedy);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
    va_end(ap);
}

bool checks_can_run(const struct checks *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].needed && k->list[i].state == CHECK_MISSING)
            return false;
    return true;
}

void checks_programs(struct checks *k)
{
    static const char *const programs[] = {"vitrine-runner", "vitrine-gateway", "vitrine-webui",
                                           "vitrine-egress", "vitrine-sandbox", "vitrine-job",
                                           "vitrine-static", "vitrine-preload"};
    struct err err = {0};
    char dir[3072], missing[200] = "";
    if (exe_dir(dir, sizeof(dir), &err) < 0) {
        checks_add(k, CHECK_MISSING, true, "programs", "", "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
        if (access(path, X_OK) < 0)
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s",
                     programs[i]);
    }
    if (*missing)
        checks_add(k, CHECK_MISSING, true, "programs", "build or install the whole of Vitrine",
                   "not in %.200s:%s", dir, missing);
    else
        checks_add(k, CHECK_OK, true, "programs", "", "all in %.300s", dir);
}

/* The nearest folder above that is there. */
static void existing_parent(char *path)
{
    struct stat st;
    while (stat(path, &st) < 0 && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        if (!slash)
            snprintf(path, 2, ".");
        else
            slash[slash == path] = 0;
    }
}

/* As runner/build_index.c and job/installer.c look for them. */
void checks_installer(struct checks *k, const char *uv)
{
    static const char *const pips[] = {"/usr/lib/python3/dist-packages/pip/__pip-runner__.py",
                                       "/usr/share/python-wheels/pip-*.whl"};
    const char *path = getenv("PATH");
    char found[PATH_MAX] = "", dirs[8192];
    glob_t g;
    if (strcmp(uv, "auto") != 0 && strcmp(uv, "none") != 0) {
        bool is = access(uv, X_OK) == 0;
        checks_add(k, is ? CHECK_OK : CHECK_MISSING, false, "builds", is ? "" : "correct build.uv",
                   is ? "uv: %s" : "uv is not at %s", uv);
        return;
    }
    snprintf(dirs, sizeof(dirs), "%s", path ? path : "");
    for (char *save = NULL, *dir = strtok_r(dirs, ":", &save);
         dir && !found[0] && strcmp(uv, "auto") == 0; dir = strtok_r(NULL, ":", &save)) {
        snprintf(found, sizeof(found), "%.4000s/uv", dir);
        if (access(found, X_OK) < 0)
            found[0] = 0;
    }
    for (size_t i = 0; !found[0] && i < sizeof(pips) / sizeof(*pips); i++) {
        if (glob(pips[i], 0, NULL, &g) != 0)
            continue;
        snprintf(found, sizeof(found), "pip");
        globfree(&g);
    }
    if (found[0])
        checks_add(k, CHECK_OK, false, "builds", "", "requirements of Spaces are installed by %s",
                   found);
    else
        checks_add(k, CHECK_MISSING, false, "builds", "apt-get install python3-pip, or install uv",
                   "there is neither uv nor pip: requirements of Spaces cannot be installed");
}

void checks_data(struct checks *k, const char *data)
{
    char path[4096], free_text[32];
    struct statvfs vfs;
    snprintf(path, sizeof(path), "%s", data);
    existing_parent(path);
    bool there = !strcmp(path, data);
    if (access(path, W_OK | X_OK) < 0) {
        checks_add(k, CHECK_MISSING, true, "data folder",
                   "choose a folder that this user may write in with --data DIR",
                   "cannot write in %.300s: %s", path, strerror(errno));
        return;
    }
    checks_add(k, CHECK_OK, true, "data folder", "", "%.300s %s", data,
               there ? "is writable" : "can be made");
    if (statvfs(path, &vfs) < 0)
        return;
    unsigned long long left = (unsigned long long)vfs.f_bavail * vfs.f_frsize;
    format_bytes(left, free_text);
    bool few_inodes = vfs.f_files > 0 && vfs.f_favail < INODES_WANTED;
    checks_add(k, left < SPACE_WANTED_BYTES || few_inodes ? CHECK_WEAK : CHECK_OK, false, "disk",
               few_inodes ? "few inodes are left: remove small files, or put the data elsewhere"
                          : "free some space, or put the data elsewhere with --data DIR",
               "%s free for the data folder", free_text);
}

void checks_quota(struct checks *k, const char *data)
{
    char path[4096];
    struct err err = {0};
    snprintf(path, sizeof(path), "%s/volumes", data);
    existing_parent(path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? err_errno(&err, "cannot open %.200s", path) : quota_probe(fd, &err);
    if (r == 0)
        checks_add(k, CHECK_OK, false, "data quota", "",
                   "project quota: the kernel holds each Space to its data_size");
    else
        checks_add(k, CHECK_WEAK, false, "data quota",
                   r == -EPERM ? "run as root"
                               : "as root, DATA/volumes on an ext4 or xfs that is mounted with "
                                 "prjquota (vitrine.ini(5), data_size)",
                   "soft: a Space over its data_size is found when it is measured, and stopped; %s",
                   err.msg);
}

static int check_one(void *arg, const struct listen_entry *e, struct err *err)
{
    struct checks *k = arg;
    struct err why = {0};
    char actual[300];
    const char *name = e->kind == LISTEN_TCP ? "port" : "socket";
    if (e->kind == LISTEN_FD) {
        checks_add(k, CHECK_OK, false, name, "", "%.200s is for systemd to hand over", e->where);
        return 0;
    }
    _cleanup_close_ int fd = e->kind == LISTEN_UNIX
                                 ? listener_path(e->where, e->mode, e->user, e->group, &why)
                                 : listener_tcp(e->where, 0, actual, sizeof(actual), &why);
    if (fd >= 0 && e->kind == LISTEN_UNIX && unlink(e->where) < 0)
        return err_errno(err, "cannot remove %s", e->where);
    if (fd >= 0)
        checks_add(k, CHECK_OK, false, name, "", "%.200s is free", e->where);
    else
        checks_add(k, CHECK_WEAK, false, name, "", "%.350s", why.msg);
    return 0;
}

void checks_listen(struct checks *k, const struct conf *conf)
{
    struct err err = {0};
    struct listen_entry first = {.kind = LISTEN_TCP};
    snprintf(first.where, sizeof(first.where), "%s", conf->server_listen);
    int r = check_one(k, &first, &err);
    if (r == 0)
        r = listen_each(conf->server_also_listen, "server.also_listen", check_one, k, &err);
    if (r == 0)
        r = listen_each(conf->tls_listen, "tls.listen", check_one, k, &err);
    if (r < 0)
        checks_add(k, CHECK_WEAK, false, "port", "", "%.350s", err.msg);
}

void checks_names(struct checks *k, const char *domain)
{
    char name[300];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai = NULL;
    snprintf(name, sizeof(name), "vitrine-check.%s", domain);
    int gai = getaddrinfo(name, "80", &hints, &ai);
    if (gai == 0) {
        freeaddrinfo(ai);
        checks_add(k, CHECK_OK, false, "names", "", "*.%.200s is resolved", domain);
        return;
    }
    bool localhost = !strcmp(domain, "localhost");
    checks_add(k, CHECK_WEAK, false, "names",
               localhost ? "apt-get install libnss-myhostname; browsers and curl do without"
                         : "add a wildcard record for it to the DNS",
               "the system's resolver does not know *.%.200s: %s", domain, gai_strerror(gai));
}
