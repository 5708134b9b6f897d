#include "gpus.h"

#include "cleanup.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SEPARATORS ", \t"
#define VENDOR_AMD "0x1002"

static const char *const nvidia_common[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                            "/dev/nvidia-uvm-tools", NULL};
static const char *const amd_common[] = {"/dev/kfd", NULL};

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_word(const char *setting, const char *word)
{
    setting += strspn(setting, SEPARATORS);
    size_t n = strcspn(setting, SEPARATORS);
    return n == strlen(word) && strncmp(setting, word, n) == 0 &&
           !setting[n + strspn(setting + n, SEPARATORS)];
}

static bool is_char_device(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

static void add(struct gpu_list *l, const char *path)
{
    for (unsigned i = 0; i < l->n; i++)
        if (strcmp(l->path[i], path) == 0)
            return;
    if (l->n < GPUS_MAX && strlen(path) < GPU_PATH)
        snprintf(l->path[l->n++], GPU_PATH, "%s", path);
}

/* "/dev/dri/by-path/pci-0000:03:00.0-render" is a link, whose name no driver looks for. */
static void add_resolved(struct gpu_list *l, const char *path)
{
    char real[PATH_MAX];
    add(l, starts_with(path, "/dev/") && realpath(path, real) && starts_with(real, "/dev/") ? real
                                                                                            : path);
}

static int each_path(const char *setting, int (*each)(void *arg, const char *path), void *arg)
{
    int r = 0;
    while (r == 0 && *(setting += strspn(setting, SEPARATORS))) {
        size_t n = strcspn(setting, SEPARATORS);
        char path[GPU_PATH];
        snprintf(path, sizeof(path), "%.*s", n < sizeof(path) ? (int)n : (int)sizeof(path) - 1,
                 setting);
        r = each(arg, path);
        setting += n;
    }
    return r;
}

/* ---- syntax */

struct checking {
    const char *key;
    struct gpu_list places;
    struct err *err;
};

static int check_path(void *arg, const char *path)
{
    struct checking *c = arg;
    char place[GPU_PATH];
    if (path[0] != '/' || strlen(path) >= GPU_PATH - 1 || path[strlen(path) - 1] == '/')
        return err_set(c->err, EINVAL,
                       "%s: \"%.80s\" is not the absolute path of a device: use auto, none, or a "
                       "list such as /dev/nvidia0, /dev/nvidia1",
                       c->key, path);
    gpu_place(path, place);
    unsigned n = c->places.n;
    if (n == GPUS_MAX)
        return err_set(c->err, EINVAL, "%s: more than %d devices", c->key, GPUS_MAX);
    add(&c->places, place);
    return c->places.n > n
               ? 0
               : err_set(c->err, EINVAL, "%s: two devices would be %s in a sandbox", c->key, place);
}

int gpus_check(const char *setting, const char *key, struct err *err)
{
    struct checking c = {.key = key, .err = err};
    if (is_word(setting, "auto") || is_word(setting, "none"))
        return 0;
    return each_path(setting, check_path, &c);
}

/* ---- what there is */

/* The number of "nvidia3" after that prefix, -1 where something else follows. */
static long number_after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    if (!starts_with(name, prefix) || strspn(name + len, "0123456789") != strlen(name + len) ||
        !name[len] || strlen(name + len) > 4)
        return -1;
    return strtol(name + len, NULL, 10);
}

static int by_number(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return x < y ? -1 : x > y;
}

/* Those of a folder whose name is a prefix and a number, by number. */
static size_t numbers(const char *folder, const char *prefix, long out[GPUS_MAX])
{
    size_t n = 0;
    _cleanup_closedir_ DIR *d = opendir(folder);
    for (struct dirent *e; d && n < GPUS_MAX && (e = readdir(d));) {
        long v = number_after(e->d_name, prefix);
        if (v >= 0)
            out[n++] = v;
    }
    qsort(out, n, sizeof(*out), by_number);
    return n;
}

