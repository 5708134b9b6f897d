/* See built.h. */
#include "built.h"

#include "util.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define APP "/home/user/app"
#define HUB_CACHE "/home/user/.cache/huggingface/hub"

static bool is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void built_env_path(const char *data, const char *key, char *out, size_t size)
{
    snprintf(out, size, "%s/envs/%s/env", data, key);
}

bool built_env_has(const char *data, const char *key, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/envs/%s/env/%s", data, key, name);
    return is_folder(path);
}

void built_bytecode_path(const char *data, const char *key, char *out, size_t size)
{
    if (snprintf(out, size, "%s/envs/%s/bytecode/env", data, key) >= (int)size || !is_folder(out))
        out[0] = 0;
}

bool built_app(const struct built *b, char *out, size_t size)
{
    return b->env[0] && built_env_has(b->data, b->env, "app") &&
           snprintf(out, size, "%s/envs/%s/env/app", b->data, b->env) < (int)size;
}

static __attribute__((format(printf, 4, 5))) int put(built_add *add, void *arg, bool is_mount,
                                                     const char *fmt, ...)
{
    char text[PATH_MAX + 4608];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return n < (int)sizeof(text) ? add(arg, is_mount, text) : -EMSGSIZE;
}

/* Where it is the application, that is not mounted but run (built_app). */
static int place_env(const struct built *b, built_add *add, void *arg)
{
    char path[PATH_MAX];
    if (built_env_has(b->data, b->env, "app"))
        return 0;
    built_env_path(b->data, b->env, path, sizeof(path));
    int n = built_env_has(b->data, b->env, "node_modules")
                ? put(add, arg, true, "ro:%s/node_modules:" APP "/node_modules", path)
                : put(add, arg, true, "ro:%s:" BUILT_ENV, path);
    built_bytecode_path(b->data, b->env, path, sizeof(path));
    return n == 0 && path[0] ? put(add, arg, true, "ov:%s:" BUILT_ENV, path) : n;
}

int built_layer(const char *data, const char *key, built_add *add, void *arg)
{
    static const struct {
        const char *how, *folder;
    } places[] = {
        {"ov", "/usr"},       {"ov", "/etc"}, {"ov", "/etc/alternatives"},
        {"ov", "/etc/fonts"}, {"ro", "/opt"}, {"ro", "/var/lib"},
    };
    char top[PATH_MAX], path[PATH_MAX + 64], libraries[4096];
    int n = 0;
    built_env_path(data, key, top, sizeof(top));
    for (size_t i = 0; n == 0 && i < sizeof(places) / sizeof(*places); i++) {
        snprintf(path, sizeof(path), "%s%s", top, places[i].folder);
        if (is_folder(path))
            n = put(add, arg, true, "%s:%s:%s", places[i].how, path, places[i].folder);
    }
    /* where a package says that its libraries are; the linker's cache is the root's */
    snprintf(path, sizeof(path), "%s/ld-path", top);
    if (n == 0 && file_read_small(path, libraries, sizeof(libraries)) > 0)
        n = put(add, arg, false, "LD_LIBRARY_PATH=%.4000s", libraries);
    return n;
}

int built_place(const struct built *b, built_add *add, void *arg)
{
    int n = put(add, arg, false, "PATH=%s/usr/local/bin:/usr/bin:/bin%s",
                b->env[0] ? BUILT_ENV "/bin:" : "", b->layer[0] ? ":/usr/games" : "");
    if (n == 0 && b->env[0])
        n = put(add, arg, false, "VIRTUAL_ENV=" BUILT_ENV);
    if (n == 0 && b->env[0])
        n = place_env(b, add, arg);
    if (n == 0 && b->models[0]) { /* where huggingface_hub looks; it also writes there */
        char path[PATH_MAX];
        built_env_path(b->data, b->models, path, sizeof(path));
        n = put(add, arg, true, "cw:%s:" HUB_CACHE, path);
    }
    return n == 0 && b->layer[0] ? built_layer(b->data, b->layer, add, arg) : n;
}
