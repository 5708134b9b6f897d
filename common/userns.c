/* See userns.h. */
#include "userns.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_EXTENTS 8
#define REMEDY_SUBUID                                                                              \
    "add one as root: usermod --add-subuids 600200000-600265535 --add-subgids "                    \
    "600200000-600265535 USER"

struct extent {
    uint32_t inside, outside, count;
};

struct id_map {
    struct extent e[MAX_EXTENTS];
    int n;
};

static int map_read(const char *path, struct id_map *ret, struct err *err)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f)
        return err_errno(err, "open %s", path);
    struct id_map m = {0};
    while (m.n < MAX_EXTENTS &&
           fscanf(f, "%u %u %u", &m.e[m.n].inside, &m.e[m.n].outside, &m.e[m.n].count) == 3)
        m.n++;
    *ret = m;
    return 0;
}

static bool map_is_initial(const struct id_map *m)
{
    return m->n == 1 && m->e[0].inside == 0 && m->e[0].outside == 0 && m->e[0].count == UINT32_MAX;
}

/* Where `first` .. `first + count - 1` lies within one extent: its extent, else NULL. */
static const struct extent *map_find(const struct id_map *m, uint32_t first, uint32_t count)
{
    for (int i = 0; i < m->n; i++)
        if (first >= m->e[i].inside && count <= m->e[i].count &&
            first - m->e[i].inside <= m->e[i].count - count)
            return &m->e[i];
    return NULL;
}

/* The extent of an outer namespace as userns_enter_outer makes it: 0 alone, then 1 and up. */
static const struct extent *map_outer_extent(const struct id_map *m)
{
    bool zero_alone = false;
    const struct extent *range = NULL;
    for (int i = 0; i < m->n; i++) {
        if (m->e[i].inside == 0 && m->e[i].count == 1)
            zero_alone = true;
        else if (m->e[i].inside == 1)
            range = &m->e[i];
    }
    return zero_alone ? range : NULL;
}

bool userns_is_ready(void)
{
    struct id_map m;
    if (geteuid() != 0 || map_read("/proc/self/uid_map", &m, NULL) < 0)
        return false;
    if (map_is_initial(&m) || map_outer_extent(&m))
        return true;
    /* root of somebody else's namespace (a container): good if it maps a usable range */
    struct userns_range r;
    return userns_range(0, &r, NULL) == 0;
}

/* Looks `name` (or the number `uid`, if name is NULL or not listed) up in /etc/subuid or
 * /etc/subgid. The first entry that has at least two ids counts. */
static int subid_find(const char *path, const char *name, uid_t uid, struct extent *ret)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f)
        return -ENOENT;
    char number[16], line[512];
    snprintf(number, sizeof(number), "%u", uid);
    while (fgets(line, sizeof(line), f)) {
        char *save, *who = strtok_r(line, ":", &save), *first = strtok_r(NULL, ":", &save),
                    *count = strtok_r(NULL, ":\n", &save);
        if (!who || !first || !count)
            continue;
        if (!(name && strcmp(who, name) == 0) && strcmp(who, number) != 0)
            continue;
        unsigned long a = strtoul(first, NULL, 10), c = strtoul(count, NULL, 10);
        if (a == 0 || a > UINT32_MAX || c < 2 || c > UINT32_MAX - a)
            continue;
        *ret = (struct extent){.inside = 0, .outside = a, .count = c};
        return 0;
    }
    return -ENOENT;
}

static uint32_t at_most_range(uint32_t count)
{
    return count < USERNS_RANGE ? count : USERNS_RANGE;
}

int userns_range(uid_t conf_first, struct userns_range *ret, struct err *err)
{
    struct id_map m;
    int r = map_read("/proc/self/uid_map", &m, err);
    if (r < 0)
        return r;
    const struct extent *outer = map_outer_extent(&m);
    if (outer) {
        if (outer->count < 2)
            return err_set(err, ENOENT, "the subuid range has %u ids, 65536 are needed; %s",
                           outer->count, REMEDY_SUBUID);
        *ret = (struct userns_range){
            .first = 1, .host_first = outer->outside, .count = at_most_range(outer->count)};
        return 0;
    }
    struct extent sub = {.outside = USERNS_ROOT_DEFAULT_FIRST, .count = USERNS_RANGE};
    if (conf_first)
        sub.outside = conf_first;
    else if (subid_find("/etc/subuid", "vitrine", (uid_t)-1, &sub) < 0)
        (void)subid_find("/etc/subuid", "root", 0, &sub);
    uint32_t count = at_most_range(sub.count);
    const struct extent *e = map_find(&m, sub.outside, count);
    if (!e)
        return err_set(err, ENOENT,
                       "ids %u to %u do not exist in this user namespace; set sandbox.uid_first to "
                       "a range that /proc/self/uid_map has",
                       sub.outside, sub.outside + count - 1);
    *ret = (struct userns_range){
        .first = sub.outside, .host_first = e->outside + (sub.outside - e->inside), .count = count};
    return 0;
}

