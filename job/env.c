#include "job/env.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/proxywait.h"
#include "common/util.h"
#include "job/debs.h"
#include "job/installer.h"
#include "job/lockfile.h"
#include "job/node.h"
#include "job/plan.h"
#include "job/pylock.h"
#include "job/python.h"
#include "job/requirements.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#define LOCK_PATH "/run/vitrine/env/.work/lock.txt"
#define PYLOCK_PATH "/run/vitrine/env/.work/pylock.toml"
#define REPORT_PATH ENV_WORK "/report.json"
#define OS_RELEASE "/usr/lib/os-release"

/* What everything that is installed was made for. */
static void base_id(char out[65])
{
    char text[4096];
    struct utsname u = {0};
    uname(&u);
    int n = snprintf(text, sizeof(text), "%s ", u.machine);
    ssize_t more = file_read_small(OS_RELEASE, text + n, sizeof(text) - (size_t)n);
    sha256_hex(text, (size_t)n + (more > 0 ? (size_t)more : 0), out);
}

int env_plan(const struct env_options *o, struct err *err)
{
    _cleanup_(requirements_free) struct requirements q = REQUIREMENTS_INIT;
    _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct python python = {0};
    char digest[65], base[65];
    int n = dir < 0 ? err_errno(err, "the version's tree cannot be opened") : 0;
    if (n == 0)
        n = requirements_read(dir, o->sdk, &q, err);
    char debs[65] = "";
    if (n == 0)
        n = debs_digest(dir, debs, err);
    if (n == 0)
        n = python_choose(o->python_version, o->python, &python, err);
    if (n < 0)
        return n;
    sha256_hex(q.text.len ? q.text.data : "", q.text.len, digest);
    base_id(base);
    const struct plan plan = {.debs = debs,
                              .digest = digest,
                              .pre = q.pre,
                              .main = q.main,
                              .bound = q.bound,
                              .pins_sdk = q.pins_sdk,
                              .program = python.path,
                              .id = python.id,
                              .base = base,
                              .installer = installer_name(),
                              .warning = python.warning};
    return plan_print(&plan, err);
}

static bool is_there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* What the bundle asks for. */
static void add_wanted(struct args *a)
{
    if (is_there("pre-requirements.txt")) {
        args_add(a, "-r");
        args_add(a, "pre-requirements.txt");
    }
    if (is_there("requirements.txt")) {
        args_add(a, "-r");
        args_add(a, "requirements.txt");
    }
}

/* Packages that want others to be there when they are built say so in pre-requirements.txt, and see
 * those only without isolation. */
static int run_or_with_pre(const struct env_options *o, const char *step, struct args *a,
                           struct err *err)
{
    struct args pre;
    int n = installer_run(step, a, err);
    if (n == 0 || !is_there("pre-requirements.txt"))
        return n;
    steps_log(step,
              "once more, with what pre-requirements.txt asks for there, and without isolation");
    if (installer_venv(o, err) < 0 || installer_args(o, "install", ENV_PYTHON, &pre, err) < 0)
        return -EIO;
    args_add(&pre, "-r");
    args_add(&pre, "pre-requirements.txt");
    if (installer_run(step, &pre, err) < 0)
        return -EIO;
    args_add(a, "--no-build-isolation");
    for (unsigned i = 0; i < a->n; i++)
        if (a->v[i] == o->python)
            a->v[i] = ENV_PYTHON; /* where they are */
    return installer_run(step, a, err);
}

/* For the installer, in a folder that is thrown away: nothing waits for the disk. */
static int put_file(const char *path, const struct buf *b, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int n = fd < 0 ? -errno : write_all(fd, b->len ? b->data : "", b->len);
    return n < 0 ? err_set(err, -n, "cannot write %s: %s", path, strerror(-n)) : 0;
}

static int write_added(const struct env_options *o, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    for (unsigned i = 0; i < o->added; i++)
        if (buf_printf(&b, "%s\n", o->add[i]) < 0)
            return err_set(err, ENOMEM, "out of memory");
    return put_file(ENV_WORK "/added.txt", &b, err);
}

static int write_options(const struct env_options *o, struct buf *lock, struct err *err)
{
    _cleanup_(requirements_free) struct requirements q = REQUIREMENTS_INIT;
    _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = dir < 0 ? -errno : requirements_read(dir, o->sdk ? o->sdk : "", &q, err);
    if (n == 0 && q.options.len)
        n = buf_append(lock, q.options.data, q.options.len);
    return n;
}

