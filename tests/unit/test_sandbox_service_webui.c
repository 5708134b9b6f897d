/* A compromised webui: what is left to it once it has confined itself. Each attempt is made by a
 * child of its own, confined as webui is on a data folder of this test, beside what must stay out
 * of reach.
 *
 * objects: sandbox/service.o sandbox/service_places.o sandbox/creds.o sandbox/filesystems.o
 *   sandbox/filter.o sandbox/landlock_none.o */
#include "unit.h"

#include "sandbox/service.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* A data folder as there is one when webui starts, and what webui holds of it. */
static struct {
    char path[64], site[96], life[96], wal[96], shm[96], uploads[96], key[96], tree[96], sock[96];
    int site_fd, uploads_fd, life_fd; /* the last two are opened by the confined one */
} data;
static pid_t victim; /* a process of ours, to be killed or traced */

static int make_data(void **state)
{
    snprintf(data.path, sizeof(data.path), "/tmp/vitrine-unit-XXXXXX");
    if (!mkdtemp(data.path))
        return -1;
    const struct {
        char *out;
        const char *name, *text; /* NULL: a folder */
    } parts[] = {
        {data.site, "site.db", "site"},     {data.life, "life.db", "life"},
        {data.wal, "life.db-wal", "wal"},   {data.shm, "life.db-shm", "shm"},
        {data.uploads, "uploads", NULL},    {data.key, "admin.token", "token"},
        {data.tree, "versions-app", "app"}, {data.sock, "w.sock", ""},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        snprintf(parts[i].out, 96, "%s/%s", data.path, parts[i].name);
        if (!parts[i].text ? mkdir(parts[i].out, 0700) < 0
                           : file_write_whole(parts[i].out, parts[i].text, strlen(parts[i].text),
                                              0600, NULL) < 0)
            return -1;
    }
    unlink(data.sock);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    memcpy(sun.sun_path, data.sock, strlen(data.sock));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    data.site_fd = open(data.site, O_RDWR | O_CLOEXEC);
    *state = data.path;
    return s < 0 || data.site_fd < 0 || bind(s, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
                   listen(s, 1) < 0
               ? -1
               : 0;
}

static int remove_data(void **state)
{
    (void)state;
    return remove_tree(AT_FDCWD, data.path, NULL);
}

static int confine(struct err *err)
{
    struct service_plan plan = {
        .kind = SERVICE_WEBUI, .files = {data.life, data.wal, data.shm}, .folders = {data.uploads}};
    int r = service_confine(&plan, err);
    if (r < 0)
        return r;
    data.uploads_fd = open(data.uploads, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    data.life_fd = open(data.life, O_RDONLY | O_CLOEXEC);
    return data.uploads_fd < 0 || data.life_fd < 0 ? err_errno(err, "open what it has") : 0;
}

/* ---- what fails: it has names for nothing else. True: it succeeded. ---- */

static bool reads(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC) >= 0;
}
static bool by_host_file(void)
{
    return reads("/etc/passwd");
}
static bool by_token(void)
{
    return reads(data.key);
}
static bool by_tree(void)
{
    return reads(data.tree);
}
static bool by_site_name(void)
{
    return reads(data.site);
}
static bool by_proc(void)
{
    return reads("/proc/self/environ") || reads("/proc/1/environ");
}
static bool by_dev(void)
{
    return reads("/dev/null") || reads("/dev/vda");
}
static bool by_dot_dot(void)
{
    return openat(data.uploads_fd, "../admin.token", O_RDONLY) >= 0 ||
           openat(data.uploads_fd, "../../../../../etc/passwd", O_RDONLY) >= 0;
}
static bool by_writing_life(void)
{
    return open(data.life, O_RDWR) >= 0 || open(data.life, O_WRONLY | O_TRUNC) >= 0;
}
static bool by_writing_its_log(void)
{
    return open(data.wal, O_RDWR | O_CREAT, 0600) >= 0;
}
static bool by_writing_its_index(void)
{
    return open(data.shm, O_RDWR) >= 0;
}
static bool by_mapping_life(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, data.life_fd, 0) != MAP_FAILED;
}
static bool by_cutting_life(void)
{
    return ftruncate(data.life_fd, 0) == 0;
}
static bool by_a_file_beside(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/life.db-journal", data.path);
    return open(path, O_WRONLY | O_CREAT, 0600) >= 0 || open("/new", O_WRONLY | O_CREAT, 0600) >= 0;
}
static bool by_clone3(void)
{
    return syscall(SYS_clone3, NULL, 0) >= 0;
}

