#include "devrun.h"

#include "client.h"
#include "common/buf.h"
#include "common/built.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ARGS_MAX 400
#define ANSWER_MAX (512u << 10)
#define JOB "/run/vitrine/vitrine-job"
#define STATIC "/run/vitrine/vitrine-static"
#define PACKAGES "/run/vitrine/site-packages" /* Streamlit looks for that word in its own path */

struct args {
    char *list[ARGS_MAX + 1]; /* owned */
    int count;
    bool failed;
};

static void args_free(struct args *a)
{
    for (int i = 0; i < a->count; i++)
        free(a->list[i]);
}

static __attribute__((format(printf, 2, 3))) void add(struct args *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = NULL;
    if (a->count == ARGS_MAX || vasprintf(&s, fmt, ap) < 0)
        a->failed = true;
    else
        a->list[a->count++] = s;
    va_end(ap);
}

static void add_sandbox(struct args *a, const struct devrun *d)
{
    add(a, "%s/vitrine-sandbox", d->programs);
    add(a, "run");
}

static void add_option(struct args *a, const char *option, const char *value)
{
    add(a, "%s", option);
    add(a, "%s", value);
}

static void add_env(struct args *a, const char *name, const char *value)
{
    add(a, "--env");
    add(a, "%s=%s", name, value);
}

/* Starts it with these descriptors as 0, 1 and 2 (-1: ours), in a process group of its own; ended
 * where we are. */
static int spawn(struct args *a, const int stdio[3], pid_t *ret, struct err *err)
{
    if (a->failed)
        return err_set(err, E2BIG, "the command line of the sandbox is too long");
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_errno(err, "cannot start %s", a->list[0]);
    if (pid) {
        *ret = pid;
        return 0;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 0; i < 3; i++)
        if (stdio[i] >= 0)
            dup2(stdio[i], i);
    if (getppid() == parent)
        execv(a->list[0], a->list);
    _exit(125);
}

/* ---- the card ---- */

/* The last line of what the job printed. */
static int read_answer(int fd, json_t **ret, struct err *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
    while (buf_read_fd(&out, fd) > 0)
        ;
    while (out.len && out.data[out.len - 1] == '\n')
        out.len--;
    const char *line = out.len ? memrchr(out.data, '\n', out.len) : NULL;
    line = line ? line + 1 : out.data ? out.data : "";
    size_t len = out.len - (size_t)(out.data ? line - out.data : 0);
    if (len > 6 && !strncmp(line, "error ", 6))
        return err_set(err, EINVAL, "%.*s", (int)(len - 6), line + 6);
    if (len > 7 && !strncmp(line, "result ", 7))
        *ret = json_loadb(line + 7, len - 7, 0, NULL);
    return *ret
               ? 0
               : err_set(err, EIO, "README.md could not be read in a sandbox; see `vitrine check`");
}

