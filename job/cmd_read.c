/* `vitrine-job read`: a question about the repository; the answer is JSON on stdout.
 *
 *   what=resolve rev=              {"sha","title","date"}
 *   what=tree rev= path= recursive= offset= limit=       {"sha","items":[...],"more"}
 *   what=paths rev=, stdin {"paths":[...]}               {"sha","items":[...]}
 *   what=preupload rev=, stdin {"files":[{"path"}...],"gitIgnore"?}
 *                                  {"sha","files":[{"path","shouldIgnore","oid"}]}
 *   what=log rev= offset= limit= {"sha","items":[{"id","title","message","authors","date"}],"more"}
 *   what=refs                      {"branches":[{"name","ref","targetCommit"}],"tags":[...]}
 *   what=diff rev=                 a log item with "parents", "diff" (text) and "cut"
 *   what=lfs-list                                        {"items":[...]} as lfs_list.h has it
 *   what=lfs, stdin {"objects":[{"oid","size"}]}         {"objects":[{"oid","size","stored"}]}
 *
 * Items are those of listing.h. In a repository without a commit a missing main is no error: "sha"
 * is
 * "" and lists are empty. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/job.h"
#include "job/lfs.h"
#include "job/lfs_list.h"
#include "job/listing.h"
#include "job/names.h"
#include "job/repo.h"
#include "job/scratch.h"
#include "job/version.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUESTION_MAX = 16 << 20, LOG_TEXT_MAX = 16 << 20, DIFF_MAX = 1 << 20, LIMIT_MAX = 200000 };

/* ---- the question ---- */

static int read_question(json_t **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(QUESTION_MAX);

    if (buf_read_fd(&text, STDIN_FILENO) < 0)
        return err_set(err, EFBIG, "the question has more than 16 MiB");
    *ret = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(*ret))
        return 0;
    json_decref(*ret);
    return err_set(err, EINVAL, "the request's body is no JSON object");
}

/* 1, or 0 where there is no commit yet. */
static int resolve(struct job *job, char sha[GIT_OID_MAX + 1], struct err *err)
{
    const char *rev = job_arg(job, "rev", "main");
    int r = repo_resolve(rev, sha, err);

    if (r != -ENXIO || (strcmp(rev, "main") != 0 && strcmp(rev, "HEAD") != 0))
        return r < 0 ? r : 1;
    sha[0] = '\0';
    return 0;
}

/* ---- log ---- */

/* Dates as the Hub writes them: in UTC (git's TZ here), with a fraction. */
#define LOG_DATE "--date=format-local:%Y-%m-%dT%H:%M:%S.000Z"
/* Author, date, subject and body of a commit, each ended by a NUL after the sha. */
#define LOG_FORMAT "--format=%H%x00%P%x00%an%x00%ad%x00%s%x00%b%x00"

static char *next(char **p, const char *end)
{
    char *s = *p;
    size_t len = s < end ? strnlen(s, (size_t)(end - s)) : 0;

    if (s >= end || s + len >= end)
        return NULL;
    *p = s + len + 1;
    return s;
}

static json_t *text_json(const char *s)
{
    json_t *o = json_string(s);

    return o ? o : json_string("?"); /* no UTF-8 */
}

static json_t *log_item(char **p, const char *end)
{
    while (*p < end && **p == '\n')
        (*p)++;
    char *sha = next(p, end), *parents = next(p, end), *author = next(p, end);
    char *date = next(p, end), *title = next(p, end), *body = next(p, end);

    if (!body)
        return NULL;
    json_t *o = json_object(), *above = json_array();
    for (char *one; (one = strsep(&parents, " "));)
        if (*one)
            json_array_append_new(above, json_string(one));
    json_object_set_new(o, "id", json_string(sha));
    json_object_set_new(o, "title", text_json(title));
    json_object_set_new(o, "message", text_json(body));
    json_object_set_new(o, "authors", json_pack("[{s:o}]", "user", text_json(author)));
    json_object_set_new(o, "date", json_string(date));
    json_object_set_new(o, "parents", above);
    return o;
}