/* ---- what kills ---- */

static bool by_exec(void)
{
    char *argv[] = {(char *)"true", NULL};
    return execv("/bin/true", argv) == 0;
}
static bool by_execveat(void)
{
    return syscall(SYS_execveat, data.site_fd, "", NULL, NULL, AT_EMPTY_PATH) == 0;
}
static bool by_fork(void)
{
    return syscall(SYS_fork) >= 0;
}
static bool by_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0) >= 0;
}
static bool by_vfork(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, 0) >= 0;
}
static bool by_clone_namespace(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER, NULL, NULL,
                   NULL, 0) >= 0;
}
static bool by_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}
static bool by_socketpair(void)
{
    int p[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0;
}
static bool by_tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}
static bool by_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}
static bool by_connect(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    return connect(data.site_fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}
static bool by_kill(void)
{
    return syscall(SYS_kill, victim, SIGKILL) == 0;
}
static bool by_tgkill(void)
{
    return syscall(SYS_tgkill, victim, victim, SIGKILL) == 0;
}
static bool by_pidfd(void)
{
    return syscall(SYS_pidfd_open, victim, 0) >= 0;
}
static bool by_ptrace(void)
{
    return ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0;
}
static bool by_vm(void)
{
    return syscall(SYS_process_vm_writev, victim, NULL, 0, NULL, 0, 0) >= 0;
}
static bool by_userns(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}
static bool by_setns(void)
{
    return setns(data.site_fd, 0) == 0;
}
static bool by_mount(void)
{
    return mount("none", "/", "tmpfs", 0, NULL) == 0;
}
static bool by_chroot(void)
{
    return chroot(data.uploads) == 0;
}
static bool by_open_tree(void)
{
    return syscall(SYS_open_tree, data.uploads_fd, "", AT_EMPTY_PATH | 1) >= 0;
}
static bool by_handle(void)
{
    return syscall(SYS_open_by_handle_at, data.uploads_fd, NULL, O_RDONLY) >= 0;
}
static bool by_openat2(void)
{
    return syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) >= 0;
}
static bool by_setuid(void)
{
    return syscall(SYS_setuid, 0) == 0;
}
static bool by_unlink(void)
{
    return unlink(data.life) == 0;
}
static bool by_rename(void)
{
    return rename(data.life, data.wal) == 0;
}
static bool by_link(void)
{
    return linkat(AT_FDCWD, data.life, data.uploads_fd, "life", 0) == 0;
}
static bool by_symlink(void)
{
    return symlinkat("/etc", data.uploads_fd, "etc") == 0;
}
static bool by_folder(void)
{
    return mkdirat(data.uploads_fd, "folder", 0700) == 0;
}
static bool by_device(void)
{
    return mknodat(data.uploads_fd, "null", S_IFCHR | 0666, 0x103) == 0;
}
static bool by_chmod(void)
{
    return fchmod(data.life_fd, 0666) == 0;
}
static bool by_listing(void)
{
    char entries[1024];
    return syscall(SYS_getdents64, data.uploads_fd, entries, sizeof(entries)) > 0;
}
static bool by_memfd(void)
{
    return syscall(SYS_memfd_create, "program", 0) >= 0;
}
static bool by_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}
static bool by_late_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool by_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) >= 0;
}
static bool by_uring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}
static bool by_keyring(void)
{
    return syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0;
}
static bool by_dumpable(void)
{
    return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}
