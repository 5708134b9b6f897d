/* See init_met.h. */
#include "init_met.h"

#include "common/util.h"
#include "sandbox/spec.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FULL_PAGES                                                                                 \
    16 /* a program gives up before the last page is used, if it writes in blocks                  \
        */
#define OUTPUT_EACH_MS 250

static const char no_files[] = "oo many open files";   /* strerror's, Go's and Node's spelling */
static const char no_files_of_system[] = " in system"; /* another error's: the host's limit */
static const char no_space[] = "o space left on device";

/* `bytes` is what the sandbox gave it; another file system at that place was asked for by whoever
 * runs the sandbox, and is not ours to speak of. */
static void look_at(struct init_met *m, const char *path, enum space_limit size,
                    enum space_limit inodes)
{
    struct statfs fs;
    uint64_t bytes = m->limits.v[size];
    if (statfs(path, &fs) < 0 || fs.f_type != TMPFS_MAGIC || fs.f_bsize <= 0)
        return;
    uint64_t block = (uint64_t)fs.f_bsize;
    if (fs.f_blocks != (bytes + block - 1) / block)
        return;
    uint64_t near = fs.f_blocks / 64 < FULL_PAGES ? fs.f_blocks / 64 : FULL_PAGES;
    if (fs.f_bfree <= near)
        m->met |= LIMIT_BIT(size);
    if (fs.f_ffree == 0) {
        m->met |= LIMIT_BIT(inodes);
        m->limits.v[inodes] = fs.f_files;
    }
}

void init_met_look(struct init_met *m, uint64_t every_ms)
{
    uint64_t now = mono_ms();
    if (m->looked_ms && now - m->looked_ms < every_ms)
        return;
    m->looked_ms = now;
    look_at(m, "/tmp", LIMIT_TMP_SIZE, LIMIT_TMP_INODES);
    look_at(m, SPEC_HOME, LIMIT_HOME_SIZE, LIMIT_HOME_INODES);
}

static bool says(const char *data, size_t len, const char *words)
{
    return memmem(data, len, words, strlen(words)) != NULL;
}

static bool says_no_files(const char *data, size_t len)
{
    const size_t n = sizeof(no_files) - 1, more = sizeof(no_files_of_system) - 1;
    for (const char *p = data; (p = memmem(p, len - (size_t)(p - data), no_files, n)); p += n) {
        size_t left = len - (size_t)(p + n - data);
        if (left < more || memcmp(p + n, no_files_of_system, more) != 0)
            return true;
    }
    return false;
}

static void hear(struct init_met *m, const char *data, size_t len)
{
    if (m->limits.v[LIMIT_OPEN_FILES] && says_no_files(data, len))
        m->met |= LIMIT_BIT(LIMIT_OPEN_FILES);
    init_met_look(m, says(data, len, no_space) ? 0 : OUTPUT_EACH_MS);
}

void init_met_output(struct init_met *m, const char *data, size_t len)
{
    char torn[2 * sizeof(m->tail)];
    size_t n = len < sizeof(m->tail) ? len : sizeof(m->tail);
    memcpy(torn, m->tail, m->tail_len);
    memcpy(torn + m->tail_len, data, n);
    if (m->tail_len)
        hear(m, torn, m->tail_len + n);
    hear(m, data, len);
    memcpy(m->tail, data + len - n, n);
    m->tail_len = n;
}