static int read_log(const char *sha, uint64_t offset, uint64_t limit, json_t **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(LOG_TEXT_MAX);
    char skip[48], count[48];

    snprintf(skip, sizeof(skip), "--skip=%llu", (unsigned long long)offset);
    snprintf(count, sizeof(count), "--max-count=%llu", (unsigned long long)limit);
    int r = git_run((const char *[]){"git", "log", "--no-show-signature", "--encoding=UTF-8",
                                     "--no-color", "--no-mailmap", LOG_DATE, LOG_FORMAT, skip,
                                     count, sha, NULL},
                    -1, &text, NULL, err);
    if (r < 0)
        return r;
    json_t *items = json_array();
    for (char *p = text.data, *end = p + text.len; p && p < end;) {
        json_t *o = log_item(&p, end);

        if (!o)
            break;
        json_array_append_new(items, o);
    }
    *ret = items;
    return 0;
}

static int answer_log(struct job *job, struct err *err)
{
    uint64_t offset = job_number(job, "offset", UINT32_MAX, 0);
    uint64_t limit = job_number(job, "limit", 1000, 50);
    char sha[GIT_OID_MAX + 1];
    json_t *items = NULL;
    int r = resolve(job, sha, err);

    if (r == 0)
        items = json_array();
    else if (r == 1)
        r = read_log(sha, offset, limit + 1, &items, err);
    if (r < 0)
        return r;
    bool more = json_array_size(items) > limit;
    if (more)
        json_array_remove(items, limit);
    return job_print(json_pack("{s:s, s:o, s:b}", "sha", sha, "items", items, "more", more), err);
}

static int answer_resolve(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    json_t *items = NULL, *o;
    int r = resolve(job, sha, err);

    if (r == 1)
        r = read_log(sha, 0, 1, &items, err);
    if (r < 0)
        return r;
    o = items ? json_incref(json_array_get(items, 0)) : NULL;
    json_decref(items);
    if (!o)
        o = json_object();
    json_object_set_new(o, "sha", json_string(sha));
    return job_print(o, err);
}

/* ---- diff ---- */

static int answer_diff(struct job *job, struct err *err)
{
    _cleanup_git_ struct git git = GIT_NONE;
    _cleanup_buf_ struct buf text = BUF_INIT(DIFF_MAX);
    char sha[GIT_OID_MAX + 1], chunk[16384];
    json_t *items = NULL;
    size_t n;
    bool cut = false;
    int r = repo_resolve(job_arg(job, "rev", ""), sha, err);

    if (r == 0)
        r = read_log(sha, 0, 1, &items, err);
    json_t *o = json_array_get(items, 0);
    if (r == 0 && !o)
        r = err_set(err, EIO, "git log: it shows no commit");
    if (r == 0)
        r = git_begin(&git,
                      (const char *[]){"git", "show", "--format=", "--no-color", "--no-ext-diff",
                                       "--no-textconv", "--no-show-signature", "--first-parent",
                                       "-M", "--stat=100", "--patch", "--submodule=short", sha,
                                       NULL},
                      -1, err);
    while (r == 0 && !cut && (n = fread(chunk, 1, sizeof(chunk), git.out)) > 0)
        cut = buf_append(&text, chunk, n) < 0;
    if (r == 0 && !cut)
        r = git_end(&git, err);
    if (r == 0) {
        _cleanup_buf_ struct buf quoted = BUF_INIT(8 * DIFF_MAX);
        json_t *diff = NULL;
        /* What is no UTF-8 in it becomes U+FFFD; NULs would end it. */
        for (size_t i = 0; i < text.len; i++)
            text.data[i] = text.data[i] ? text.data[i] : '?';
        if (buf_json(&quoted, text.data ? text.data : "") == 0)
            diff = json_loads(quoted.data, JSON_DECODE_ANY, NULL);
        json_object_set_new(o, "diff", diff ? diff : json_string(""));
        json_object_set_new(o, "cut", json_boolean(cut));
        json_object_set_new(o, "sha", json_string(sha));
        r = job_print(json_incref(o), err);
    }
    json_decref(items);
    return r;
}

/* ---- trees ---- */

static int answer_tree(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    json_t *items = NULL;
    bool more = false;
    int r = resolve(job, sha, err);

    if (r == 0)
        items = json_array();
    else if (r == 1)
        r = listing_tree(sha, job_arg(job, "path", ""),
                         strcmp(job_arg(job, "recursive", ""), "1") == 0,
                         job_number(job, "offset", UINT32_MAX, 0),
                         job_number(job, "limit", LIMIT_MAX, LIMIT_MAX), &items, &more, err);
    if (r < 0)
        return r;
    return job_print(json_pack("{s:s, s:o, s:b}", "sha", sha, "items", items, "more", more), err);
}

