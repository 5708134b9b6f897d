#include "runner/build_index.h"

#include "common/conf.h"
#include "runner/indexes.h"
#include "runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHEELS "/run/vitrine/wheels"

/* A program of its own, no script that starts one from somewhere else. */
static bool is_elf(const char *path)
{
    char magic[4] = "";
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) &&
              read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

void build_index_uv(const struct runner *r, char *out)
{
    const char *uv = conf_of(r)->build_uv, *path = getenv("PATH"), *home = getenv("HOME");
    char text[8192];
    out[0] = 0;
    if (strcmp(uv, "none") == 0)
        return;
    if (strcmp(uv, "auto") != 0) {
        snprintf(out, PATH_MAX, "%s", uv);
        return;
    }
    snprintf(text, sizeof(text), "%s:%s/.local/bin", path ? path : "/usr/local/bin:/usr/bin",
             home ? home : "");
    for (char *save = NULL, *dir = strtok_r(text, ":", &save); dir;
         dir = strtok_r(NULL, ":", &save)) {
        char file[PATH_MAX];
        snprintf(file, sizeof(file), "%.4000s/uv", dir);
        if (dir[0] != '/' || !is_elf(file) || !realpath(file, out) || strchr(out, ':'))
            continue;
        return;
    }
    out[0] = 0;
}

static int add(char *list, uint32_t *len, size_t max, const char *fmt, const char *value)
{
    char text[PATH_MAX + 256];
    if (snprintf(text, sizeof(text), fmt, value) >= (int)sizeof(text))
        return -EMSGSIZE;
    return proto_list_add(list, len, max, text);
}

bool build_index_has_way_out(const struct runner *r)
{
    return strcmp(conf_of(r)->build_index, "none") != 0;
}

int build_index_fill(struct proto_start *start, struct runner *r)
{
    const struct conf *c = conf_of(r);
    int n = 0;
#define ENV(fmt, value)                                                                            \
    (n = n < 0 ? n : add(start->env, &start->env_len, sizeof(start->env), fmt, value))
#define MOUNT(fmt, value)                                                                          \
    (n = n < 0 ? n : add(start->mounts, &start->mounts_len, sizeof(start->mounts), fmt, value))
    if (build_index_has_way_out(r))
        return indexes_fill(r, start);
    if (c->build_find_links[0]) {
        MOUNT("ro:%s:" WHEELS, c->build_find_links);
        ENV("PIP_FIND_LINKS=%s", WHEELS);
        ENV("UV_FIND_LINKS=%s", WHEELS);
    }
    ENV("PIP_NO_INDEX=%s", "1");
#undef ENV
#undef MOUNT
    return n;
}

void build_index_identity(struct runner *r, struct buf *out)
{
    if (build_index_has_way_out(r))
        indexes_identity(r, out);
    buf_printf(out, "index %s\nfind-links %s\n", conf_of(r)->build_index,
               conf_of(r)->build_find_links);
}