static bool by_limits(void)
{
    return syscall(SYS_prlimit64, 0, 0, NULL, NULL) == 0;
}
static bool by_tty(void)
{
    return syscall(SYS_ioctl, 2, 0x5412 /* TIOCSTI */, "x") == 0;
}
static bool by_lease(void)
{
    return fcntl(data.life_fd, F_SETLEASE, F_RDLCK) == 0;
}
static bool by_duplicate(void)
{
    return fcntl(data.site_fd, F_DUPFD, 100) >= 0;
}

static const struct attempt {
    const char *what;
    bool (*make)(void);
    bool kills; /* by the filter; else it fails, and webui lives on */
    bool wider; /* a build with sanitizers lets the call through */
} attempts[] = {
    {"open a file of the host", by_host_file, false, false},
    {"read the admin token", by_token, false, false},
    {"read a version's tree", by_tree, false, false},
    {"open site.db by its name", by_site_name, false, false},
    {"/proc", by_proc, false, true},
    {"/dev", by_dev, false, false},
    {"out of the uploads by ..", by_dot_dot, false, false},
    {"write life.db", by_writing_life, false, false},
    {"write its log", by_writing_its_log, false, false},
    {"write its index", by_writing_its_index, false, false},
    {"map life.db for writing", by_mapping_life, false, false},
    {"cut life.db", by_cutting_life, false, false},
    {"make a file beside life.db", by_a_file_beside, false, false},
    {"clone3, which does not exist", by_clone3, false, false},
    {"run a program", by_exec, true, false},
    {"run what a descriptor names", by_execveat, true, false},
    {"fork", by_fork, true, false},
    {"clone a process", by_clone, true, true},
    {"vfork", by_vfork, true, true},
    {"clone into a namespace", by_clone_namespace, true, true},
    {"a Unix socket", by_unix_socket, true, false},
    {"a pair of sockets", by_socketpair, true, false},
    {"a TCP socket", by_tcp_socket, true, false},
    {"a netlink socket", by_netlink, true, false},
    {"connect", by_connect, true, false},
    {"kill a process", by_kill, true, true},
    {"kill a thread", by_tgkill, true, true},
    {"a pidfd", by_pidfd, true, false},
    {"trace a process", by_ptrace, true, true},
    {"write another's memory", by_vm, true, false},
    {"a user namespace", by_userns, true, false},
    {"enter a namespace", by_setns, true, false},
    {"mount", by_mount, true, false},
    {"chroot", by_chroot, true, false},
    {"copy a mount", by_open_tree, true, false},
    {"open by handle", by_handle, true, false},
    {"openat2", by_openat2, true, false},
    {"become root", by_setuid, true, false},
    {"remove life.db", by_unlink, true, false},
    {"rename life.db", by_rename, true, false},
    {"link life.db elsewhere", by_link, true, false},
    {"a symbolic link", by_symlink, true, false},
    {"a folder", by_folder, true, false},
    {"a device", by_device, true, false},
    {"change a mode", by_chmod, true, false},
    {"list the uploads", by_listing, true, true},
    {"a file in memory", by_memfd, true, false},
    {"make memory a program", by_code, true, true},
    {"make memory a program later", by_late_code, true, true},
    {"bpf", by_bpf, true, false},
    {"io_uring", by_uring, true, false},
    {"keyrings", by_keyring, true, false},
    {"become dumpable", by_dumpable, true, true},
    {"its own limits", by_limits, true, true},
    {"type into a terminal", by_tty, true, true},
    {"a lease on life.db", by_lease, true, true},
    {"more descriptors of one file", by_duplicate, true, true},
};

