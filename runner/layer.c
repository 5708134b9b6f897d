#include "runner/layer.h"

#include "common/proto.h"
#include "common/util.h"
#include "runner/build_env.h"
#include "runner/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int layer_fill(struct proto_start *start, const struct runner *r, const char *key)
{
    static const struct {
        const char *how, *folder;
    } places[] = {
        {"ov", "/usr"},       {"ov", "/etc"}, {"ov", "/etc/alternatives"},
        {"ov", "/etc/fonts"}, {"ro", "/opt"}, {"ro", "/var/lib"},
    };
    char top[PATH_MAX], path[PATH_MAX + 64], text[PATH_MAX + 512], libraries[4096];
    int n = 0;
    env_path(r, key, top, sizeof(top));
    for (size_t i = 0; n == 0 && i < sizeof(places) / sizeof(*places); i++) {
        struct stat st;
        snprintf(path, sizeof(path), "%s%s", top, places[i].folder);
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        snprintf(text, sizeof(text), "%s:%s:%s", places[i].how, path, places[i].folder);
        n = proto_list_add(start->mounts, &start->mounts_len, sizeof(start->mounts), text);
    }
    /* where a package says that its libraries are; the linker's cache is the root's */
    snprintf(path, sizeof(path), "%s/ld-path", top);
    if (n == 0 && file_read_small(path, libraries, sizeof(libraries)) > 0) {
        snprintf(text, sizeof(text), "LD_LIBRARY_PATH=%.4000s", libraries);
        n = proto_list_add(start->env, &start->env_len, sizeof(start->env), text);
    }
    return n;
}
