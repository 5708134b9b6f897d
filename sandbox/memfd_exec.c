/* See memfd_exec.h. */
#include "memfd_exec.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "vitrine-sandbox"
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

void memfd_exec(char **argv)
{
    char link[64];
    ssize_t n = readlink("/proc/self/exe", link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = '\0';
    if (strncmp(link, "/memfd:", 7) == 0) {
        prctl(PR_SET_NAME, NAME); /* exec by descriptor named it after that */
        return;
    }
    _cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    /* where vm.memfd_noexec is 1, one that does not say so cannot be run */
    _cleanup_close_ int copy = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (copy < 0) /* Linux before 6.3 */
        copy = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct stat st;
    if (exe < 0 || copy < 0 || fstat(exe, &st) < 0)
        return;
    for (off_t left = st.st_size; left > 0; left -= n)
        if ((n = sendfile(copy, exe, NULL, (size_t)left)) <= 0)
            return;
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return;
    fexecve(copy, argv, environ);
}
