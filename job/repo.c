#include "job/repo.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REFS_DEPTH = 32 };

static const char config[] = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n"
                             "\tbare = true\n";

/* ---- made, and swept ---- */

/* refs/.../x.lock: below `dir`, a folder that is opened already. */
static void sweep_locks(int dir, unsigned depth)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);

    if (!d) {
        close_fd(&copy);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name);

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (len > 5 && strcmp(e->d_name + len - 5, ".lock") == 0)
            unlinkat(dir, e->d_name, 0);
        if (depth == 0)
            continue;
        _cleanup_close_ int sub =
            openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0)
            sweep_locks(sub, depth - 1);
    }
}

/* Half-made objects, packs and quarantines in one folder. */
static void sweep_half_made(int repo, const char *folder)
{
    int fd = openat(repo, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        close_fd(&fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, "tmp_", 4) == 0 || strncmp(e->d_name, "incoming-", 9) == 0 ||
            strncmp(e->d_name, ".tmp-", 5) == 0)
            (void)remove_tree(dirfd(d), e->d_name, NULL);
}

static void sweep(int repo)
{
    _cleanup_close_ int refs = openat(repo, "refs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    sweep_locks(repo, 0);
    unlinkat(repo, "gc.pid", 0);
    if (refs >= 0)
        sweep_locks(refs, REFS_DEPTH);
    sweep_half_made(repo, "objects");
    sweep_half_made(repo, "objects/pack");
    sweep_half_made(repo, "lfs");
    for (unsigned i = 0; i < 256; i++) {
        char folder[16];

        snprintf(folder, sizeof(folder), "objects/%02x", i);
        sweep_half_made(repo, folder);
    }
}

int repo_open(const char *path, bool writes, struct err *err)
{
    static const char *const folders[] = {"objects", "objects/info", "objects/pack",
                                          "refs",    "refs/heads",   "refs/tags",
                                          "lfs",     "lfs/objects"};
    _cleanup_close_ int repo = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (repo < 0)
        return err_errno(err, "the repository cannot be opened");
    if (faccessat(repo, "HEAD", F_OK, 0) < 0) {
        char file[PATH_MAX];

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
            if (mkdirat(repo, folders[i], 0755) < 0 && errno != EEXIST)
                return err_errno(err, "the repository cannot be made");
        snprintf(file, sizeof(file), "%s/config", path);
        int r = file_write_whole(file, config, sizeof(config) - 1, 0644, err);
        snprintf(file, sizeof(file), "%s/HEAD", path);
        static const char head[] = "ref: " REPO_MAIN "\n";
        if (r == 0)
            r = file_write_whole(file, head, sizeof(head) - 1, 0644, err);
        if (r < 0)
            return r;
    }
    if (writes)
        sweep(repo);
    return 0;
}

/* ---- names ---- */

/* Puts what `argv` prints, one object's name, into `out`: 1, or 0 where git knows none. */
static int ask_oid(const char *const argv[], char out[GIT_OID_MAX + 1], struct err *err)
{
    _cleanup_buf_ struct buf said = BUF_INIT(4096);
    int status, r = git_run(argv, -1, &said, &status, err);

    out[0] = '\0';
    if (r < 0)
        return r;
    char *line = said.data ? said.data : "";
    size_t len = strcspn(line, "\n");

    if (status != 0 || len == 0 || len > GIT_OID_MAX)
        return 0;
    memcpy(out, line, len);
    out[len] = '\0';
    return git_is_oid(out);
}

int repo_ref(const char *ref, char out[GIT_OID_MAX + 1], struct err *err)
{
    char name[600];

    if (snprintf(name, sizeof(name), "%s^{commit}", ref) >= (int)sizeof(name))
        return err_set(err, EINVAL, "the name of the ref is too long");
    return ask_oid(
        (const char *[]){"git", "rev-parse", "--verify", "--quiet", "--end-of-options", name, NULL},
        out, err);
}

static bool is_plain(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 255 && name[0] != '-' && name[0] != '/' && !strstr(name, "..") &&
           !strstr(name, "@{") && !strpbrk(name, " ~^:?*[\\\177") &&
           name[strcspn(name, "\n\r\t")] == 0;
}

int repo_resolve(const char *name, char out[GIT_OID_MAX + 1], struct err *err)
{
    /* In this order, so that a branch called as a sha is the branch. */
    static const char *const places[] = {"refs/heads/%s", "refs/tags/%s", "refs/%s"};
    char ref[320];
    int r = 0;

    if (is_plain(name)) {
        for (size_t i = 0; r == 0 && i < 3; i++) {
            snprintf(ref, sizeof(ref), places[i],
                     i == 2 && strncmp(name, "refs/", 5) == 0 ? name + 5 : name);
            r = repo_ref(ref, out, err);
        }
        if (r == 0 && (strcmp(name, "HEAD") == 0 || strspn(name, "0123456789abcdef") >= 4))
            r = repo_ref(name, out, err);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    return err_set(err, ENXIO, "there is no branch, tag or commit %.200s",
                   is_plain(name) ? name : "of that name");
}

int repo_check_name(const char *what, const char *name, struct err *err)
{
    char ref[300];
    int status = 1;

    if (is_plain(name) && strcmp(name, "HEAD") != 0) {
        snprintf(ref, sizeof(ref), "refs/heads/%s", name);
        int r =
            git_run((const char *[]){"git", "check-ref-format", ref, NULL}, -1, NULL, &status, err);
        if (r < 0)
            return r;
    }
    return status == 0 ? 0
                       : err_set(err, EINVAL,
                                 "%.100s is no name for a %s: letters, digits, \".\", \"-\", \"_\" "
                                 "and \"/\" are",
                                 is_plain(name) ? name : "it", what);
}

int repo_set_ref(const char *ref, const char *sha, const char *old, struct err *err)
{
    static const char none[] = "0000000000000000000000000000000000000000";
    char now[GIT_OID_MAX + 1];
    int status, r = git_run((const char *[]){"git", "update-ref", "--no-deref", "--create-reflog",
                                             "-m", "vitrine", ref, sha, *old ? old : none, NULL},
                            -1, NULL, &status, err);

    if (r < 0 || status == 0)
        return r;
    if (repo_ref(ref, now, err) >= 0 && strcmp(now, old) != 0)
        return err_set(err, ESTALE, "%s has moved meanwhile: fetch it and try again", ref);
    return err_set(err, EIO, "%s cannot be set: another ref may be in its way", ref);
}

/* ---- commits ---- */

int repo_tree(const char *commit, char out[GIT_OID_MAX + 1], struct err *err)
{
    char name[GIT_OID_MAX + 16];

    snprintf(name, sizeof(name), "%s^{tree}", commit);
    int r = ask_oid(
        (const char *[]){"git", "rev-parse", "--verify", "--quiet", "--end-of-options", name, NULL},
        out, err);
    return r == 1 ? 0 : r < 0 ? r : err_set(err, ENXIO, "there is no commit %s", commit);
}

int repo_commit(const struct repo_commit *c, char out[GIT_OID_MAX + 1], struct err *err)
{
    const char *argv[10] = {"git", "commit-tree", c->tree, "-F", "-"};
    const char *name = c->author && *c->author ? c->author : "unknown";
    const char *email = c->email && *c->email ? c->email : "unknown@localhost";

    if (*c->parent) {
        argv[5] = "-p";
        argv[6] = c->parent;
    }
    const char *message = c->message && *c->message ? c->message : "Update";
    _cleanup_close_ int in = git_input(message, strlen(message), err);
    if (in < 0)
        return in;
    if (setenv("GIT_AUTHOR_NAME", name, 1) < 0 || setenv("GIT_AUTHOR_EMAIL", email, 1) < 0 ||
        setenv("GIT_COMMITTER_NAME", name, 1) < 0 || setenv("GIT_COMMITTER_EMAIL", email, 1) < 0)
        return err_set(err, ENOMEM, "out of memory");
    _cleanup_buf_ struct buf said = BUF_INIT(4096);
    int r = git_run(argv, in, &said, NULL, err);
    if (r < 0)
        return r;
    size_t len = said.data ? strcspn(said.data, "\n") : 0;
    if (len == 0 || len > GIT_OID_MAX)
        return err_set(err, EIO, "git commit-tree: it names no commit");
    memcpy(out, said.data, len);
    out[len] = '\0';
    return 0;
}
