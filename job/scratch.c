#include "job/scratch.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define VARIABLE "VITRINE_SCRATCH"

static void remove_it(void)
{
    const char *folder = getenv(VARIABLE);

    if (folder)
        (void)remove_tree(AT_FDCWD, folder, NULL);
}

int scratch_begin(struct err *err)
{
    char folder[PATH_MAX];
    const char *place = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/vitrine-job-XXXXXX", place ? place : "/tmp");
    if (!mkdtemp(folder))
        return err_errno(err, "there is no room in /tmp");
    if (setenv(VARIABLE, folder, 1) < 0 || atexit(remove_it) != 0)
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

const char *scratch_path(const char *name, char out[PATH_MAX])
{
    const char *folder = getenv(VARIABLE);

    snprintf(out, PATH_MAX, "%s/%s", folder ? folder : "/nonexistent", name);
    return out;
}
