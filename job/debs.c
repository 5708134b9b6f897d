/* See debs.h. */
#include "job/debs.h"

#include "common/cleanup.h"
#include "common/proxywait.h"
#include "common/util.h"
#include "job/installer.h"
#include "job/steps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define APT_GET "/usr/bin/apt-get"
#define DPKG_DEB "/usr/bin/dpkg-deb"
#define CONF DEBS_WORK "/apt.conf"
#define ARCHIVES DEBS_WORK "/cache/archives"
#define CONTROL "/run/vitrine/debs/.work/control" /* below DEBS_WORK */
#define MAX_DEBS 4000
#define SCRIPT_MAX (1 << 20)
#define LD_PATH                                                                                    \
    DEBS_DIR "/ld-path" /* for LD_LIBRARY_PATH: folders of libraries that are not usual */

static const char *const folders[] = {
    ".work/state/lists/partial",
    ".work/cache/archives/partial",
    ".work/log",
    ".work/none",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "etc/alternatives",
};

/* As the root has them: packages name /bin, /lib ... */
static const char *const merged[] = {"bin", "sbin", "lib", "lib64"};

/* What sandboxes have of their own in /etc. */
static const char *const not_in_etc[] = {"passwd",        "group", "shadow",     "gshadow",
                                         "nsswitch.conf", "hosts", "hostname",   "resolv.conf",
                                         "host.conf",     "mtab",  "ld.so.cache"};

static int make_folders(struct err *err)
{
    int n = 0;
    for (size_t i = 0; n == 0 && i < sizeof(folders) / sizeof(*folders); i++) {
        char path[128];
        snprintf(path, sizeof(path), DEBS_DIR "/%s", folders[i]);
        n = mkdir_p(path, 0755, err);
    }
    for (size_t i = 0; n == 0 && i < sizeof(merged) / sizeof(*merged); i++) {
        char target[32], path[64];
        snprintf(target, sizeof(target), "usr/%s", merged[i]);
        snprintf(path, sizeof(path), DEBS_DIR "/%s", merged[i]);
        if (symlink(target, path) < 0)
            n = err_errno(err, "cannot make a link");
    }
    return n;
}

/* Not of the host: its hooks, and where it keeps things. */
static int write_conf(struct err *err)
{
    static const char text[] =
        "Dir \"" DEBS_WORK "\";\n"
        "Dir::Etc \"" DEBS_APT "\";\n"
        "Dir::Etc::parts \"" DEBS_WORK "/none\";\n"
        "Dir::Etc::main \"" DEBS_WORK "/none\";\n"
        "Dir::State \"" DEBS_WORK "/state\";\n"
        "Dir::State::status \"" DEBS_STATUS "\";\n"
        "Dir::Cache \"" DEBS_WORK "/cache\";\n"
        "Dir::Log \"" DEBS_WORK "/log\";\n"
        "APT::Sandbox::User \"\";\n"
        "APT::Cmd::Pattern-Only \"true\";\n"
        "APT::Get::Assume-Yes \"true\";\n"
        "APT::Get::Remove \"false\";\n"
        "APT::Get::Download-Only \"true\";\n"
        "Acquire::Languages \"none\";\n"
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
        "Acquire::Retries \"2\";\n"
        "Acquire::http::Pipeline-Depth \"0\";\n"
        "Debug::NoLocking \"true\";\n";
    return file_write_whole(CONF, text, sizeof(text) - 1, 0644, err);
}

/* What apt says of its failure begins with "E: ". */
static void reason_of(const struct tail *tail, char *out, size_t size)
{
    unsigned first = tail->count > STEPS_TAIL_LINES ? tail->count - STEPS_TAIL_LINES : 0;
    out[0] = '\0';
    for (unsigned i = first; i < tail->count; i++) {
        const char *line = tail->lines[i % STEPS_TAIL_LINES];
        if (strncmp(line, "E: ", 3) == 0)
            snprintf(out + strlen(out), size - strlen(out), "%s%s", out[0] ? " | " : "", line + 3);
    }
    if (!out[0])
        steps_reason(tail, out, size);
}

static int apt(const char *step, const char *const *argv, struct err *err)
{
    return steps_do(step, argv, reason_of, err);
}

static int update(struct err *err)
{
    static const char *const argv[] = {APT_GET, "update", "-qq", NULL};
    steps_log("packages", "asking the sources of this system what there is");
    return apt("packages", argv, err);
}

static int fetch(const struct buf *names, struct err *err)
{
    static const char *argv[DEBS_MAX + 8];
    size_t n = 0;
    argv[n++] = APT_GET;
    argv[n++] = "install";
    argv[n++] = "-q";
    argv[n++] = "--";
    for (char *at = names->data; *at; at += strlen(at) + 1) {
        char *nl = strchr(at, '\n');
        *nl = '\0';
        argv[n++] = at;
    }
    argv[n] = NULL;
    return apt("packages", argv, err);
}

