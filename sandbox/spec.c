/* See spec.h. */
#include "spec.h"

#include "sandbox/net_rules.h"

#include <errno.h>
#include <string.h>

/* The least size of a file system in the sandbox: a page of it must hold something. */
#define MIN_TMPFS_BYTES 65536

const char *const spec_writable_folders[SPEC_WRITABLE_FOLDERS] = {"/var", "/opt", "/srv",
                                                                  "/usr/local"};

bool spec_root_is_writable(const struct sandbox_spec *s)
{
    return s->start.root_bytes > 0 && strcmp(s->start.root, "host") != 0;
}

bool spec_has_devices(const struct sandbox_spec *s)
{
    bool has = false;
    for (int i = 0; i < s->n_mounts; i++)
        has |= s->mounts[i].device;
    return has;
}

bool spec_path_ok(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p;) {
        size_t part = strcspn(p + 1, "/");
        bool last = p[1 + part] == '\0';
        if (part == 0 && !(last && p == path))
            return false;
        if ((part == 1 && p[1] == '.') || (part == 2 && p[1] == '.' && p[2] == '.'))
            return false;
        p += 1 + part;
    }
    return true;
}

/* These are made anew in each sandbox; a mount over them would open what they close. */
static bool is_reserved(const char *dst)
{
    static const char app[] = SPEC_APP;
    static const char *const reserved[] = {"/proc", "/dev", "/sys", "/tmp", SPEC_HOME, app};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
        if (strcmp(dst, reserved[i]) == 0)
            return true;
    return strncmp(dst, "/proc/", 6) == 0 || strncmp(dst, "/dev/", 5) == 0 ||
           strncmp(dst, "/sys/", 5) == 0 || strcmp(dst, "/") == 0;
}

/* Folders of the root over which another may be laid: those of a distribution's packages. */
static bool has_layers(const char *dst)
{
    static const char *const places[] = {"/usr", "/etc", "/etc/alternatives", "/etc/fonts"};
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (strcmp(dst, places[i]) == 0)
            return true;
    return false;
}

/* Where the program may write anyway: below the home, and not in the application, which is such a
 * mount itself. */
static bool can_be_copied(const char *dst)
{
    static const char home[] = SPEC_HOME "/", app[] = SPEC_APP "/";
    return strncmp(dst, home, sizeof(home) - 1) == 0 && strncmp(dst, app, sizeof(app) - 1) != 0;
}

/* In /dev, or in a folder of it that is none of ours. */
static bool can_be_device(const char *dst)
{
    static const char *const own[] = {"/dev/shm", "/dev/fd", "/dev/stdin", "/dev/stdout",
                                      "/dev/stderr"};
    bool ok = strncmp(dst, "/dev/", 5) == 0 && strncmp(dst, "/dev/shm/", 9) != 0;
    for (size_t i = 0; ok && i < sizeof(own) / sizeof(*own); i++)
        ok = strcmp(dst, own[i]) != 0;
    return ok;
}

static int parse_mount(char *text, struct spec_mount *m, struct err *err)
{
    char *colon = strrchr(text, ':'); /* a source may hold colons */
    bool ro = strncmp(text, "ro:", 3) == 0, rw = strncmp(text, "rw:", 3) == 0;
    bool over = strncmp(text, "ov:", 3) == 0, copied = strncmp(text, "cw:", 3) == 0;
    bool device = strncmp(text, "dv:", 3) == 0;
    if ((!ro && !rw && !over && !copied && !device) || !colon || colon < text + 3)
        return err_set(err, EINVAL, "mount \"%s\" is not ro:, rw:, ov:, cw: or dv: and SRC:DST",
                       text);
    *colon = '\0';
    *m = (struct spec_mount){.writable = rw,
                             .over = over,
                             .copied = copied,
                             .device = device,
                             .src = text + 3,
                             .dst = colon + 1};
    if (m->src[0] != '/')
        return err_set(err, EINVAL, "mount source \"%s\" is not an absolute path", m->src);
    if (!spec_path_ok(m->dst) || strlen(m->dst) >= 256)
        return err_set(err, EINVAL, "mount target \"%s\" is not a plain absolute path", m->dst);
    if (copied && !can_be_copied(m->dst))
        return err_set(err, EINVAL, "mount target %s is not below the home", m->dst);
    if (device && !can_be_device(m->dst))
        return err_set(err, EINVAL, "device %s is not in /dev, or is one of the sandbox's own",
                       m->dst);
    if (!device && is_reserved(m->dst))
        return err_set(err, EINVAL, "mount target %s is made by the sandbox itself", m->dst);
    return 0;
}

