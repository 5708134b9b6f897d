/* See node.h. */
#include "job/node.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/proxywait.h"
#include "common/util.h"
#include "job/debs.h"
#include "job/installer.h"
#include "job/plan.h"
#include "job/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define FILE_MAX (64 << 20)              /* a lock of a large project has some megabytes */
#define BUILT_APP "/run/vitrine/env/app" /* below ENV_DIR */
#define OS_RELEASE "/usr/lib/os-release"

static const char *const manifests[] = {"package.json", "package-lock.json", "npm-shrinkwrap.json",
                                        ".npmrc"};
#define COUNT(list) (sizeof(list) / sizeof(*(list)))

bool node_is_meant(const struct env_options *o)
{
    return strcmp(o->sdk, "node") == 0 || (o->build && o->build[0]);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first of a PATH's folders that has it. */
static bool find_program(const char *name, char *out, size_t size)
{
    static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    for (size_t i = 0; i < COUNT(dirs); i++) {
        snprintf(out, size, "%s/%s", dirs[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* ---- what package.json says ---- */

struct package {
    bool there, locked;
    bool scripts; /* some that run while it is installed: they may use any file of the bundle */
    bool builds;  /* scripts.build */
};

static int read_package(struct package *p, struct err *err)
{
    static const char *const at_install[] = {"preinstall", "install",    "postinstall",
                                             "prepare",    "preprepare", "postprepare"};
    *p = (struct package){.there = is_file("package.json"),
                          .locked = is_file("package-lock.json") || is_file("npm-shrinkwrap.json")};
    if (!p->there)
        return 0;
    json_error_t e;
    json_t *o = json_load_file("package.json", 0, &e);
    if (!json_is_object(o)) {
        json_decref(o);
        return err_set(err, EINVAL, "package.json:%d: %.200s", o ? 1 : e.line,
                       o ? "it is no object" : e.text);
    }
    json_t *scripts = json_object_get(o, "scripts");
    for (size_t i = 0; i < COUNT(at_install); i++)
        p->scripts |= json_is_string(json_object_get(scripts, at_install[i]));
    /* workspaces and file: dependencies are the bundle's own folders */
    p->scripts |= json_object_get(o, "workspaces") != NULL;
    static const char *const lists[] = {"dependencies", "devDependencies", "optionalDependencies"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        const char *name;
        json_t *v;
        json_object_foreach(json_object_get(o, lists[i]), name, v)
        {
            const char *spec = json_string_value(v);
            (void)name;
            p->scripts |=
                spec && (strncmp(spec, "file:", 5) == 0 || strncmp(spec, "link:", 5) == 0 ||
                         spec[0] == '.' || spec[0] == '/');
        }
    }
    p->builds = json_is_string(json_object_get(scripts, "build"));
    json_decref(o);
    return 0;
}

/* Does what comes out depend on the whole bundle? */
static bool is_bound(const struct env_options *o, const struct package *p)
{
    return p->scripts || p->builds || (o->build && o->build[0]);
}

static int add_file(struct buf *text, const char *name, struct err *err)
{
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    _cleanup_buf_ struct buf file = BUF_INIT(FILE_MAX);
    char hash[65];
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "%s cannot be read", name);
    int n = buf_read_fd(&file, fd);
    if (n < 0)
        return err_set(err, -n, "%s cannot be read: %s", name, strerror(-n));
    sha256_hex(file.data ? file.data : "", file.len, hash);
    return buf_printf(text, "%s %s\n", name, hash);
}

static int digest_of(const struct env_options *o, char out[65], struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    int n = buf_printf(&text, "npm %s\nbuild %s\n", o->sdk, o->build ? o->build : "");
    for (size_t i = 0; n == 0 && i < COUNT(manifests); i++)
        n = add_file(&text, manifests[i], err);
    if (n == 0)
        sha256_hex(text.data, text.len, out);
    return n;
}

/* Another program, another id. */
static int id_of(const char *program, char out[65], struct err *err)
{
    struct stat st;
    char text[128];
    if (stat(program, &st) < 0)
        return err_errno(err, "%s cannot be looked at", program);
    snprintf(text, sizeof(text), "%lld %lld", (long long)st.st_size, (long long)st.st_mtime);
    sha256_hex(text, strlen(text), out);
    return 0;
}

static int base_id(char out[65])
{
    char text[4096] = "npm ";
    ssize_t n = file_read_small(OS_RELEASE, text + 4, sizeof(text) - 4);
    sha256_hex(text, n > 0 ? (size_t)n + 4 : 4, out);
    return 0;
}

int node_plan(const struct env_options *o, struct err *err)
{
    char digest[65], id[65], base[65], node[64], npm[64];
    struct package p = {0};
    int n = read_package(&p, err);
    if (n < 0)
        return n;
    if (!p.there && !(o->build && o->build[0])) { /* nothing to install; packages.txt, perhaps */
        snprintf(node, sizeof(node), "/bin/sh");
    } else if (!p.there && !find_program("sh", node, sizeof(node))) {
        return err_set(err, ENOTSUP, "app_build_command needs a shell");
    } else if (p.there && (!find_program("node", node, sizeof(node)) ||
                           !find_program("npm", npm, sizeof(npm)))) {
        return err_set(err, ENOTSUP,
                       "package.json needs node and npm, and the system that Spaces see has none: "
                       "the operator can install them there");
    }
    char debs[65] = "";
    _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    n = dir < 0 ? err_errno(err, "the version's tree cannot be opened")
                : debs_digest(dir, debs, err);
    if (n == 0)
        n = digest_of(o, digest, err);
    if (n == 0)
        n = id_of(node, id, err);
    if (n < 0)
        return n;
    base_id(base);
    const char *warning = p.there && !p.locked
                              ? "there is no package-lock.json: its packages are the newest that "
                                "package.json allows"
                              : "";
    bool wanted = p.there || (o->build && o->build[0]);
    const struct plan plan = {.debs = debs,
                              .digest = digest,
                              .main = wanted,
                              .bound = is_bound(o, &p),
                              .pins_sdk = true,
                              .program = node,
                              .id = id,
                              .base = base,
                              .installer = "npm",
                              .warning = warning};
    return plan_print(&plan, err);
}

int node_resolve(const struct env_options *o, struct err *err)
{
    char digest[65];
    int n = digest_of(o, digest, err);
    if (n < 0)
        return n;
    printf("lock npm==1 --hash=sha256:%s\nresult {\"wheels\": false}\n", digest);
    return 0;
}

/* ---- installing ---- */

static int run(const char *step, const char *const *argv, struct err *err)
{
    return steps_do(step, argv, steps_reason, err);
}

static int copy_manifests(struct err *err)
{
    const char *argv[COUNT(manifests) + 4] = {"/bin/cp", "--"};
    size_t n = 2;
    for (size_t i = 0; i < COUNT(manifests); i++)
        if (is_file(manifests[i]))
            argv[n++] = manifests[i];
    argv[n] = ENV_DIR "/";
    return run("install", argv, err);
}

static int copy_all(struct err *err)
{
    static const char *const argv[] = {"/bin/cp", "-R", "--preserve=mode,links", "--", ".",
                                       BUILT_APP, NULL};
    return mkdir(BUILT_APP, 0755) < 0 ? err_errno(err, "cannot make a folder")
                                      : run("install", argv, err);
}

static int npm(const struct package *p, struct err *err)
{
    char program[64];
    if (!find_program("npm", program, sizeof(program)))
        return err_set(err, ENOTSUP, "there is no npm");
    const char *const argv[] = {
        program, p->locked ? "ci" : "install", "--no-audit", "--no-fund", "--no-progress", NULL};
    setenv("npm_config_cache", ENV_WORK "/npm", 1);
    setenv("npm_config_update_notifier", "false", 1);
    return run("install", argv, err);
}

static int build(const struct env_options *o, const struct package *p, struct err *err)
{
    char program[64];
    const char *const command[] = {"/bin/sh", "-c", o->build, NULL};
    if (o->build && o->build[0]) {
        steps_log("build", "%s", o->build);
        int n = run("build", command, err);
        return n < 0 ? err_prefix(err, -n, "app_build_command") : 0;
    }
    if (!p->builds || strcmp(o->sdk, "node") != 0)
        return 0;
    if (!find_program("npm", program, sizeof(program)))
        return err_set(err, ENOTSUP, "there is no npm");
    const char *const argv[] = {program, "run", "build", NULL};
    steps_log("build", "npm run build");
    return run("build", argv, err);
}

int node_install(const struct env_options *o, struct err *err)
{
    struct package p = {0};
    int n = proxy_wait(o->proxy_port, INDEXES, err);
    if (n == 0)
        n = mkdir_p(ENV_WORK, 0755, err);
    if (n == 0)
        n = read_package(&p, err);
    if (n < 0)
        return n;
    bool bound = is_bound(o, &p);
    n = bound ? copy_all(err) : copy_manifests(err);
    if (n == 0 && chdir(bound ? BUILT_APP : ENV_DIR) < 0)
        n = err_errno(err, "cannot enter the folder of the build");
    if (n == 0 && p.there)
        n = npm(&p, err);
    if (n == 0)
        n = build(o, &p, err);
    if (n == 0)
        printf("result {}\n");
    return n;
}