/* newuidmap and newgidmap are setuid programs of the system: looked for only where it keeps them.
 */
static const char *find_map_program(const char *const candidates[])
{
    for (int i = 0; candidates[i]; i++)
        if (access(candidates[i], X_OK) == 0)
            return candidates[i];
    return NULL;
}

/* Runs `program PID 0 own 1 1 first count`: 0, or its exit status with what it said in `said`. */
struct map_program {
    pid_t pid;
    int said; /* what it writes to standard error */
};

static int map_program_start(struct map_program *m, const char *program, pid_t target, uint32_t own,
                             const struct extent *range)
{
    char a_pid[16], a_own[16], a_first[16], a_count[16];
    snprintf(a_pid, sizeof(a_pid), "%d", target);
    snprintf(a_own, sizeof(a_own), "%u", own);
    snprintf(a_first, sizeof(a_first), "%u", range->outside);
    snprintf(a_count, sizeof(a_count), "%u", range->count);
    char *argv[] = {(char *)program, a_pid, "0", a_own, "1", "1", a_first, a_count, NULL};
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int rd = p[0], wr = p[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        if (dup2(wr, STDERR_FILENO) < 0)
            _exit(126);
        execv(program, argv);
        _exit(127);
    }
    *m = (struct map_program){pid, steal_fd(&rd)};
    return 0;
}