/* Over what the root has there, or over a folder to read of this list. */
static int check_over(const struct sandbox_spec *s, const struct spec_mount *m, struct err *err)
{
    bool ok = !m->over || has_layers(m->dst);
    for (const struct spec_mount *o = s->mounts; !ok && o < m; o++)
        ok = !o->writable && !o->over && !o->copied && strcmp(o->dst, m->dst) == 0;
    return ok ? 0 : err_set(err, EINVAL, "nothing is laid over %s", m->dst);
}

static int check_hostname(const char *name, struct err *err)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool inner = i > 0 && i + 1 < n;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (inner && (c == '-' || c == '.')))
            continue;
        return err_set(err, EINVAL, "host name \"%s\" may have letters, digits, - and . only",
                       name);
    }
    return 0;
}

static int check_limits(const struct proto_start *st, struct err *err)
{
    if (st->port > 65535)
        return err_set(err, EINVAL, "port %u is above 65535", st->port);
    if (st->tmp_bytes < MIN_TMPFS_BYTES || st->home_bytes < MIN_TMPFS_BYTES)
        return err_set(err, EINVAL, "/tmp and home need at least %d bytes each", MIN_TMPFS_BYTES);
    if ((st->tmp_inodes && st->tmp_inodes < SPEC_MIN_INODES) ||
        (st->home_inodes && st->home_inodes < SPEC_MIN_INODES))
        return err_set(err, EINVAL, "/tmp and home need at least %d inodes each", SPEC_MIN_INODES);
    if (st->root_bytes && st->root_bytes < MIN_TMPFS_BYTES)
        return err_set(err, EINVAL, "the root's writable layer needs at least %d bytes, or 0",
                       MIN_TMPFS_BYTES);
    if (st->memory_bytes && st->memory_bytes < (4u << 20))
        return err_set(err, EINVAL, "memory limit of %llu bytes is below 4 MiB",
                       (unsigned long long)st->memory_bytes);
    if (st->pids && st->pids < 4)
        return err_set(err, EINVAL, "pids limit of %u is below 4", st->pids);
    if (st->cpu_milli && st->cpu_milli < 10)
        return err_set(err, EINVAL, "CPU limit of %llu thousandths is below 10",
                       (unsigned long long)st->cpu_milli);
    if (st->open_files && st->open_files < 16)
        return err_set(err, EINVAL, "open files limit of %u is below 16", st->open_files);
    return 0;
}

static int split(char *blob, uint32_t len, char **out, size_t max, const char *what,
                 struct err *err)
{
    int n = proto_list_split(blob, len, out, max);
    if (n < 0)
        return err_set(err, EINVAL, "%s is no list of at most %zu strings", what, max - 1);
    return n;
}

int spec_parse(struct sandbox_spec *s, struct err *err)
{
    struct proto_start *st = &s->start;
    int n = split(st->argv, st->argv_len, s->argv, SPEC_MAX_ARGS, "argv", err);
    if (n < 0)
        return n;
    if (n == 0 || !s->argv[0][0])
        return err_set(err, EINVAL, "there is no program to run");
    n = split(st->env, st->env_len, s->env, SPEC_MAX_ENV, "env", err);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        if (s->env[i][0] == '=' || !strchr(s->env[i], '='))
            return err_set(err, EINVAL, "environment entry \"%.60s\" is not NAME=VALUE", s->env[i]);
    if (st->secrets > (uint32_t)n)
        return err_set(err, EINVAL, "%u of %d environment entries are secrets", st->secrets, n);

    char *texts[SPEC_MAX_MOUNTS + 1];
    n = split(st->mounts, st->mounts_len, texts, SPEC_MAX_MOUNTS + 1, "mounts", err);
    if (n < 0)
        return n;
    int r, over = 0;
    for (s->n_mounts = 0; s->n_mounts < n; s->n_mounts++) {
        if ((r = parse_mount(texts[s->n_mounts], &s->mounts[s->n_mounts], err)) < 0 ||
            (r = check_over(s, &s->mounts[s->n_mounts], err)) < 0)
            return r;
        over += s->mounts[s->n_mounts].over;
    }
    if (over > SPEC_MAX_OVER)
        return err_set(err, EINVAL, "more than %d folders are laid over others", SPEC_MAX_OVER);

    if (strcmp(st->root, "host") != 0 && st->root[0] != '/')
        return err_set(err, EINVAL, "root \"%s\" is neither host nor an absolute path", st->root);
    if (st->app[0] && st->app[0] != '/')
        return err_set(err, EINVAL, "app \"%s\" is not an absolute path", st->app);
    if (!spec_path_ok(st->cwd))
        return err_set(err, EINVAL, "working folder \"%s\" is not a plain absolute path", st->cwd);
    if ((r = check_hostname(st->hostname, err)) < 0)
        return r;
    if ((r = net_rules_check(st, err)) < 0)
        return r;
    return check_limits(st, err);
}
