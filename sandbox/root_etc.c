/* /etc of sandboxes: who there is (root, the program's user, nobody), how names are resolved, and
 * what libraries look for; nothing that tells about the host. */
#include "root.h"

#include "common/cleanup.h"
#include "sandbox/plan.h"
#include "sandbox/mount_api.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define UID NUMBER(SPEC_UID)

static const struct {
    const char *path, *text;
} files[] = {
    {"/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                    "user:x:" UID ":" UID ":user:" SPEC_HOME ":/bin/sh\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"/etc/group", "root:x:0:\nuser:x:" UID ":\nnogroup:x:65534:\n"},
    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                           "services: files\nprotocols: files\nnetworks: files\n"},
    {"/etc/host.conf", "multi on\n"},
};

static const struct {
    const char *path, *target;
} links[] = {
    {"/etc/hosts", ROOT_OWN_DIR "/hosts"},
    {"/etc/resolv.conf", ROOT_OWN_DIR "/resolv.conf"},
    {"/etc/hostname", ROOT_OWN_DIR "/hostname"},
    {"/etc/mtab", "/proc/self/mounts"},
};

/* Folders of many entries: mounted, and shown by overlays (45 us each, as five copied files). */
const char *const root_etc_folders[ROOT_ETC_FOLDERS] = {
    "etc/alternatives",                 /* /usr/bin/X -> /etc/alternatives/X */
    "etc/ssl/certs",                    /* whom TLS trusts */
    "etc/fonts", "etc/java-17-openjdk", /* /usr/lib/jvm has links to it */
};

/* Copied from the source where they are there. */
static const char *const taken[] = {
    /* the dynamic linker */
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    /* whom TLS trusts */
    "ssl/openssl.cnf",
    "pki/tls/certs",
    /* the time zone */
    "localtime",
    "timezone",
    /* well-known names */
    "mime.types",
    "services",
    "protocols",
    /* data of libraries, start files of interpreters */
    "terminfo",
    "ImageMagick-6",
    "python3.11",
    "perl",
    "R",
};

static int show(int root_fd, int source_fd, const char *name, struct err *err)
{
    char path[64];
    struct stat st;
    if (fstatat(source_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    snprintf(path, sizeof(path), "/%s", name);
    int fd = plan_open_source(source_fd, name, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, err);
    return fd < 0 ? fd : root_mount(root_fd, fd, path, err);
}

int root_etc(int root_fd, int source_fd, struct err *err)
{
    int r = root_dir(root_fd, "/etc", err);
    for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(*files); i++)
        r = root_file(root_fd, files[i].path, files[i].text, err);
    for (size_t i = 0; r == 0 && i < sizeof(links) / sizeof(*links); i++)
        r = root_link(root_fd, links[i].target, links[i].path, err);
    for (size_t i = 0; r == 0 && i < ROOT_ETC_FOLDERS; i++)
        r = show(root_fd, source_fd, root_etc_folders[i], err);
    return r;
}

int root_etc_files(int root_fd, int source_fd, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    _cleanup_close_ int from = openat(source_fd, "etc", flags & ~O_NOFOLLOW);
    if (from < 0)
        return 0;
    _cleanup_close_ int to = openat(root_fd, "etc", flags);
    if (to < 0)
        return err_errno(err, "open the new /etc");
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(taken) / sizeof(*taken); i++)
        r = root_take(from, taken[i], to, err);
    return r;
}
