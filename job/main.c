/* vitrine-job: what job sandboxes run. Untrusted bytes are looked at here and nowhere else: this
 * program runs as the Space's own uid inside a sandbox, has one folder to write to, and answers
 * with one bounded line. Whoever asks trusts the form of the answer and not its truth.
 *
 *   vitrine-job unpack --name FILENAME --max-unpacked BYTES --max-files N DEST
 *
 * The archive is stdin (a file, since a zip is read from its end), DEST an empty folder. Steps:
 *
 *   unpack   archive -> DEST, entry by entry (unpack.c); what a path may be is said by names.c, and
 *            files are made relative to directory descriptors only (tree.c)
 *   shape    a single top folder is taken away, then links are made, each checked to stay inside
 *   card     README.md's front matter is read (front.c) and checked (card.c); the app file must be
 *            there; the SDK is guessed where none is named
 *   record   the hash over the tree is its name; everything is brought to the disk, and the record
 *            goes out (record.c)
 *
 * On stdout, one line each: `progress STEP DONE TOTAL` (bytes), and finally either `result {json}`
 * with exit status 0, or `error SENTENCE` with status 1. Usage errors are 2. On an error DEST holds
 * what was made until then; its owner removes it. */
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "job/card.h"
#include "job/record.h"
#include "job/tree.h"
#include "job/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    README_READ_MAX = 1 << 20, /* more of a README.md is not looked at */
    RECORD_MAX = 240 * 1024,   /* who reads the answer takes 256 KiB of it in all */
    PROGRESS_EVERY_MS = 100,
};

struct options {
    const char *name, *dest;
    uint64_t max_unpacked, max_files;
};

struct reporter {
    uint64_t last_ms;
    unsigned last_percent;
};

static int usage(void)
{
    fprintf(stderr, "usage: vitrine-job unpack --name FILENAME --max-unpacked BYTES --max-files N "
                    "DEST < ARCHIVE\n");
    return 2;
}

/* At most a hundred lines in all, so that they never fill the reader's limit. */
static void report(void *arg, uint64_t done, uint64_t total)
{
    struct reporter *rep = arg;
    unsigned percent = total && done < total ? (unsigned)(done * 100 / total) : 100;

    if (percent <= rep->last_percent)
        return;
    uint64_t now = mono_ms();

    if (now - rep->last_ms < PROGRESS_EVERY_MS)
        return;
    rep->last_ms = now;
    rep->last_percent = percent;
    printf("progress unpack %llu %llu\n", (unsigned long long)done, (unsigned long long)total);
    fflush(stdout);
}

static void report_step(const char *step)
{
    printf("progress %s 0 0\n", step);
    fflush(stdout);
}

/* The bundle's README.md, empty where there is none. */
static int read_readme(const struct tree *tree, struct buf *out, bool *ret_found, struct err *err)
{
    _cleanup_close_ int fd = tree_open(tree, "README.md", O_RDONLY | O_NONBLOCK);
    struct stat st;

    *ret_found = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "README.md");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "README.md is no file");
    size_t len = st.st_size < README_READ_MAX ? (size_t)st.st_size : README_READ_MAX;
    int r = buf_reserve(out, len + 1);

    if (r < 0)
        return err_set(err, -r, "README.md cannot be read");
    ssize_t n = read_all(fd, out->data, len);

    if (n < 0)
        return err_set(err, (int)-n, "README.md cannot be read");
    out->len = (size_t)n;
    out->data[n] = '\0';
    return 0;
}

