#include "runner/build_index.h"

#include "common/conf.h"
#include "runner/indexes.h"
#include "runner/runner.h"
#include "runner/start_list.h"

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

bool build_index_has_way_out(const struct runner *r)
{
    return strcmp(conf_of(r)->build_index, "none") != 0;
}

int build_index_fill(struct proto_start *start, struct runner *r)
{
    const struct conf *c = conf_of(r);
    struct start_list env = START_LIST(start, env), mounts = START_LIST(start, mounts);
    if (build_index_has_way_out(r))
        return indexes_fill(r, start);
    if (c->build_find_links[0]) {
        start_list_add(&mounts, "ro:%s:" WHEELS, c->build_find_links);
        start_list_add(&env, "PIP_FIND_LINKS=%s", WHEELS);
        start_list_add(&env, "UV_FIND_LINKS=%s", WHEELS);
    }
    start_list_add(&env, "PIP_NO_INDEX=1");
    return env.failed ? env.failed : mounts.failed;
}

void build_index_identity(struct runner *r, struct buf *out)
{
    if (build_index_has_way_out(r))
        indexes_identity(r, out);
    buf_printf(out, "index %s\nfind-links %s\n", conf_of(r)->build_index,
               conf_of(r)->build_find_links);
}