/* ---- one package ---- */

static int hash_file(const char *path, char out[65], struct err *err)
{
    static char chunk[65536];
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 0;
    crypto_hash_sha256_init(&state);
    while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
        crypto_hash_sha256_update(&state, (const unsigned char *)chunk, (size_t)n);
    if (n < 0)
        return err_errno(err, "cannot read a package");
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(out, 65, hash, sizeof(hash));
    return 0;
}

/* NAME -> /etc/alternatives/NAME -> PATH, as dpkg would have them; the first package that wants the
 * name gets it, and what the root has in its own alternatives stays covered. */
static void link_alternative(const struct debs_alternative *a)
{
    char path[512], target[512];
    struct stat st;
    snprintf(path, sizeof(path), DEBS_DIR "%s", a->path);
    if (lstat(path, &st) < 0)
        return;
    snprintf(path, sizeof(path), DEBS_DIR "/etc/alternatives/%s", a->name);
    if (symlink(a->path, path) < 0)
        return;
    snprintf(path, sizeof(path), DEBS_DIR "%s", a->link);
    snprintf(target, sizeof(target), "/etc/alternatives/%s", a->name);
    char parent[512];
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    (void)mkdir_p(parent, 0755, NULL);
    if (symlink(target, path) == 0)
        steps_log("packages", "%s is %s", a->link, a->path);
}

/* The parts of a script that matter to us; whether there is more to it than debhelper's usual calls
 * of tools that a sandbox has no use for (ldconfig is one). */
static bool read_script(const char *name)
{
    static const char *const usual[] = {"ldconfig",
                                        "update-alternatives",
                                        "dpkg-maintscript-helper",
                                        "update-mime-database",
                                        "update-desktop-database",
                                        "gtk-update-icon-cache",
                                        "py3compile",
                                        "py3clean",
                                        "update-menus",
                                        "install-info",
                                        "deb-systemd",
                                        "systemctl",
                                        "update-rc.d",
                                        "invoke-rc.d",
                                        "fc-cache",
                                        "dpkg-trigger"};
    char path[PATH_MAX];
    bool more = false;
    snprintf(path, sizeof(path), CONTROL "/%s", name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_buf_ struct buf text = BUF_INIT(SCRIPT_MAX);
    if (fd < 0 || buf_read_fd(&text, fd) < 0 || !text.len)
        return false;
    /* a line that goes on is one */
    for (char *p = text.data; (p = strstr(p, "\\\n"));)
        p[0] = p[1] = ' ';
    for (char *line = text.data, *end; line && *line; line = end ? end + 1 : NULL) {
        struct debs_alternative a;
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        line += strspn(line, " \t");
        if (strcmp(name, "postinst") == 0 && debs_alternative(line, &a)) {
            link_alternative(&a);
            continue;
        }
        static const char *const words[] = {"adduser", "useradd",    "addgroup", "chown",
                                            "mkdir",   "ln ",        "cp ",      "mv ",
                                            "chmod ",  "locale-gen", "update-"};
        bool is_usual = line[0] == '#';
        for (size_t i = 0; !is_usual && i < sizeof(usual) / sizeof(*usual); i++)
            is_usual = strstr(line, usual[i]) != NULL;
        for (size_t i = 0; !is_usual && !more && i < sizeof(words) / sizeof(*words); i++)
            more = strncmp(line, words[i], strlen(words[i])) == 0;
    }
    return more;
}

static int unpack(const char *file, const char *name, struct err *err)
{
    char path[PATH_MAX];
    struct tail tail;
    snprintf(path, sizeof(path), ARCHIVES "/%s", file);
    const char *const data[] = {DPKG_DEB, "-x", path, DEBS_DIR, NULL};
    const char *const control[] = {DPKG_DEB, "-e", path, CONTROL, NULL};
    int n = remove_tree(AT_FDCWD, CONTROL, err);
    if (n == 0)
        n = steps_run("packages", control, &tail, err);
    if (n == 0)
        n = steps_run("packages", data, &tail, err);
    if (n < 0)
        return err_prefix(err, -n, "%s cannot be unpacked", name);
    bool more = read_script("preinst");
    more |= read_script("postinst");
    if (more)
        steps_log("warning", "%s has a script that would set it up as root, which is not run",
                  name);
    return 0;
}

/* NAME_VERSION_ARCHITECTURE.deb, where the version's colon is %3a. */
static int tell(const char *file, char *name, size_t size, struct err *err)
{
    char path[PATH_MAX], hash[65];
    const char *version = strchr(file, '_'), *arch = version ? strchr(version + 1, '_') : NULL;
    if (!arch || strlen(file) >= 400)
        return err_set(err, EPROTO, "apt fetched \"%.80s\", which is no package", file);
    snprintf(path, sizeof(path), ARCHIVES "/%s", file);
    int n = hash_file(path, hash, err);
    if (n < 0)
        return n;
    snprintf(name, size, "%.*s", (int)(version - file), file);
    printf("deb %s %.*s %.*s %s\n", name, (int)(arch - version - 1), version + 1,
           (int)(strlen(arch) - 1 - 4), arch + 1, hash);
    return 0;
}

static int is_deb(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && strcmp(e->d_name + n - 4, ".deb") == 0;
}

static int unpack_all(struct err *err)
{
    struct dirent **list;
    int n = 0, count = scandir(ARCHIVES, &list, is_deb, alphasort);
    if (count < 0)
        return err_errno(err, "cannot list what was fetched");
    if (count > MAX_DEBS)
        n = err_set(err, E2BIG, "these are more than %d packages", MAX_DEBS);
    for (int i = 0; i < count; i++) {
        char name[256];
        if (n == 0 && (n = tell(list[i]->d_name, name, sizeof(name), err)) == 0)
            n = unpack(list[i]->d_name, name, err);
        free(list[i]);
    }
    free(list);
    if (n == 0 && count == 0)
        steps_log("packages", "this system has all of them already");
    else if (n == 0)
        steps_log("packages", "%d unpacked", count);
    return n;
}

/* ---- what is left ---- */

/* Folders that a package adds for the dynamic linker, whose cache is the root's. */
static int write_ld_path(struct err *err)
{
    static const char conf[] = DEBS_DIR "/etc/ld.so.conf.d";
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    _cleanup_closedir_ DIR *dir = opendir(conf);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[PATH_MAX], text[4096];
        snprintf(path, sizeof(path), "%s/%s", conf, e->d_name);
        if (e->d_name[0] == '.' || file_read_small(path, text, sizeof(text)) <= 0)
            continue;
        for (char *save = NULL, *line = strtok_r(text, " \t\r\n", &save); line;
             line = strtok_r(NULL, " \t\r\n", &save))
            if (line[0] == '/' && !strchr(line, ':'))
                (void)buf_printf(&out, "%s%s", out.len ? ":" : "", line);
    }
    return out.len ? file_write_whole(LD_PATH, out.data, out.len, 0644, err) : 0;
}

