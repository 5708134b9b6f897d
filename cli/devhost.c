#include "devhost.h"

#include "client.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has(const char *dir, const char *name)
{
    char path[4200];
    snprintf(path, sizeof(path), "%.4000s/%s", dir, name);
    return access(path, R_OK) == 0;
}

void devhost_advise(const struct devrun *run, const char *dir, const json_t *record)
{
    const char *sdk = json_str(record, "sdk");
    const char *version = json_str(json_object_get(record, "card"), "sdk_version");
    bool of_python = !strcmp(sdk, "gradio") || !strcmp(sdk, "streamlit"),
         lists = has(dir, "requirements.txt") && strcmp(sdk, "static") != 0;
    if (!*run->packages && (of_python || lists))
        fprintf(stderr,
                "dev: a deploy installs %s%s%s, this does not; in the folder, make python3 -m venv "
                ".venv && .venv/bin/pip install%s%s%s%s%s\n",
                lists ? "requirements.txt" : "", lists && of_python ? " and " : "",
                of_python ? sdk : "", lists ? " -r requirements.txt" : "", of_python ? " " : "",
                of_python ? sdk : "", of_python && *version ? "==" : "", of_python ? version : "");
    if (!strcmp(sdk, "node") && has(dir, "package.json") && !*run->node_modules)
        fprintf(stderr, "dev: a deploy installs what package.json asks for, this does not; in the "
                        "folder, run npm install\n");
    if (has(dir, "packages.txt"))
        fprintf(stderr, "dev: a deploy adds the Debian packages of packages.txt; here the program "
                        "sees those of this machine\n");
}

/* What `npm install` made, or would have to make. */
static void find_modules(struct devrun *run, const char *dir)
{
    char path[4200];
    snprintf(path, sizeof(path), "%.4000s/node_modules", dir);
    if (access(path, R_OK | X_OK) == 0)
        snprintf(run->node_modules, sizeof(run->node_modules), "%.4000s/node_modules", dir);
}

/* The site-packages of a virtual environment: of the folder, else the one that is active. */
static void find_packages(struct devrun *run, const char *dir)
{
    const char *active = getenv("VIRTUAL_ENV");
    const char *const places[] = {".venv", "venv", "env"};
    char pattern[4200];
    glob_t g = {0};
    for (size_t i = 0; i < 4 && !g.gl_pathc; i++) {
        if (i < 3)
            snprintf(pattern, sizeof(pattern), "%s/%s/lib/python3*/site-packages", dir, places[i]);
        else
            snprintf(pattern, sizeof(pattern), "%s/lib/python3*/site-packages",
                     active ? active : "");
        if (i < 3 || active)
            (void)glob(pattern, 0, NULL, &g);
    }
    if (g.gl_pathc)
        snprintf(run->packages, sizeof(run->packages), "%s", g.gl_pathv[0]);
    globfree(&g);
}

void devhost_find(struct devrun *run, const char *dir)
{
    find_packages(run, dir);
    find_modules(run, dir);
}
