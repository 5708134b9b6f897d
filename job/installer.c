#include "job/installer.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Made to be run by other interpreters: nothing but pip is found beside it. */
#define PIP_RUNNER                                                                                 \
    "/usr/lib/python3/dist-packages/pip/__pip-runner__.py" /* Debian's python3-pip                 \
                                                            */
#define PYLOCK_SINCE 8                                     /* 0.8: of uv's versions */
#define PIP_WHEELS "/usr/share/python-wheels/pip-*.whl"    /* Debian's python3-pip-whl */

void args_add(struct args *a, const char *arg)
{
    a->too_many |= a->n + 1 >= INSTALLER_ARGS;
    if (a->too_many)
        return;
    a->v[a->n++] = arg;
    a->v[a->n] = NULL;
}

bool installer_is_uv(void)
{
    return access(ENV_UV, X_OK) == 0;
}

const char *installer_name(void)
{
    return installer_is_uv() ? "uv" : "pip";
}

static int set_places(struct err *err)
{
    static const struct {
        const char *name, *path;
    } places[] = {{"HOME", ENV_WORK "/home"},
                  {"TMPDIR", ENV_WORK "/tmp"},
                  {"XDG_CACHE_HOME", ENV_WORK "/cache"},
                  {"PIP_CACHE_DIR", ENV_WORK "/cache/pip"},
                  {"UV_CACHE_DIR", ENV_WORK "/cache/uv"}};
    int n = 0;
    for (size_t i = 0; n == 0 && i < sizeof(places) / sizeof(*places); i++) {
        n = mkdir_p(places[i].path, 0755, err);
        setenv(places[i].name, places[i].path, 1);
    }
    setenv("PIP_NO_INPUT", "1", 1);
    setenv("PIP_NO_COLOR", "1", 1);
    setenv("PIP_PROGRESS_BAR", "off", 1);
    setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1", 1);
    setenv("PIP_NO_WARN_SCRIPT_LOCATION", "1", 1);
    setenv("PIP_ROOT_USER_ACTION", "ignore", 1);
    setenv("PYTHONUNBUFFERED", "1", 1); /* its lines are read while it works */
    setenv("UV_NO_PROGRESS", "1", 1);
    setenv("UV_NO_CONFIG", "1", 1);
    setenv("UV_PYTHON_DOWNLOADS", "never", 1);
    setenv("UV_PREVIEW_FEATURES", "pylock", 1);          /* not a word about its being new */
    setenv("UV_INDEX_STRATEGY", "unsafe-best-match", 0); /* as pip: the best of all indexes */
    setenv("VIRTUAL_ENV", ENV_DIR, 1);
    setenv("PATH", ENV_DIR "/bin:/usr/local/bin:/usr/bin:/bin", 1);
    return n;
}

/* "uv 0.8.3 (...)" */
bool installer_has_pylock(void)
{
    unsigned major, minor;
    char text[64] = "";
    int pipe_fds[2], status;
    if (!installer_is_uv() || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fds[1], STDOUT_FILENO);
        execl(ENV_UV, ENV_UV, "--version", (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    _cleanup_close_ int out = pipe_fds[0];
    ssize_t n = read(out, text, sizeof(text) - 1); /* it writes its line at once */
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || n <= 0)
        return false;
    return sscanf(text, "uv %u.%u", &major, &minor) == 2 && (major || minor >= PYLOCK_SINCE);
}

int installer_begin(struct err *err)
{
    return set_places(err);
}

int installer_venv(const struct env_options *o, struct err *err)
{
    const char *with_uv[] = {ENV_UV,     "venv",    "--quiet", "--allow-existing",
                             "--python", o->python, ENV_DIR,   NULL};
    const char *plain[] = {o->python, "-m", "venv", "--without-pip", ENV_DIR, NULL};
    struct tail tail;
    char last[300];
    if (access(ENV_PYTHON, X_OK) == 0)
        return 0;
    if (steps_run("prepare", installer_is_uv() ? with_uv : plain, &tail, err) == 0)
        return 0;
    steps_reason(&tail, last, sizeof(last));
    return err_set(err, EIO, "no virtual environment could be made with %s: %s", o->python, last);
}

int installer_args(const struct env_options *o, const char *verb, const char *python,
                   struct args *a, struct err *err)
{
    static char pip[512];
    glob_t found;
    *a = (struct args){0};
    if (installer_is_uv()) {
        args_add(a, ENV_UV);
        args_add(a, "pip");
        args_add(a, verb);
        if (getenv("PIP_NO_INDEX"))
            args_add(a, "--no-index");
        args_add(a, "--python");
        args_add(a, python);
        return 0;
    }
    if (access(PIP_RUNNER, R_OK) == 0) {
        args_add(a, ENV_PYTHON);
        args_add(a, PIP_RUNNER);
    } else if (glob(PIP_WHEELS, 0, NULL, &found) == 0) { /* the newest: they are sorted */
        snprintf(pip, sizeof(pip), "%s/pip", found.gl_pathv[found.gl_pathc - 1]);
        globfree(&found);
        args_add(a, ENV_PYTHON);
        args_add(a, pip);
    } else {
        struct tail tail;
        const char *probe[] = {o->python, "-c", "import pip", NULL};
        if (steps_run("prepare", probe, &tail, NULL) < 0)
            return err_set(err, ENOENT,
                           "there is no installer here: the operator has to install uv, or pip "
                           "(Debian: python3-pip-whl)");
        args_add(a, o->python);
        args_add(a, "-m");
        args_add(a, "pip");
        args_add(a, "--python");
        args_add(a, ENV_PYTHON);
    }
    args_add(a, verb);
    return 0;
}

int installer_run(const char *step, const struct args *a, struct err *err)
{
    struct tail tail;
    char last[400];
    if (a->too_many)
        return err_set(err, E2BIG, "the installer's command line is too long");
    int n = steps_run(step, a->v, &tail, err);
    steps_reason(&tail, last, sizeof(last));
    return n < 0 && last[0] ? err_set(err, EIO, "%s", last) : n;
}
