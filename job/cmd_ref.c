/* `vitrine-job ref`: do=create|delete|squash (a branch: one commit with its tree and nothing
 * before), kind=branch|tag, name=NAME, rev=REV (create; main), message=TEXT (of an annotated tag).
 */
#include "common/cleanup.h"
#include "job/job.h"
#include "job/repo.h"
#include "job/version.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* An annotated tag of `sha`: its object's name. */
static int make_tag(struct job *job, const char *name, const char *message, char sha[65],
                    struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);
    _cleanup_buf_ struct buf said = BUF_INIT(4096);
    const char *author = job_arg(job, "author", "unknown");

    if (strpbrk(author, "<>\n"))
        author = "unknown";
    if (buf_printf(&text, "object %s\ntype commit\ntag %s\ntagger %s <%s> %lld +0000\n\n%s\n", sha,
                   name, author, "unknown@localhost", (long long)time(NULL), message) < 0)
        return err_set(err, EFBIG, "the tag's message has more than 64 KiB");
    _cleanup_close_ int in = git_input(text.data, text.len, err);
    int r = in < 0 ? in : git_run((const char *[]){"git", "mktag", NULL}, in, &said, NULL, err);
    if (r < 0)
        return r;
    snprintf(sha, 65, "%.*s", (int)strcspn(said.data ? said.data : "", "\n"),
             said.data ? said.data : "");
    return 0;
}

static int squash(struct job *job, const char *ref, const char *old, struct err *err)
{
    char tree[GIT_OID_MAX + 1], sha[65];
    bool is_new = false;
    int r = repo_tree(old, tree, err);

    if (r == 0)
        r = version_commit(job, tree, "", job_arg(job, "message", "Squashed"), sha, &is_new, err);
    if (r == 0)
        r = version_sync(job, err);
    if (r == 0)
        r = repo_set_ref(ref, sha, old, err);
    if (r == 0 && buf_printf(&job->out, "{\"sha\":\"%s\"}", sha) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    return r;
}

int job_ref(struct job *job, struct err *err)
{
    bool is_tag = strcmp(job_arg(job, "kind", ""), "tag") == 0;
    bool removes = strcmp(job_arg(job, "do", ""), "delete") == 0;
    bool squashes = strcmp(job_arg(job, "do", ""), "squash") == 0;
    const char *what = is_tag ? "tag" : "branch", *name = job_arg(job, "name", "");
    const char *message = job_arg(job, "message", "");
    char ref[320], old[GIT_OID_MAX + 1] = "", sha[65] = "";
    int r = repo_check_name(what, name, err);

    if (r == 0)
        r = version_open_repo(job, err);
    snprintf(ref, sizeof(ref), "refs/%s/%s", is_tag ? "tags" : "heads", name);
    if (r == 0)
        r = repo_ref(ref, old, err);
    if (r < 0)
        return r;
    if ((removes || squashes) && !*old)
        return err_set(err, ENXIO, "there is no %s %s", what, name);
    if (removes && strcmp(ref, REPO_MAIN) == 0)
        return err_set(err, EINVAL, "main cannot be deleted: it is what the Space runs");
    if (removes)
        return git_run((const char *[]){"git", "update-ref", "--no-deref", "-d", ref, NULL}, -1,
                       NULL, NULL, err);
    if (squashes)
        return squash(job, ref, old, err);
    if (*old)
        return err_set(err, EEXIST, "there is a %s %s already", what, name);
    r = repo_resolve(job_arg(job, "rev", "main"), sha, err);
    if (r == 0 && is_tag && *message)
        r = make_tag(job, name, message, sha, err);
    if (r == 0)
        r = version_sync(job, err);
    if (r == 0)
        r = repo_set_ref(ref, sha, "", err);
    if (r == 0 && buf_printf(&job->out, "{\"sha\":\"%s\"}", sha) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    return r;
}
