/* vitrine-preload: what a card's preload_from_hub asks for, fetched from the operator's hub.
 *
 *   vitrine-preload --hub URL --proxy-port N --max-bytes N
 *       stdin: the entries (common/preload_entry.h), one a line
 *       stdout: `log STEP TEXT`, `model ...` for everything that is in the cache, `result {}`;
 *       or `error SENTENCE` and status 1
 *
 * Run in a job sandbox (runner/build_job.c), where the hub is all that it reaches, and none of the
 * Space's code. It makes the folders and links of a cache (tree.c) and fetches the files that the
 * store does not have (fetch.c). Neither is believed: the runner hashes each file again before it
 * takes it into the store, by the lines
 *
 *   model blob FOLDER ETAG SHA256 SIZE PART
 *
 * The others, `model ref` and `model file`, say what else there is, as the cache's name depends on
 * it. A program of its own: libcurl takes milliseconds to load, and vitrine-job is started for
 * every commit and every file that is looked at. */
#include "preload/preload.h"

#include "common/cleanup.h"
#include "common/preload_entry.h"
#include "common/proxywait.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <sodium.h>

#define INPUT_BYTES ((size_t)PRELOAD_ENTRIES_MAX * PRELOAD_ENTRY_BYTES)
#define NAMES_BYTES (8 << 20)
#define FILES_MAX 20000
#define OTHER_WAIT_MS 10000

struct preload {
    struct hub hub;
    struct file *files; /* owned */
    size_t n;
    struct preload_entry *entries; /* owned */
    size_t n_entries;
    uint64_t max_bytes;
    struct progress progress;
};

void say(const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    printf("log preload %s\n", text);
    fflush(stdout);
}

/* A build that was given up may be in there still, for a moment. */
static int lock_parts(struct err *err)
{
    int fd = open(PRELOAD_PARTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t until = mono_ms() + OTHER_WAIT_MS;
    if (fd < 0)
        return err_errno(err, "what was fetched before cannot be opened");
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || mono_ms() > until) {
            close(fd);
            return err_set(err, EBUSY, "another build of this Space is fetching the same");
        }
        poll(NULL, 0, 20);
    }
    return fd;
}

static int read_entries(struct preload *p, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(INPUT_BYTES);
    int r = buf_read_fd(&text, STDIN_FILENO);
    if (r < 0)
        return err_set(err, -r, "the entries cannot be read");
    p->entries = calloc(PRELOAD_ENTRIES_MAX, sizeof(*p->entries));
    if (!p->entries)
        return err_set(err, ENOMEM, "out of memory");
    for (char *line = text.data, *end; r == 0 && line && *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        if (p->n_entries == PRELOAD_ENTRIES_MAX)
            return err_set(err, E2BIG, "more than %d entries", PRELOAD_ENTRIES_MAX);
        r = preload_entry_parse(line, &p->entries[p->n_entries++], err);
    }
    return r;
}

/* ---- what there is to fetch ---- */

/* `revision` becomes the commit with the first answer, so that all files are of one. */
static int add_file(struct preload *p, const char *repo, char revision[PRELOAD_REVISION_BYTES],
                    const char *path, struct err *err)
{
    if (p->n == FILES_MAX)
        return err_set(err, E2BIG, "these are more than %d files", FILES_MAX);
    struct file *f = &p->files[p->n];
    *f = (struct file){.path = strdup(path), .repo = repo};
    if (!f->path)
        return err_set(err, ENOMEM, "out of memory");
    p->n++;
    int r = hub_head(&p->hub, repo, revision, path, &f->meta, err);
    if (r < 0)
        return r;
    snprintf(revision, PRELOAD_REVISION_BYTES, "%s", f->meta.commit);
    if (f->meta.size > p->max_bytes - p->progress.total) {
        char most[32];
        format_bytes(p->max_bytes, most);
        return err_set(err, EFBIG,
                       "it asks for more than %s (build.preload_size); name the files that are "
                       "needed, or ask the operator for more",
                       most);
    }
    p->progress.total += f->meta.size;
    return 0;
}