static int print_lock(struct buf *lock)
{
    for (char *line = lock->data, *end; line && *line; line = end) {
        end = line + strcspn(line, "\n");
        printf("lock %.*s\n", (int)(end - line), line);
        end += *end == '\n';
    }
    return fflush(stdout) == 0 ? 0 : -EIO;
}

/* By uv, which needs no environment for it: the wheels and where they lie, if that is all there is
 * to say, else as requirements with the hashes of all that may be taken. */
static int compile(const struct env_options *o, bool pylock, struct buf *lock, struct err *err)
{
    static const char *const plain[] = {"--generate-hashes", "--output-file", LOCK_PATH},
                             *const whole[] = {"--format", "pylock.toml", "--output-file",
                                               PYLOCK_PATH};
    struct args a;
    int n = installer_args(o, "compile", o->python, &a, err);
    if (n < 0)
        return n;
    args_add(&a, "--quiet");
    args_add(&a, "--no-header");
    args_add(&a, "--no-annotate");
    for (size_t i = 0; !pylock && i < sizeof(plain) / sizeof(*plain); i++)
        args_add(&a, plain[i]);
    for (size_t i = 0; pylock && i < sizeof(whole) / sizeof(*whole); i++)
        args_add(&a, whole[i]);
    if (is_there("pre-requirements.txt"))
        args_add(&a, "pre-requirements.txt");
    if (is_there("requirements.txt"))
        args_add(&a, "requirements.txt");
    args_add(&a, ENV_WORK "/added.txt");
    n = run_or_with_pre(o, "resolve", &a, err);
    if (n < 0 || !pylock)
        return n < 0 ? n : lockfile_of_uv(LOCK_PATH, lock, err);
    n = lockfile_of_pylock(PYLOCK_PATH, lock, err);
    return n == 0 ? compile(o, false, lock, err) : n < 0 ? n : 0; /* what it read is kept there */
}

static int report(const struct env_options *o, struct buf *lock, bool *ret_wheels, struct err *err)
{
    struct args a;
    int n = installer_venv(o, err);
    if (n == 0)
        n = installer_args(o, "install", ENV_PYTHON, &a, err);
    if (n < 0)
        return n;
    args_add(&a, "--dry-run");
    args_add(&a, "--ignore-installed");
    args_add(&a, "--report");
    args_add(&a, REPORT_PATH);
    add_wanted(&a);
    args_add(&a, "-r");
    args_add(&a, ENV_WORK "/added.txt");
    n = run_or_with_pre(o, "resolve", &a, err);
    return n < 0 ? n : lockfile_of_pip(REPORT_PATH, lock, ret_wheels, err);
}

int env_resolve(const struct env_options *o, struct err *err)
{
    bool wheels = true;
    _cleanup_buf_ struct buf lock = BUF_INIT(LOCKFILE_MAX);
    int n = installer_begin(err);
    if (n == 0)
        n = write_added(o, err);
    if (n == 0)
        n = write_options(o, &lock, err);
    bool pylock = n == 0 && !getenv("PIP_NO_INDEX") && installer_has_pylock();
    if (n == 0)
        n = proxy_wait(o->proxy_port, INDEXES, err);
    if (n == 0)
        n = installer_is_uv() ? compile(o, pylock, &lock, err) : report(o, &lock, &wheels, err);
    if (n == 0)
        n = print_lock(&lock);
    if (n == 0)
        printf("result {\"wheels\": %s}\n", wheels ? "true" : "false");
    return n;
}

/* `*ret_hashed`: all that it pins has hashes; a commit of a repository has none. `*ret_pylock`:
 * it names its files, and was made a pylock.toml; NULL where the installer takes none. */
static int save_lock(bool *ret_hashed, bool *ret_pylock, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(LOCKFILE_MAX), toml = BUF_INIT(2 * LOCKFILE_MAX);
    int n = buf_read_fd(&b, STDIN_FILENO);
    if (n < 0)
        return err_set(err, -n, "the lock cannot be read");
    *ret_hashed = true;
    for (const char *line = b.data, *end; line && *line; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        *ret_hashed &=
            line[0] == '-' || line[0] == '#' || memmem(line, (size_t)(end - line), " --hash=", 8);
    }
    bool pylock = ret_pylock && b.len && pylock_write(b.data, &toml);
    if (ret_pylock)
        *ret_pylock = pylock;
    return pylock ? put_file(PYLOCK_PATH, &toml, err) : put_file(LOCK_PATH, &b, err);
}

