/* See service.h: the steps, in their order. */
#include "service.h"

#include "common/cleanup.h"
#include "common/userns.h"
#include "common/util.h"
#include "sandbox/creds.h"
#include "sandbox/filesystems.h"
#include "sandbox/filter.h"
#include "sandbox/landlock_none.h"
#include "sandbox/service_places.h"
#include "sandbox/sys.h"
#include "sandbox/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define INSIDE_ID 1000
#define OOM_SCORE "-500" /* a demo goes first; only root of the machine may say so */
#define ROOT_INODES 256  /* for the folders above its places */

/* The sanitizers' runtime reads /proc, and its search for leaks at the end is a thread that traces
 * the program. Such a build has a /proc in its root and a wider filter (filter/services.h). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct service_state {
    const struct service_plan *plan;
    uid_t uid; /* as this process saw it before it had a user namespace of its own */
    gid_t gid;
    bool own_uid; /* of the range; else its files are its own already */
    int proc;     /* -1 where it is not wanted in the new root */
    struct service_places places;
};

static int step_limits(struct service_state *s, struct err *err)
{
    static const struct {
        int which;
        rlim_t most;
    } limits[] = {
        {RLIMIT_CORE, 1}, /* not 0: a piped core_pattern would run its program even then */
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_RTPRIO, 0},
    };
    (void)s;
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        struct rlimit lim = {limits[i].most, limits[i].most};
        if (setrlimit(limits[i].which, &lim) < 0)
            return err_errno(err, "set resource limit %d", limits[i].which);
    }
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)write_all(fd, OOM_SCORE, strlen(OOM_SCORE));
    return 0;
}

static int find_identity(struct service_state *s, struct err *err)
{
    struct userns_range range;
    s->uid = geteuid();
    s->gid = getegid();
    s->own_uid = userns_is_ready();
    if (!s->own_uid)
        return 0;
    int r = userns_range(s->plan->uid_first, &range, err);
    if (r == 0)
        s->uid = s->gid = range.first + userns_service_index(&range, s->plan->kind);
    return r;
}

/* While it still has the rights to reach them. A mount can be copied only out of a mount namespace
 * that is ours: an ordinary user's is the host's. */
static int step_places(struct service_state *s, struct err *err)
{
    int r = find_identity(s, err);
    if (r < 0 || !s->own_uid || (!s->plan->files[0] && !s->plan->folders[0]))
        return r;
    if (unshare(CLONE_NEWNS) < 0)
        return err_errno(err, "make a mount namespace");
    return service_places_take(&s->places, s->plan, s->gid, err);
}

/* Its own uid, with the capabilities that the next steps need. */
static int step_identity(struct service_state *s, struct err *err)
{
    if (!s->own_uid)
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return err_errno(err, "keep capabilities for a moment");
    if (setgroups(0, NULL) < 0)
        return err_errno(err, "empty the group list");
    if (setresgid(s->gid, s->gid, s->gid) < 0)
        return err_errno(err, "become group %u", s->gid);
    if (setresuid(s->uid, s->uid, s->uid) < 0)
        return err_errno(err, "become user %u", s->uid);
    return creds_raise_permitted(err);
}

static int write_self(const char *name, const char *text, struct err *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/%s", name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open %s", path);
    int r = write_all(fd, text, strlen(text));
    return r < 0 ? err_set(err, -r, "write %s: %s", path, strerror(-r)) : 0;
}

/* The groups are empty by now, or nobody's to set: "deny" keeps nothing back. */
static int step_namespaces(struct service_state *s, struct err *err)
{
    int network = s->plan->kind == SERVICE_EGRESS ? 0 : CLONE_NEWNET;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | network | CLONE_NEWIPC | CLONE_NEWUTS |
                CLONE_NEWCGROUP) < 0)
        return err_errno(err, "make namespaces");
    /* another uid made it undumpable, and /proc/self another's */
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return err_errno(err, "keep /proc/self");
    char uids[64], gids[64];
    snprintf(uids, sizeof(uids), "%d %u 1\n", INSIDE_ID, s->uid);
    snprintf(gids, sizeof(gids), "%d %u 1\n", INSIDE_ID, s->gid);
    int r = write_self("uid_map", uids, err);
    if (r == 0)
        r = write_self("setgroups", "deny", err);
    if (r == 0)
        r = write_self("gid_map", gids, err);
    return r < 0 || s->own_uid ? r : service_places_take(&s->places, s->plan, (gid_t)-1, err);
}

