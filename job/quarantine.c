#include "job/quarantine.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "tmp_quarantine" /* git and repo_open take it for litter */

static bool begun;

int quarantine_begin(const char *repo, struct err *err)
{
    char path[PATH_MAX], objects[PATH_MAX];

    snprintf(objects, sizeof(objects), "%s/objects", repo);
    snprintf(path, sizeof(path), "%s/objects/" FOLDER, repo);
    if (mkdir(path, 0755) < 0)
        return err_errno(err, "the commit cannot be stored");
    if (setenv("GIT_OBJECT_DIRECTORY", path, 1) < 0 ||
        setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects, 1) < 0)
        return err_set(err, ENOMEM, "out of memory");
    begun = true;
    return 0;
}

static DIR *open_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d)
        close_fd(&fd);
    return d;
}

static bool is_index(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".idx") == 0;
}

/* Moves the files of a folder; of packs the index last, which is what makes one seen. */
static int move_files(int from, int to, const char *folder, bool indexes, struct err *err)
{
    _cleanup_closedir_ DIR *source = open_folder(from, folder);
    _cleanup_close_ int target = openat(to, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (!source || target < 0)
        return err_errno(err, "the commit cannot be stored");
    for (struct dirent *e; (e = readdir(source));)
        if (e->d_name[0] != '.' && is_index(e->d_name) == indexes &&
            renameat(dirfd(source), e->d_name, target, e->d_name) < 0)
            return err_errno(err, "the commit cannot be stored");
    return 0;
}

static int migrate(int objects, struct err *err)
{
    _cleanup_closedir_ DIR *d = open_folder(objects, FOLDER);
    int r = 0;

    if (!d)
        return err_errno(err, "the commit cannot be stored");
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (e->d_name[0] == '.' || (strlen(e->d_name) != 2 && strcmp(e->d_name, "pack") != 0))
            continue;
        if (mkdirat(objects, e->d_name, 0755) < 0 && errno != EEXIST)
            return err_errno(err, "the commit cannot be stored");
        r = move_files(dirfd(d), objects, e->d_name, false, err);
        if (r == 0)
            r = move_files(dirfd(d), objects, e->d_name, true, err);
    }
    return r;
}

int quarantine_end(const char *repo, int result, struct err *err)
{
    char path[PATH_MAX];

    if (!begun)
        return result;
    begun = false;
    unsetenv("GIT_OBJECT_DIRECTORY");
    unsetenv("GIT_ALTERNATE_OBJECT_DIRECTORIES");
    snprintf(path, sizeof(path), "%s/objects", repo);
    _cleanup_close_ int objects = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (objects < 0)
        return result < 0 ? result : err_errno(err, "the commit cannot be stored");
    if (result == 0)
        result = migrate(objects, err);
    (void)remove_tree(objects, FOLDER, NULL);
    return result;
}