static int answer_paths(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    json_t *question = NULL, *items = NULL;
    int r = resolve(job, sha, err), q;

    if (r < 0)
        return r;
    q = read_question(&question, err);
    if (q < 0)
        return q;
    if (r == 0)
        items = json_array();
    else
        r = listing_paths(sha, json_object_get(question, "paths"), &items, err);
    json_decref(question);
    return r < 0 ? r : job_print(json_pack("{s:s, s:o}", "sha", sha, "items", items), err);
}

/* ---- preupload ---- */

/* The .gitignore that holds: the one that comes with the upload, or the branch's. */
static int write_ignore(const json_t *question, const char *sha, struct err *err)
{
    const char *given = json_string_value(json_object_get(question, "gitIgnore"));
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
    char name[GIT_OID_MAX + 32];
    int status = 0;

    if (given) {
        if (buf_puts(&text, given) < 0)
            return err_set(err, EFBIG, "gitIgnore has more than 1 MiB");
    } else if (*sha) {
        snprintf(name, sizeof(name), "%s:.gitignore", sha);
        if (git_run((const char *[]){"git", "cat-file", "blob", name, NULL}, -1, &text, &status,
                    err) < 0)
            return -err->code;
        if (status)
            buf_clear(&text);
    }
    char folder[PATH_MAX], path[PATH_MAX];

    if (mkdir(scratch_path("ignore", folder), 0700) < 0 && errno != EEXIST)
        return err_errno(err, "the ignored paths cannot be found");
    return file_write_whole(scratch_path("ignore/.gitignore", path), text.data ? text.data : "",
                            text.len, 0600, err);
}

/* The ignored ones among `paths`: a JSON object with them as keys. */
static int find_ignored(const json_t *paths, json_t *ret, struct err *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT(QUESTION_MAX);
    _cleanup_buf_ struct buf found = BUF_INIT(QUESTION_MAX);
    size_t i;
    const json_t *p;
    int status;

    json_array_foreach(paths, i, p) if (buf_puts(&names, json_string_value(p)) < 0 ||
                                        buf_append(&names, "", 1) <
                                            0) return err_set(err, ENOMEM, "out of memory");
    _cleanup_close_ int in = git_input(names.data, names.len, err);
    if (in < 0 || names.len == 0)
        return in < 0 ? in : 0;
    char folder[PATH_MAX];

    scratch_path("ignore", folder);
    int r = git_run((const char *[]){"git", "-C", folder, "--work-tree", folder, "check-ignore",
                                     "--no-index", "-z", "--stdin", NULL},
                    in, &found, &status, err);
    for (const char *f = found.data; r == 0 && f && f < found.data + found.len; f += strlen(f) + 1)
        json_object_set_new(ret, f, json_true());
    return r;
}

static const char *oid_of(const json_t *item)
{
    const json_t *lfs = json_object_get(item, "lfs");

    return json_string_value(json_object_get(lfs ? lfs : item, "oid"));
}

/* The answer's "files": what is known of each path of the question. */
static json_t *known_files(const json_t *paths, const json_t *items, const json_t *ignored)
{
    json_t *files = json_array(), *by_path = json_object();
    size_t i;
    json_t *o;
    const json_t *p;

    json_array_foreach(items, i, o)
        json_object_set(by_path, json_string_value(json_object_get(o, "path")), o);
    json_array_foreach(paths, i, p)
    {
        const char *path = json_string_value(p), *oid = oid_of(json_object_get(by_path, path));
        json_t *file = json_pack("{s:s, s:b}", "path", path, "shouldIgnore",
                                 json_object_get(ignored, path) != NULL);

        if (oid)
            json_object_set_new(file, "oid", json_string(oid));
        json_array_append_new(files, file);
    }
    json_decref(by_path);
    return files;
}

static int preupload(const char *sha, const json_t *question, struct err *err)
{
    json_t *paths = json_array(), *ignored = json_object(), *items = NULL;
    size_t i;
    const json_t *f;
    int r = 0;

    json_array_foreach(json_object_get(question, "files"), i, f)
    {
        const char *path = json_string_value(json_object_get(f, "path"));

        if (!path && r == 0)
            r = err_set(err, EINVAL, "a file has no path");
        else if (path)
            json_array_append_new(paths, json_string(path));
    }
    if (r == 0 && *sha)
        r = listing_paths(sha, paths, &items, err);
    if (r == 0)
        r = write_ignore(question, sha, err);
    if (r == 0)
        r = find_ignored(paths, ignored, err);
    if (r == 0)
        r = job_print(
            json_pack("{s:s, s:o}", "sha", sha, "files", known_files(paths, items, ignored)), err);
    json_decref(paths);
    json_decref(ignored);
    json_decref(items);
    return r;
}