static int step_root(struct service_state *s, struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, "make every mount private");
    if (SANITIZED && (s->proc = open_tree(AT_FDCWD, "/proc",
                                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)) < 0)
        return err_errno(err, "copy the mount of /proc");
    _cleanup_close_ int root = fs_tmpfs(65536, ROOT_INODES, "0555", err);
    if (root < 0)
        return root;
    if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, "mount the new root");
    if (s->proc >= 0 && (mkdirat(root, "proc", 0555) < 0 ||
                         move_mount(s->proc, "", root, "proc", MOVE_MOUNT_F_EMPTY_PATH) < 0))
        return err_errno(err, "mount /proc");
    close_fd(&s->proc);
    int r = service_places_attach(&s->places, s->plan, root, err);
    if (r < 0)
        return r;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    if (mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, "close the root for writing");
    if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return err_errno(err, "enter the new root");
    return sethostname("service", 7) < 0 ? err_errno(err, "set the host name") : 0;
}

static int step_rights(struct service_state *s, struct err *err)
{
    (void)s;
    int r = creds_drop_bounds(err);
    if (r == 0)
        r = creds_give_up(err);
    if (r < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_errno(err, "become undumpable");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(err, "set no_new_privs");
    return 0;
}

/* The gateway's connections to demos are TCP, so it may connect; who listens does it on what it is
 * given. */
static int step_landlock(struct service_state *s, struct err *err)
{
    return SANITIZED ? 0 : landlock_nothing_but(s->plan->files, s->plan->folders, err);
}

/* What has been given up so far they have not; making one more is no call that a filter allows. */
static int step_threads(struct service_state *s, struct err *err)
{
    return s->plan->threads ? s->plan->threads(s->plan->threads_arg, err) : 0;
}

static int step_filter(struct service_state *s, struct err *err)
{
    static const struct filter_program *const filters[] = {
        [SERVICE_GATEWAY] = SANITIZED ? &filter_gateway_sanitized : &filter_gateway,
        [SERVICE_WEBUI] = SANITIZED ? &filter_webui_sanitized : &filter_webui,
        [SERVICE_EGRESS] = SANITIZED ? &filter_egress_sanitized : &filter_egress,
    };
    return filter_load(filters[s->plan->kind], err);
}

static const struct {
    const char *name;
    int (*run)(struct service_state *s, struct err *err);
} steps[] = {
    {"limits", step_limits},         {"places", step_places},   {"identity", step_identity},
    {"namespaces", step_namespaces}, {"root", step_root},       {"rights", step_rights},
    {"landlock", step_landlock},     {"threads", step_threads}, {"filter", step_filter},
};

int service_confine(const struct service_plan *plan, struct err *err)
{
    tzset(); /* libc would open /etc/localtime at the first date that it writes */
    struct service_state s = {.plan = plan, .proc = -1, .places = SERVICE_PLACES_INIT};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        int r = steps[i].run(&s, err);
        if (r < 0) {
            close_fd(&s.proc);
            service_places_close(&s.places);
            return err_prefix(err, -r, "%s", steps[i].name);
        }
    }
    return 0;
}

int service_lower(const struct service_plan *plan, struct err *err)
{
    struct service_state s = {.plan = plan, .proc = -1, .places = SERVICE_PLACES_INIT};
    int r = step_limits(&s, err);
    if (r == 0)
        r = find_identity(&s, err);
    if (r == 0)
        r = step_identity(&s, err);
    return r == 0 ? step_rights(&s, err) : r;
}

int service_try(const struct service_plan *plan, struct err *err)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        struct err why = {0};
        int r = service_confine(plan, &why);
        (void)!write(p[1], why.msg, strlen(why.msg));
        _exit(r < 0);
    }
    close(p[1]);
    char said[sizeof(err->msg)] = "";
    ssize_t n = pid < 0 ? 0 : read_all(p[0], said, sizeof(said) - 1);
    close(p[0]);
    said[n > 0 ? n : 0] = '\0';
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return err_errno(err, "try it in a process");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(err, EIO, "%s", said[0] ? said : "its process was killed");
}