/* What all may use is made of the lock's wheels alone. */
static void add_locked(struct args *a, bool shared, bool hashed, bool pylock)
{
    args_add(a, "--no-deps");
    if (shared) {
        args_add(a, "--only-binary");
        args_add(a, ":all:");
    }
    if (!pylock && hashed)
        args_add(a, "--require-hashes"); /* those of a pylock.toml are always checked */
    args_add(a, "-r");
    args_add(a, pylock ? PYLOCK_PATH : LOCK_PATH);
}

/* While the lock is not there yet: uv remembers what it asked the interpreter. */
static void get_ready(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    struct args a;
    if (!installer_is_uv() || getenv("PIP_NO_INDEX") || poll(&in, 1, 0) != 0 ||
        installer_args(NULL, "freeze", ENV_PYTHON, &a, NULL) < 0)
        return;
    args_add(&a, "--quiet");
    (void)installer_run("prepare", &a, NULL);
}

int env_install(const struct env_options *o, struct err *err)
{
    struct args a;
    bool bound = strcmp(o->kind, "bound") == 0, shared = strcmp(o->kind, "shared") == 0;
    bool hashed = true, pylock = false, has_pylock = shared && installer_has_pylock();
    int n = installer_begin(err);
    if (n == 0)
        n = write_added(o, err);
    if (n == 0)
        n = installer_venv(o, err);
    if (n == 0)
        n = proxy_wait(o->proxy_port, INDEXES, err);
    if (n == 0)
        get_ready();
    if (n == 0)
        n = save_lock(&hashed, has_pylock ? &pylock : NULL, err);
    if (n == 0)
        n = installer_args(o, "install", ENV_PYTHON, &a, err);
    if (n < 0)
        return n;
    if (installer_is_uv()) {
        args_add(&a, "--link-mode");
        args_add(&a, "hardlink"); /* its cache lies beside it, and is removed afterwards */
    } else {
        args_add(&a, "--no-compile"); /* as uv does: runner/bytecode.h */
    }
    if (bound) { /* they name files of the tree, which a lock cannot */
        add_wanted(&a);
        args_add(&a, "-r");
        args_add(&a, ENV_WORK "/added.txt");
    } else {
        add_locked(&a, shared, hashed, pylock);
    }
    n = shared ? installer_run("install", &a, err) : run_or_with_pre(o, "install", &a, err);
    if (n == 0)
        printf("result {}\n");
    return n;
}

int env_main(int argc, char **argv, int *ret_status)
{
    static const struct {
        const char *name;
        int (*fn)(const struct env_options *o, struct err *err);
    } commands[] = {{"plan", env_plan}, {"resolve", env_resolve}, {"install", env_install}};
    static const struct option longs[] = {{"python", required_argument, NULL, 'p'},
                                          {"python-version", required_argument, NULL, 'v'},
                                          {"sdk", required_argument, NULL, 's'},
                                          {"kind", required_argument, NULL, 'k'},
                                          {"add", required_argument, NULL, 'a'},
                                          {"build", required_argument, NULL, 'b'},
                                          {"proxy-port", required_argument, NULL, 'x'},
                                          {0}};
    struct env_options o = {.python_version = "", .sdk = "", .kind = "own"};
    int (*fn)(const struct env_options *, struct err *) = NULL;
    struct err err = {0};
    int c;
    for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(*commands); i++)
        fn = strcmp(argv[0], commands[i].name) == 0 ? commands[i].fn : fn;
    if (!fn)
        return -EINVAL;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'p')
            o.python = optarg;
        else if (c == 'v')
            o.python_version = optarg;
        else if (c == 's')
            o.sdk = optarg;
        else if (c == 'b')
            o.build = optarg;
        else if (c == 'k')
            o.kind = optarg;
        else if (c == 'x')
            o.proxy_port = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'a' && o.added < ENV_ADD_MAX)
            o.add[o.added++] = optarg;
        else
            return -EINVAL;
    }
    if (optind != argc || !o.python)
        return -EINVAL;
    umask(022);
    if (node_is_meant(&o))
        fn = fn == env_plan ? node_plan : fn == env_resolve ? node_resolve : node_install;
    *ret_status = fn(&o, &err) == 0 ? 0 : 1;
    if (*ret_status)
        printf("error %s\n", err.msg[0] ? err.msg : "the build's result could not be written");
    return fflush(stdout) == 0 ? 0 : -EIO;
}