static int answer_preupload(struct job *job, struct err *err)
{
    char sha[GIT_OID_MAX + 1];
    json_t *question = NULL;
    int r = resolve(job, sha, err);

    if (r >= 0)
        r = read_question(&question, err);
    if (r < 0)
        return r;
    r = preupload(sha, question, err);
    json_decref(question);
    return r;
}

/* ---- refs, LFS ---- */

static int answer_refs(struct job *job, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(LOG_TEXT_MAX);
    json_t *branches = json_array(), *tags = json_array(), *pulls = json_array();
    char *save = NULL;

    (void)job;
    int r = git_run((const char *[]){"git", "for-each-ref",
                                     "--format=%(objectname) %(*objectname) %(refname)", NULL},
                    -1, &text, NULL, err);
    char *line = r == 0 && text.data ? strtok_r(text.data, "\n", &save) : NULL;
    for (; line; line = strtok_r(NULL, "\n", &save)) {
        char *ref = strrchr(line, ' ');
        /* an annotated tag is shown with what it names */
        const char *target = strchr(line, ' ') ? strchr(line, ' ') + 1 : line;
        char sha[GIT_OID_MAX + 1];

        if (!ref)
            continue;
        if (*target == ' ' || target > ref)
            target = line;
        snprintf(sha, sizeof(sha), "%.*s", (int)strcspn(target, " "), target);
        ref++;
        bool is_tag = strncmp(ref, "refs/tags/", 10) == 0;
        bool is_branch = strncmp(ref, "refs/heads/", 11) == 0;
        json_t *o = json_pack("{s:s, s:s, s:s}", "name",
                              is_tag      ? ref + 10
                              : is_branch ? ref + 11
                                          : ref,
                              "ref", ref, "targetCommit", sha);
        json_array_append_new(is_tag ? tags : is_branch ? branches : pulls, o);
    }
    json_t *all = json_pack("{s:o, s:[], s:o, s:o}", "branches", branches, "converts", "tags", tags,
                            "pullRequests", pulls);
    if (r == 0)
        return job_print(all, err);
    json_decref(all);
    return r;
}

static int answer_lfs(struct job *job, struct err *err)
{
    json_t *question = NULL, *objects = json_array();
    size_t i;
    const json_t *o;
    int r = read_question(&question, err);

    json_array_foreach(json_object_get(question, "objects"), i, o)
    {
        const char *oid = json_string_value(json_object_get(o, "oid"));
        uint64_t size = 0;
        _cleanup_close_ int fd = lfs_open(job->repo, oid ? oid : "", &size, NULL);

        json_t *said = json_object_get(o, "size");
        json_array_append_new(objects,
                              json_pack("{s:s, s:I, s:b, s:b}", "oid", oid ? oid : "", "size",
                                        fd >= 0 ? (json_int_t)size : json_integer_value(said),
                                        "stored", fd >= 0, "valid", oid && lfs_is_oid(oid)));
    }
    json_decref(question);
    if (r == 0)
        return job_print(json_pack("{s:o}", "objects", objects), err);
    json_decref(objects);
    return r;
}

static int answer_lfs_list(struct job *job, struct err *err)
{
    json_t *items;
    int r = lfs_list(job->repo, &items, err);

    return r < 0 ? r : job_print(json_pack("{s:o}", "items", items), err);
}

int job_read(struct job *job, struct err *err)
{
    static const struct {
        const char *what;
        int (*answer)(struct job *job, struct err *err);
    } questions[] = {{"resolve", answer_resolve},  {"tree", answer_tree},
                     {"paths", answer_paths},      {"log", answer_log},
                     {"refs", answer_refs},        {"diff", answer_diff},
                     {"lfs", answer_lfs},          {"preupload", answer_preupload},
                     {"lfs-list", answer_lfs_list}};
    const char *what = job_arg(job, "what", "");
    int r = version_open_for_reading(job, err);

    for (size_t i = 0; r == 0 && i < sizeof(questions) / sizeof(questions[0]); i++)
        if (strcmp(what, questions[i].what) == 0)
            return questions[i].answer(job, err);
    return r < 0 ? r : err_set(err, EINVAL, "no such question: %.40s", what);
}