static int tidy(struct err *err)
{
    int n = write_ld_path(err);
    for (size_t i = 0; n == 0 && i < sizeof(not_in_etc) / sizeof(*not_in_etc); i++) {
        char path[64];
        snprintf(path, sizeof(path), DEBS_DIR "/etc/%s", not_in_etc[i]);
        n = remove_tree(AT_FDCWD, path, err);
    }
    return n;
}

static int debs(struct err *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT(DEBS_FILE_MAX);
    _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = dir < 0 ? err_errno(err, "the version's tree cannot be opened")
                    : debs_read(dir, &names, err);
    if (n < 0)
        return n;
    if (access(APT_GET, X_OK) < 0 || access(DEBS_APT, R_OK) < 0 || access(DEBS_STATUS, R_OK) < 0)
        return err_set(err, ENOTSUP,
                       "packages.txt names Debian packages, and the system that Spaces see is no "
                       "Debian with apt: the operator can give them one by sandbox.root");
    n = make_folders(err);
    if (n == 0)
        n = write_conf(err);
    if (n < 0)
        return n;
    setenv("APT_CONFIG", CONF, 1);
    setenv("DEBIAN_FRONTEND", "noninteractive", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    if (names.len && (n = update(err)) == 0)
        n = fetch(&names, err);
    if (n == 0)
        n = unpack_all(err);
    return n < 0 ? n : tidy(err);
}

int debs_main(int argc, char **argv, int *ret_status)
{
    struct err err = {0};
    unsigned port = 0;
    if (argc < 1 || strcmp(argv[0], "debs") != 0)
        return -EINVAL;
    if (argc == 3 && strcmp(argv[1], "--proxy-port") == 0)
        port = (unsigned)strtoul(argv[2], NULL, 10);
    else if (argc != 1)
        return -EINVAL;
    umask(022);
    *ret_status = proxy_wait(port, INDEXES, &err) == 0 && debs(&err) == 0 ? 0 : 1;
    if (*ret_status)
        printf("error %s\n", err.msg);
    else
        printf("result {}\n");
    return fflush(stdout) == 0 ? 0 : -EIO;
}