int devrun_card(const struct devrun *d, const struct folder *folder, json_t **ret, struct err *err)
{
    struct args a = {0};
    struct pack pack;
    pid_t pid;
    int p[2];
    *ret = NULL;
    int r = pack_outline(&pack, folder, err);
    if (r < 0)
        return r;
    _cleanup_close_ int outline = pack.fd;
    if (lseek(outline, 0, SEEK_SET) < 0 || pipe2(p, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    _cleanup_close_ int from = p[0], to = p[1];
    add_sandbox(&a, d);
    add(&a, "--ro");
    add(&a, "%s/vitrine-job:" JOB, d->programs);
    add(&a, "--");
    add(&a, "/bin/sh");
    add(&a, "-c");
    add(&a, "mkdir /tmp/tree && exec " JOB " unpack --name folder.tar.zst --max-unpacked 16M "
            "--max-files 1000000 /tmp/tree");
    r = spawn(&a, (int[]){outline, to, -1}, &pid, err);
    args_free(&a);
    if (r < 0)
        return r;
    close_fd(&to);
    r = read_answer(from, ret, err);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}

/* ---- the program ---- */

/* As runner/recipe.c has it for a worker. */
static void add_program(struct args *a, const char *python, const char *sdk, const char *app_file,
                        unsigned port)
{
    if (!strcmp(sdk, "static")) {
        const char *slash = strrchr(app_file, '/');
        add(a, STATIC);
        add(a, "--port");
        add(a, "%u", port);
        if (*app_file) {
            add(a, "--index");
            add(a, "%s", slash ? slash + 1 : app_file);
        }
        add(a, "/home/user/app%s%.*s", slash ? "/" : "", slash ? (int)(slash - app_file) : 0,
            app_file);
    } else if (!strcmp(sdk, "streamlit")) {
        add(a, "%s", python);
        add(a, "-m");
        add(a, "streamlit");
        add(a, "run");
        add(a, "%s", app_file);
        add(a, "--server.port");
        add(a, "%u", port);
        add(a, "--server.address");
        add(a, "127.0.0.1");
    } else if (!strcmp(sdk, "command")) {
        add(a, "/home/user/app/%s", app_file);
    } else {
        bool npm = !strcmp(sdk, "node") && !strcmp(app_file, "package.json");
        add(a, "%s", npm ? "npm" : !strcmp(sdk, "node") ? "node" : python);
        add(a, "%s", npm ? "start" : app_file);
    }
}

static void add_environment(struct args *a, const struct devrun *d, const json_t *record,
                            unsigned port)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", port);
    add_env(a, "PORT", number);
    add_env(a, "SPACE_ID", "local/dev");
    add(a, "--env");
    add(a, "SPACE_HOST=localhost:%u", d->public_port);
    add_env(a, "SPACE_TITLE", json_str(record, "title"));
    add_env(a, "SPACE_AUTHOR_NAME", "local");
    add_env(a, "SPACE_REPO_NAME", "dev");
    add_env(a, "GRADIO_SERVER_NAME", "0.0.0.0");
    add_env(a, "GRADIO_SERVER_PORT", number);
    add_env(a, "STREAMLIT_SERVER_PORT", number);
    add_env(a, "STREAMLIT_SERVER_HEADLESS", "true");
    add_env(a, "STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false");
    add_env(a, "STREAMLIT_SERVER_FILE_WATCHER_TYPE", "none"); /* a change starts it anew */
    add_env(a, "PYTHONUNBUFFERED", "1");
    if (*d->packages)
        add_env(a, "PYTHONPATH", PACKAGES);
    for (char *const *e = d->env; e && *e; e++)
        add_option(a, "--env", *e);
}

static int add_built(void *arg, bool is_mount, const char *text)
{
    static const char *const options[][2] = {
        {"ro:", "--ro"}, {"rw:", "--rw"}, {"ov:", "--over"}, {"cw:", "--copied"}};
    if (!is_mount)
        add_option(arg, "--env", text);
    for (size_t i = 0; is_mount && i < sizeof(options) / sizeof(*options); i++)
        if (strncmp(text, options[i][0], 3) == 0)
            add_option(arg, options[i][1], text + 3);
    return 0;
}

static void add_root(struct args *a, const struct devrun *d)
{
    if (strcmp(d->conf->sandbox_root, "host") != 0)
        add_option(a, "--root", d->conf->sandbox_root);
}

/* What was built, and the application: as the build left it, or as the folder has it. */
static void add_files(struct args *a, const struct devrun *d, const struct devstage *s)
{
    const struct devbuilt *made = d->built;
    char app[4400];
    if (!made) {
        add_option(a, "--app", s->app);
        return;
    }
    const struct built built = {.data = made->data,
                                .env = made->keys.env,
                                .layer = made->keys.layer,
                                .models = made->keys.models};
    add_option(a, "--app", built_app(&built, app, sizeof(app)) ? app : s->app);
    add(a, "--uid-index");
    add(a, "%u", made->keys.uid_index);
    (void)built_place(&built, add_built, a);
}

int devrun_start(const struct devrun *d, const struct devstage *s, const json_t *record, pid_t *ret,
                 struct err *err)
{
    struct args a = {0};
    unsigned port = (unsigned)json_integer_value(json_object_get(record, "app_port"));
    _cleanup_close_ int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const char *python = d->built && *d->built->keys.env ? BUILT_PYTHON : d->conf->sandbox_python;
    add_sandbox(&a, d);
    add_root(&a, d);
    add_files(&a, d, s);
    add(&a, "--rw");
    add(&a, "%s:/data", s->data);
    add(&a, "--ro");
    add(&a, "%s/vitrine-static:" STATIC, d->programs);
    if (*d->packages) {
        add(&a, "--ro");
        add(&a, "%s:" PACKAGES, d->packages);
    }
    if (*d->node_modules) {
        add(&a, "--ro");
        add(&a, "%s:/home/user/app/node_modules", d->node_modules);
    }
    if (d->memory)
        add_option(&a, "--memory", d->memory);
    if (d->net)
        add_option(&a, "--net", d->net);
    add(&a, "--port");
    add(&a, "%u", port);
    add(&a, "--listener");
    add(&a, "%d", d->listener);
    add_environment(&a, d, record, port);
    add(&a, "--");
    add_program(&a, python, json_str(record, "sdk"), json_str(record, "app_file"), port);
    int r = spawn(&a, (int[]){nothing, -1, -1}, ret, err);
    args_free(&a);
    return r;
}

static void clean_as(const struct devrun *d, const struct devstage *s, const struct devbuilt *made)
{
    struct args a = {0};
    pid_t pid;
    if (rmdir(s->data) == 0 || errno != ENOTEMPTY)
        return;
    add_sandbox(&a, d);
    if (made) {
        add(&a, "--uid-index");
        add(&a, "%u", made->keys.uid_index);
    }
    add(&a, "--rw");
    add(&a, "%s:/data", s->data);
    for (const char *const *w = (const char *const[]){"--", "/usr/bin/find", "/data", "-mindepth",
                                                      "1", "-delete", NULL};
         *w; w++)
        add(&a, "%s", *w);
    if (spawn(&a, (int[]){-1, -1, -1}, &pid, NULL) == 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    args_free(&a);
}

/* As each of the users whom it has belonged to. */
void devrun_clean(const struct devrun *d, const struct devstage *s)
{
    clean_as(d, s, NULL);
    if (d->built)
        clean_as(d, s, d->built);
}
