#include "job/version.h"

#include "common/cleanup.h"
#include "common/usage.h"
#include "common/util.h"
#include "job/card.h"
#include "job/checkout.h"
#include "job/record.h"
#include "job/repo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { README_READ_MAX = 1 << 20 }; /* more of a README.md is not looked at */

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

    /* what a build makes is not there yet */
    if (card->app_build_command[0] && !has_file(tree, card->app_file))
        return 0;
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

int version_record(struct job *job, struct tree *tree, const char *sha, const char *subject,
                   uint64_t dropped, struct err *err)
{
    _cleanup_buf_ struct buf readme = BUF_INIT(README_READ_MAX + 16);
    _cleanup_(card_free) struct card card = {0};
    struct front_split split;
    struct card_hints hints;
    char hash[65];

    job_step(job, "card");
    int r = read_readme(tree, &readme, &hints.has_readme, err);
    if (r < 0)
        return r;
    hints.has_app_py = has_file(tree, "app.py");
    hints.has_index_html = has_file(tree, "index.html");
    r = card_read(readme.data ? readme.data : "", readme.len, &hints, &card, &split, err);
    if (r == 0)
        r = check_app_file(tree, &card, err);
    if (r < 0)
        return r;
    if (!sha)
        return 0;
    warn_about_readme(tree, &card, hints.has_readme);
    if (dropped)
        card_warn(&card, "left out %llu files that archivers add (.git, .DS_Store, __MACOSX)",
                  (unsigned long long)dropped);

    job_step(job, "write");
    r = bring_to_disk(tree->root_fd, err);
    tree_hash(tree, hash);
    struct record record = {.card = &card,
                            .sha = *sha ? sha : hash,
                            .content = *job->content ? job->content : hash,
                            .subject = subject,
                            .files = tree_files(tree),
                            .bytes = tree->bytes,
                            .readme = split.body,
                            .readme_len = split.body_len};

    return r < 0 ? r : record_write(&record, &job->out, err);
}

/* The first line of a commit's message. */
static int read_subject(const char *commit, char *out, size_t size, struct err *err)
{
    _cleanup_buf_ struct buf said = BUF_INIT(1 << 20);
    int r = git_run((const char *[]){"git", "log", "-1", "--no-show-signature", "--encoding=UTF-8",
                                     "--format=%s", commit, NULL},
                    -1, &said, NULL, err);

    if (r < 0)
        return r;
    snprintf(out, size, "%.*s", (int)(said.data ? strcspn(said.data, "\n") : 0),
             said.data ? said.data : "");
    return 0;
}

int version_of_commit(struct job *job, const char *commit, struct err *err)
{
    _cleanup_(tree_free) struct tree tree = {.folder_fd = -1};
    _cleanup_close_ int root = open(job->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct checkout_options how = {
        .repo = job->repo, .max_file = job->max_file, .progress = job_progress, .arg = job};
    char subject[256];

    if (root < 0)
        return err_errno(err, "the folder of the version cannot be opened");
    tree_init(&tree, root, job->max_unpacked, job->max_files);
    int r = read_subject(commit, subject, sizeof(subject), err);
    if (r == 0)
        r = checkout(commit, &how, &tree, err);
    if (r == 0)
        r = tree_make_links(&tree, err);
    return r < 0 ? r : version_record(job, &tree, commit, subject, 0, err);
}

int version_sync(const struct job *job, struct err *err)
{
    _cleanup_close_ int fd = open(job->repo, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? err_errno(err, "the repository cannot be opened") : bring_to_disk(fd, err);
}

int version_only_commit(struct job *job, const char *commit, struct err *err)
{
    buf_clear(&job->out);
    if (buf_printf(&job->out, "{\"sha\":\"%s\"}", commit) < 0 || version_sync(job, err) < 0)
        return err_set(err, EIO, "the commit cannot be stored");
    return 0;
}

int version_or_commit(struct job *job, const char *commit, struct err *err)
{
    int r = version_of_commit(job, commit, err);

    return r == -ENOENT && job_number(job, "unfinished", 1, 0) == 1
               ? version_only_commit(job, commit, err)
               : r;
}

int version_check_quota(const struct job *job, uint64_t more, struct err *err)
{
    struct usage usage = {0};
    char size[32], limit[32];

    if (job->max_repo == 0)
        return 0;
    int r = usage_of_tree(job->repo, 0, &usage, err);
    usage.bytes += more;
    if (r < 0 || usage.bytes <= job->max_repo)
        return r;
    format_bytes(usage.bytes, size);
    format_bytes(job->max_repo, limit);
    return err_set(err, EDQUOT,
                   "the repository would have %s, and %s is the most here "
                   "(upload.max_repository)",
                   size, limit);
}

int version_commit(struct job *job, const char *tree, const char *parent, const char *message,
                   char sha[65], bool *ret_new, struct err *err)
{
    char before[GIT_OID_MAX + 1];
    struct repo_commit c = {.author = job_arg(job, "author", "unknown"),
                            .email = job_arg(job, "email", ""),
                            .message = message,
                            .parent = parent,
                            .tree = tree};

    *ret_new = false;
    if (*parent) {
        int r = repo_tree(parent, before, err);

        if (r < 0)
            return r;
        if (strcmp(before, tree) == 0) { /* nothing changed */
            snprintf(sha, 65, "%s", parent);
            return 0;
        }
    }
    *ret_new = true;
    return repo_commit(&c, sha, err);
}

/* What a Space was before it had a repository. */
static int take_before(struct job *job, struct err *err)
{
    _cleanup_staging_ struct staging st;
    struct repo_commit c = {.author = "vitrine",
                            .message = "The version before this Space was a git repository",
                            .parent = ""};
    char tree[GIT_OID_MAX + 1], sha[GIT_OID_MAX + 1];

    staging_init(&st);
    int r = staging_folder(&st, job->before, err);
    if (r == 0)
        r = staging_write(&st, "", tree, err);
    c.tree = tree;
    if (r == 0)
        r = repo_commit(&c, sha, err);
    return r < 0 ? r : repo_set_ref(REPO_MAIN, sha, "", err);
}

static int open_repo(struct job *job, bool writes, struct err *err)
{
    char main_sha[GIT_OID_MAX + 1];
    int r = repo_open(job->repo, writes, err);

    if (r < 0 || !job->before)
        return r;
    r = repo_ref(REPO_MAIN, main_sha, err);
    return r != 0 ? (r < 0 ? r : 0) : take_before(job, err);
}

int version_open_repo(struct job *job, struct err *err)
{
    return open_repo(job, true, err);
}

int version_open_for_reading(struct job *job, struct err *err)
{
    return open_repo(job, false, err);
}