/* A render node may be that of another maker's card. */
static bool is_of(const char *sys, const char *node, const char *vendor)
{
    char path[PATH_MAX], said[32];
    struct stat st;
    if (stat(node, &st) < 0)
        return false;
    snprintf(path, sizeof(path), "%s/dev/char/%u:%u/device/vendor", sys, major(st.st_rdev),
             minor(st.st_rdev));
    return file_read_small(path, said, sizeof(said)) > 0 && strcmp(said, vendor) == 0;
}

void gpus_scan(const char *dev, const char *sys, struct gpu_list *ret)
{
    char folder[PATH_MAX], path[PATH_MAX];
    long found[GPUS_MAX];
    size_t n = numbers(dev, "nvidia", found);
    *ret = (struct gpu_list){0};
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/nvidia%ld", dev, found[i]);
        if (is_char_device(path))
            add(ret, path);
    }
    snprintf(path, sizeof(path), "%s/kfd", dev);
    if (!is_char_device(path))
        return;
    snprintf(folder, sizeof(folder), "%s/dri", dev);
    n = numbers(folder, "renderD", found);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/dri/renderD%ld", dev, found[i]);
        if (is_char_device(path) && is_of(sys, path, VENDOR_AMD))
            add(ret, path);
    }
}

static int add_asked(void *arg, const char *path)
{
    add_resolved(arg, path);
    return 0;
}

void gpus_find(const char *setting, struct gpu_list *ret)
{
    *ret = (struct gpu_list){0};
    if (is_word(setting, "none"))
        return;
    if (is_word(setting, "auto"))
        gpus_scan("/dev", "/sys", ret);
    else
        (void)each_path(setting, add_asked, ret);
}

static void add_those_there(struct gpu_list *l, const char *const *paths)
{
    for (; *paths; paths++)
        if (is_char_device(*paths))
            add(l, *paths);
}

static int add_for(void *arg, const char *path)
{
    if (number_after(path, "/dev/nvidia") >= 0)
        add_those_there(arg, nvidia_common);
    else if (number_after(path, "/dev/dri/renderD") >= 0 && is_of("/sys", path, VENDOR_AMD))
        add_those_there(arg, amd_common);
    return 0;
}

void gpus_common(const char *setting, const char *given, struct gpu_list *ret)
{
    *ret = (struct gpu_list){0};
    if (!*given || is_word(setting, "none"))
        return;
    if (is_word(setting, "auto"))
        (void)each_path(given, add_for, ret);
    else
        (void)each_path(setting, add_asked, ret);
}

/* ---- one device */

int gpu_usable(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(err, ENODEV, "there is no %s: %s", path, strerror(errno));
    if (!S_ISCHR(st.st_mode))
        return err_set(err, ENODEV, "%s is not a character device", path);
    if ((st.st_mode & 0006) != 0006)
        return err_set(err, EACCES,
                       "%s cannot be opened by a worker, whose uid is its own and in no group: its "
                       "mode is %04o, and has to be 0666 (by a rule of udev)",
                       path, st.st_mode & 07777);
    return 0;
}

void gpu_place(const char *path, char out[GPU_PATH])
{
    const char *slash = strrchr(path, '/');
    bool in_dev = starts_with(path, "/dev/");
    snprintf(out, GPU_PATH, "%s%.120s", in_dev ? "" : "/dev/",
             in_dev  ? path
             : slash ? slash + 1
                     : path);
}

struct names {
    char *out;
    size_t size;
};

static int add_name(void *arg, const char *path)
{
    const struct names *n = arg;
    const char *slash = strrchr(path, '/');
    size_t len = strlen(n->out);
    snprintf(n->out + len, n->size - len, "%s%s", len ? ", " : "", slash ? slash + 1 : path);
    return 0;
}

void gpus_names(const char *given, char *out, size_t size)
{
    struct names n = {out, size};
    out[0] = '\0';
    (void)each_path(given, add_name, &n);
}