static bool has_file(const struct tree *tree, const char *path)
{
    _cleanup_close_ int fd = tree_open(tree, path, O_PATH);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file that runs must be there; a program must be executable, which archives made on some
 * systems cannot say. */
static int check_app_file(struct tree *tree, struct card *card, struct err *err)
{
    char quoted[NAMES_QUOTED_MAX];

    if (!has_file(tree, card->app_file)) {
        names_quote(card->app_file, quoted);
        if (card->app_file_line)
            return err_set(err, ENOENT,
                           "README.md:%u: app_file: the bundle has no file %s; name the one that "
                           "is to run",
                           card->app_file_line, quoted);
        return err_set(err, ENOENT,
                       "no app file: the bundle has no %s (what sdk: %s runs unless README.md "
                       "says app_file)",
                       card->app_file, card_sdk_name(card->sdk));
    }
    struct tree_entry *entry = tree_find(tree, card->app_file);

    if (card->sdk != CARD_COMMAND || !entry || entry->kind != TREE_FILE)
        return 0;
    card_warn(card, "%s was not executable in the archive; it was made so", card->app_file);
    return tree_set_executable(tree, entry, err);
}

static void warn_about_readme(const struct tree *tree, struct card *card, bool found)
{
    for (size_t i = 0; !found && i < tree->count; i++)
        if (strcasecmp(tree->entries[i]->path, "README.md") == 0)
            card_warn(card, "%s is not read: the front matter is that of README.md",
                      tree->entries[i]->path);
}

/* A version must be whole after a power cut, once somebody was told of it. */
static int bring_to_disk(int fd, struct err *err)
{
    if (syncfs(fd) < 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
        return err_errno(err, "the bundle could not be written to the server's disk");
    return 0;
}

static int unpack(const struct options *opt, struct tree *tree, struct buf *out, struct err *err)
{
    _cleanup_buf_ struct buf readme = BUF_INIT(README_READ_MAX + 16);
    _cleanup_(card_free) struct card card = {0};
    struct reporter reporter = {.last_ms = mono_ms()};
    struct unpack_options how = {.name = opt->name, .progress = report, .arg = &reporter};
    struct front_split split;
    struct card_hints hints;
    uint64_t dropped = 0;
    char sha[65];
    int r;

    r = unpack_archive(STDIN_FILENO, &how, tree, &dropped, err);
    if (r == 0)
        r = tree_strip_top(tree, err);
    if (r == 0)
        r = tree_make_links(tree, err);
    if (r < 0)
        return r;

    report_step("card");
    r = read_readme(tree, &readme, &hints.has_readme, err);
    if (r < 0)
        return r;
    hints.has_app_py = has_file(tree, "app.py");
    hints.has_index_html = has_file(tree, "index.html");
    r = card_read(readme.data ? readme.data : "", readme.len, &hints, &card, &split, err);
    if (r == 0)
        r = check_app_file(tree, &card, err);
    if (r < 0)
        return r;
    warn_about_readme(tree, &card, hints.has_readme);
    if (dropped)
        card_warn(&card, "left out %llu files that archivers add (.git, .DS_Store, __MACOSX)",
                  (unsigned long long)dropped);

    report_step("write");
    r = bring_to_disk(tree->root_fd, err);
    tree_hash(tree, sha);
    struct record record = {.card = &card,
                            .sha = sha,
                            .files = tree_files(tree),
                            .bytes = tree->bytes,
                            .readme = split.body,
                            .readme_len = split.body_len};

    return r < 0 ? r : record_write(&record, out, err);
}

static int parse_options(int argc, char **argv, struct options *opt)
{
    static const struct option longs[] = {{"name", required_argument, NULL, 'n'},
                                          {"max-unpacked", required_argument, NULL, 'u'},
                                          {"max-files", required_argument, NULL, 'f'},
                                          {0}};
    int c;

    *opt = (struct options){.name = "the archive"};
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'n')
            opt->name = optarg;
        else if ((c != 'u' && c != 'f') ||
                 parse_bytes(optarg, c == 'u' ? &opt->max_unpacked : &opt->max_files) < 0)
            return -EINVAL;
    }
    if (optind != argc - 1 || !opt->max_unpacked || !opt->max_files)
        return -EINVAL;
    opt->dest = argv[optind];
    if (strrchr(opt->name, '/'))
        opt->name = strrchr(opt->name, '/') + 1;
    return 0;
}

int main(int argc, char **argv)
{
    _cleanup_buf_ struct buf out = BUF_INIT(RECORD_MAX);
    _cleanup_(tree_free) struct tree tree = {.folder_fd = -1};
    _cleanup_close_ int root = -1;
    struct options opt;
    struct err err = {0};
    int r;

    if (argc < 2 || strcmp(argv[1], "unpack") != 0 || parse_options(argc - 1, argv + 1, &opt) < 0)
        return usage();
    /* libarchive converts names by the locale's character set. */
    setlocale(LC_CTYPE, "C.UTF-8");
    umask(022);
    root = open(opt.dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        r = err_errno(&err, "the folder to unpack into cannot be opened");
    } else {
        tree_init(&tree, root, opt.max_unpacked, opt.max_files);
        r = unpack(&opt, &tree, &out, &err);
    }
    if (r < 0)
        printf("error %s\n", err.msg);
    else
        printf("result %s\n", out.data);
    return fflush(stdout) == 0 && r == 0 ? 0 : 1;
}