/* Its status; the first line that it wrote is in `said`. */
static int map_program_end(struct map_program *m, char *said, size_t said_len)
{
    size_t len = 0;
    ssize_t n;
    while (len < said_len - 1 &&
           ((n = read(m->said, said + len, said_len - 1 - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    said[len] = '\0';
    said[strcspn(said, "\n")] = '\0';
    close_fd(&m->said);
    int st;
    while (waitpid(m->pid, &st, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

struct outer_plan {
    uid_t uid;
    gid_t gid;
    struct extent uids, gids;
    const char *newuidmap, *newgidmap;
};

struct helper_answer {
    int code; /* 0, or a positive errno */
    char msg[256];
};

/* The helper stays outside of the new namespace, where newuidmap's rights count. */
static struct helper_answer helper_map(pid_t target, const struct outer_plan *plan)
{
    struct helper_answer a = {0};
    char said[160] = "", said_too[160] = "";
    /* both at the same time: starting one takes longest */
    struct map_program uids = {.said = -1}, gids = {.said = -1};
    int r = map_program_start(&uids, plan->newuidmap, target, plan->uid, &plan->uids), r_gids = r;
    if (r == 0) {
        r_gids = map_program_start(&gids, plan->newgidmap, target, plan->gid, &plan->gids);
        r = map_program_end(&uids, said, sizeof(said));
        if (r_gids == 0)
            r_gids = map_program_end(&gids, said_too, sizeof(said_too));
    }
    if (r == 0 && r_gids != 0) {
        r = r_gids;
        memcpy(said, said_too, sizeof(said));
    }
    if (r == 0)
        return a;
    a.code = EPERM;
    snprintf(a.msg, sizeof(a.msg), "newuidmap or newgidmap failed (%s%s%d)", said,
             *said ? ", status " : "status ", r);
    return a;
}

static void helper_main(int sock_rd, int sock_wr, pid_t target, const struct outer_plan *plan)
{
    char go;
    ssize_t n;
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the programs' statuses away */
    do
        n = read(sock_rd, &go, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(0); /* the caller gave up */
    struct helper_answer a = helper_map(target, plan);
    n = write(sock_wr, &a, sizeof(a));
    _exit(n == sizeof(a) ? 0 : 1);
}

/* The user's name. From the file, not by the name service, whose libraries a program that is linked
 * statically should not load; who is not listed there is called what the session calls him. A wrong
 * name does no harm: newuidmap checks the range against the real uid. */
static const char *find_name(uid_t uid, char store[256])
{
    _cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
    struct passwd *pw = NULL;
    while (f && (pw = fgetpwent(f)) && pw->pw_uid != uid)
        ;
    const char *name = pw ? pw->pw_name : getenv("USER");
    if (!name || strlen(name) >= 256)
        return NULL;
    memcpy(store, name, strlen(name) + 1);
    return store;
}

static int plan_outer(struct outer_plan *plan, struct err *err)
{
    static const char *const uid_programs[] = {"/usr/bin/newuidmap", "/bin/newuidmap",
                                               "/usr/local/bin/newuidmap", NULL};
    static const char *const gid_programs[] = {"/usr/bin/newgidmap", "/bin/newgidmap",
                                               "/usr/local/bin/newgidmap", NULL};
    plan->uid = geteuid();
    plan->gid = getegid();
    char store[256];
    const char *name = find_name(plan->uid, store);
    if (subid_find("/etc/subuid", name, plan->uid, &plan->uids) < 0)
        return err_set(err, ENOENT, "user %s has no range in /etc/subuid; %s",
                       name ? name : "(unnamed)", REMEDY_SUBUID);
    if (subid_find("/etc/subgid", name, plan->uid, &plan->gids) < 0)
        return err_set(err, ENOENT, "user %s has no range in /etc/subgid; %s",
                       name ? name : "(unnamed)", REMEDY_SUBUID);
    plan->newuidmap = find_map_program(uid_programs);
    plan->newgidmap = find_map_program(gid_programs);
    if (!plan->newuidmap || !plan->newgidmap)
        return err_set(err, ENOEXEC,
                       "newuidmap or newgidmap is missing; install the package uidmap");
    return 0;
}

static int unshare_user(struct err *err)
{
    if (unshare(CLONE_NEWUSER) == 0)
        return 0;
    if (errno == ENOSPC)
        return err_set(err, EPERM,
                       "user namespaces are used up or switched off; raise "
                       "user.max_user_namespaces with sysctl");
    if (errno == EPERM || errno == EACCES)
        return err_set(err, EPERM,
                       "this machine forbids user namespaces to ordinary users; as root: sysctl "
                       "kernel.unprivileged_userns_clone=1 (Debian) or "
                       "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)");
    return err_errno(err, "unshare the user namespace");
}

int userns_enter_outer(struct err *err)
{
    if (userns_is_ready())
        return 0;
    if (geteuid() == 0)
        return err_set(err, EPERM,
                       "root of this user namespace has no range of ids for Spaces; map at least "
                       "65536 ids more into the container, or run it as an ordinary user");
    struct outer_plan plan;
    int r = plan_outer(&plan, err);
    if (r < 0)
        return r;

    _cleanup_close_ int go_rd = -1, go_wr = -1, answer_rd = -1, answer_wr = -1;
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    go_rd = p[0], go_wr = p[1];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    answer_rd = p[0], answer_wr = p[1];

    /* forked before the unshare: this process itself moves, and stays the one that its parent
     * knows */
    pid_t self = getpid(), helper = fork();
    if (helper < 0)
        return err_errno(err, "fork");
    if (helper == 0) {
        close(go_wr);
        helper_main(go_rd, answer_wr, self, &plan);
    }
    close_fd(&go_rd);
    close_fd(&answer_wr);

    struct helper_answer a = {.code = EIO, .msg = "the helper that maps ids has died"};
    r = unshare_user(err);
    if (r == 0) {
        ssize_t n = write(go_wr, "g", 1);
        while (n == 1 && read(answer_rd, &a, sizeof(a)) < 0 && errno == EINTR)
            ;
    }
    close_fd(&go_wr);
    int st;
    while (waitpid(helper, &st, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return r;
    if (a.code)
        return err_set(err, a.code, "%s; compare /etc/subuid and /etc/subgid with `id`", a.msg);
    /* the groups of the caller are not mapped, but would still open files outside */
    if (setgroups(0, NULL) < 0)
        return err_errno(err, "empty the group list");
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return err_errno(err, "become root of the outer user namespace");
    return 0;
}
