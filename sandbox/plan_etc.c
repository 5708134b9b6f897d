/* /etc of a sandbox: who there is (root, the program's user, nobody), how names are resolved, and
 * what libraries look for; nothing that tells about the host. */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Taken from the root where they are there. */
static const char *const taken[] = {
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d", /* the dynamic linker */
    "alternatives", /* /usr/bin/X -> /etc/alternatives/X */
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates",
    "pki/tls/certs", /* whom TLS trusts */
    "localtime",
    "timezone", /* the time zone */
    "mime.types",
    "services",
    "protocols",
    "gai.conf", /* well-known names */
    "fonts",
    "terminfo",
    "ImageMagick-6",
    "java-17-openjdk", /* data of libraries */
    "python3",
    "python3.11",
    "perl",
    "R", /* start files of interpreters */
};

static int take(struct plan *p, int root_fd, const char *name, struct err *err)
{
    char src[64], dst[64];
    snprintf(src, sizeof(src), "etc/%s", name);
    snprintf(dst, sizeof(dst), "/etc/%s", name);
    struct stat st;
    if (fstatat(root_fd, src, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(root_fd, src, target, sizeof(target) - 1);
        if (n < 0)
            return 0;
        target[n] = '\0';
        /* a link to what is there anyway; others would dangle */
        return strncmp(target, "/usr/", 5) == 0 ? plan_link(p, target, dst, err) : 0;
    }
    return plan_mount(p, root_fd, src, dst, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, err);
}

int plan_etc(struct plan *p, int root_fd, const char *hostname, struct err *err)
{
    const char *host = *hostname ? hostname : "sandbox";
    int r;
    if ((r = plan_file(p, "/etc/passwd", err,
                       "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                       "user:x:%d:%d:user:%s:/bin/sh\n"
                       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                       SPEC_UID, SPEC_UID, SPEC_HOME)) < 0 ||
        (r = plan_file(p, "/etc/group", err, "root:x:0:\nuser:x:%d:\nnogroup:x:65534:\n",
                       SPEC_UID)) < 0 ||
        (r = plan_file(p, "/etc/hosts", err, "127.0.0.1 localhost %s\n::1 localhost\n", host)) <
            0 ||
        (r = plan_file(p, "/etc/hostname", err, "%s\n", host)) < 0 ||
        (r = plan_file(p, "/etc/nsswitch.conf", err,
                       "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                       "services: files\nprotocols: files\nnetworks: files\n")) < 0 ||
        (r = plan_file(p, "/etc/host.conf", err, "multi on\n")) < 0 ||
        (r = plan_file(p, "/etc/resolv.conf", err, "# no network\n")) < 0 ||
        (r = plan_link(p, "/proc/self/mounts", "/etc/mtab", err)) < 0)
        return r;
    for (size_t i = 0; r == 0 && i < sizeof(taken) / sizeof(*taken); i++)
        r = take(p, root_fd, taken[i], err);
    return r;
}