static int status_of(bool (*make)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (confine(&err) < 0) {
            dprintf(2, "%s\n", err.msg);
            _exit(2);
        }
        syscall(SYS_exit_group, make() ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_attempts_fail(void **state)
{
    (void)state;
    victim = fork();
    if (victim == 0)
        for (;;)
            pause();
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        const struct attempt *a = &attempts[i];
        if (SANITIZED && a->wider)
            continue;
        int status = status_of(a->make);
        if (a->kills ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS : status != 0)
            fail_msg("%s: %s (status 0x%x)", a->what,
                     a->kills ? "was not killed by the filter" : "succeeded, or was killed",
                     status);
    }
    assert_int_equal(waitpid(victim, NULL, WNOHANG), 0); /* lives */
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    char text[16];
    assert_int_equal(file_read_small(data.life, text, sizeof(text)), 4);
    assert_string_equal(text, "life");
}

/* ---- what it is for ---- */

static void *in_thread(void *arg)
{
    return arg;
}

static bool works(void)
{
    char text[8] = "";
    pthread_t t;
    void *r = NULL;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd = openat(data.uploads_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return pread(data.life_fd, text, 4, 0) == 4 && strcmp(text, "life") == 0 && reads(data.wal) &&
           reads(data.shm) && pwrite(data.site_fd, "SITE", 4, 0) == 4 &&
           fcntl(data.site_fd, F_SETLK, &lock) == 0 && fdatasync(data.site_fd) == 0 && fd >= 0 &&
           write(fd, "body", 4) == 4 && ftruncate(fd, 0) == 0 &&
           pthread_create(&t, NULL, in_thread, text) == 0 && pthread_join(t, &r) == 0 && r == text;
}

static void test_what_it_does_works(void **state)
{
    (void)state;
    int status = status_of(works);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        fail_msg("it cannot do its work (status 0x%x)", status);
    char text[16];
    assert_true(file_read_small(data.site, text, sizeof(text)) > 0);
    assert_string_equal(text, "SITE");
}

/* A data folder of an earlier version, or restored: all is its owner's, and parts are missing. */
static void test_files_are_made_and_opened_to_the_group_alone(void **state)
{
    (void)state;
    assert_int_equal(unlink(data.wal), 0);
    assert_int_equal(chmod(data.life, 0600), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        syscall(SYS_exit_group, confine(&err) < 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct stat wal, life, site, uploads;
    assert_int_equal(stat(data.wal, &wal), 0);
    assert_int_equal(stat(data.life, &life), 0);
    assert_int_equal(stat(data.site, &site), 0);
    assert_int_equal(stat(data.uploads, &uploads), 0);
    assert_int_equal(wal.st_size, 0);
    assert_int_equal(life.st_uid, geteuid());
    assert_int_equal(uploads.st_uid, geteuid());
    assert_int_equal(site.st_mode & 07777, 0600);
    assert_int_equal(wal.st_mode & 0027, 0);
    if (geteuid() == 0) {
        assert_int_equal(life.st_mode & 07777, 0640);
        assert_int_equal(wal.st_mode & 07777, 0640);
        assert_int_equal(uploads.st_mode & 07777, 0770);
        assert_true(life.st_gid != getegid() && life.st_gid == wal.st_gid &&
                    life.st_gid == uploads.st_gid);
    }
}

/* A link in the place of a file leads nowhere. */
static void test_a_link_is_refused(void **state)
{
    (void)state;
    assert_int_equal(unlink(data.wal), 0);
    assert_int_equal(symlink(data.key, data.wal), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        _exit(confine(&err) == -ELOOP && strstr(err.msg, "life.db-wal") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(unlink(data.wal), 0);
    struct stat key;
    assert_int_equal(stat(data.key, &key), 0);
    assert_int_equal(key.st_mode & 07777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts_fail),
        cmocka_unit_test(test_what_it_does_works),
        cmocka_unit_test(test_files_are_made_and_opened_to_the_group_alone),
        cmocka_unit_test(test_a_link_is_refused),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