static int look_at(struct preload *p, const struct preload_entry *e, struct err *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT(NAMES_BYTES);
    char revision[PRELOAD_REVISION_BYTES], folder[256], commit[HUB_WORD] = "", size[32];
    size_t before = p->n;
    uint64_t bytes = p->progress.total;
    unsigned n = e->n_files;
    int r = tree_folder(e->repo, folder, sizeof(folder), err);
    snprintf(revision, sizeof(revision), "%s", e->revision);
    if (r == 0 && e->all) {
        r = hub_list(&p->hub, e->repo, e->revision, &names, &n, commit, err);
        if (r == 0)
            snprintf(revision, sizeof(revision), "%s", commit);
    }
    const char *name = e->all ? names.data : e->files;
    for (unsigned i = 0; r == 0 && i < n; i++, name += strlen(name) + 1)
        r = add_file(p, e->repo, revision, name, err);
    if (r == 0)
        r = tree_add_ref(folder, e->revision, revision, err);
    for (size_t i = before; r == 0 && i < p->n; i++)
        r = tree_add_file(folder, &p->files[i], err);
    if (r < 0)
        return r;
    format_bytes(p->progress.total - bytes, size);
    say("%s at %.12s: %zu %s, %s", e->repo, revision, p->n - before,
        p->n - before == 1 ? "file" : "files", size);
    return 0;
}

/* ---- fetching ---- */

static bool store_has(const struct file *f)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof(path), PRELOAD_STORE "/%s", f->meta.etag);
    return f->meta.hashed && stat(path, &st) == 0 && (uint64_t)st.st_size == f->meta.size;
}

/* Where its bytes are collected: by content, where that is known. */
static void part_name(const struct file *f, const char *folder, char out[65])
{
    char text[512];
    if (f->meta.hashed) {
        snprintf(out, 65, "%.64s", f->meta.etag);
        return;
    }
    int n = snprintf(text, sizeof(text), "%s %s", folder, f->meta.etag);
    sha256_hex(text, (size_t)n, out);
}

static int fetch_one(struct preload *p, const struct file *f, struct err *err)
{
    char folder[256], part[65], sha[65];
    int r = tree_folder(f->repo, folder, sizeof(folder), err);
    if (r < 0)
        return r;
    part_name(f, folder, part);
    if (store_has(f))
        snprintf(sha, sizeof(sha), "%.64s", f->meta.etag);
    else
        r = fetch_file(&p->hub, f, part, &p->progress, sha, err);
    if (r == 0)
        printf("model blob %s %s %s %llu %s\n", folder, f->meta.etag, sha,
               (unsigned long long)f->meta.size, part);
    return r;
}

static int fetch_all(struct preload *p, struct err *err)
{
    uint64_t here = 0;
    char text[32];
    int r = 0;
    for (size_t i = 0; i < p->n; i++)
        here += store_has(&p->files[i]) ? p->files[i].meta.size : 0;
    p->progress.total -= here;
    if (here) {
        format_bytes(here, text);
        say("%s of it is here already", text);
    }
    if (p->progress.total) {
        format_bytes(p->progress.total, text);
        say("fetching %s", text);
    }
    p->progress.said_ms = mono_ms();
    for (size_t i = 0; r == 0 && i < p->n; i++)
        r = fetch_one(p, &p->files[i], err);
    return r;
}

static int preload(struct preload *p, const char *url, unsigned port, struct err *err)
{
    p->files = calloc(FILES_MAX, sizeof(*p->files));
    if (!p->files)
        return err_set(err, ENOMEM, "out of memory");
    int r = read_entries(p, err);
    if (r == 0)
        r = proxy_wait(port, "the hub", err);
    _cleanup_close_ int lock = r == 0 ? lock_parts(err) : -1;
    if (r == 0 && lock < 0)
        r = -EBUSY;
    if (r == 0)
        r = hub_open(&p->hub, url, port, err);
    for (size_t i = 0; r == 0 && i < p->n_entries; i++)
        r = look_at(p, &p->entries[i], err);
    if (r == 0)
        r = fetch_all(p, err);
    hub_close(&p->hub);
    return r;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"hub", required_argument, NULL, 'h'},
                                          {"proxy-port", required_argument, NULL, 'x'},
                                          {"max-bytes", required_argument, NULL, 'm'},
                                          {0}};
    struct preload p = {0};
    struct err err = {0};
    const char *url = NULL;
    unsigned port = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h')
            url = optarg;
        else if (c == 'x')
            port = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'm')
            p.max_bytes = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (!url || !p.max_bytes || optind != argc || sodium_init() < 0) {
        fprintf(stderr, "usage: vitrine-preload --hub URL --max-bytes N [--proxy-port N]\n");
        return 2;
    }
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    int r = preload(&p, url, port, &err);
    for (size_t i = 0; i < p.n; i++)
        free(p.files[i].path);
    free(p.files);
    free(p.entries);
    if (r == 0)
        printf("result {}\n");
    else
        printf("error %s\n", err.msg[0] ? err.msg : "the models could not be fetched");
    return fflush(stdout) == 0 && r == 0 ? 0 : 1;
}
