/* packages.txt: Debian packages of a Space, unpacked without root into a folder that its sandboxes
 * lay over their root.
 *
 *   vitrine-job debs        in the version's tree; needs the way out
 *       stdout: `log STEP TEXT`, `deb NAME VERSION ARCHITECTURE SHA256` for each package in the
 * order of their names, `result {}`; or `error SENTENCE` and status 1
 *
 * Chosen and fetched by apt-get with folders of its own, from the sources of the host, whose
 * signatures it checks by the host's keys; what the host has is not taken again. dpkg-deb unpacks.
 * No script of a package is run: alternatives that a script would register by fixed words are
 * linked (update-alternatives(1)), and which packages have others is said. Nothing in here is the
 * Space's but the names. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>

#define DEBS_DIR "/run/vitrine/debs"           /* what comes out */
#define DEBS_WORK DEBS_DIR "/.work"            /* what only the build needs */
#define DEBS_APT "/run/vitrine/apt"            /* /etc/apt of the root */
#define DEBS_STATUS "/run/vitrine/dpkg-status" /* what the root has */
#define DEBS_FILE "packages.txt"
#define DEBS_MAX 500 /* names in a list */

enum { DEBS_FILE_MAX = 64 * 1024 };

/* The names in a packages.txt, one a line in `out`: blanks divide them, '#' begins a comment.
 * -EINVAL with line, word and what is wrong. */
int debs_parse(const char *text, struct buf *out, struct err *err);
/* The same of the file in the folder; nothing where there is none. */
int debs_read(int dir_fd, struct buf *out, struct err *err);

/* A digest of them, "" where there are none. */
int debs_digest(int dir_fd, char ret[65], struct err *err);

/* One line of a script: what `update-alternatives --install LINK NAME PATH PRIORITY` says there in
 * fixed words, with absolute paths. False where it says no such thing. */
struct debs_alternative {
    char link[256], name[128], path[256];
};
bool debs_alternative(const char *line, struct debs_alternative *ret);

int debs_main(int argc, char **argv, int *ret_status);
