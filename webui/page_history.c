/* The history of a Space, and one commit with what it changed. */
#include "webui/pages.h"

#include "common/cleanup.h"
#include "webui/owners.h"
#include "webui/parts.h"
#include "webui/reach.h"
#include "webui/repo.h"
#include "webui/versions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PER_PAGE 50

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const char *author_of(const json_t *commit)
{
    return text_of(json_array_get(json_object_get(commit, "authors"), 0), "user");
}

/* "2026-11-28T12:00:00+00:00" in words. */
static void ago_of(const json_t *commit, char out[32])
{
    struct tm tm = {0};
    const char *date = text_of(commit, "date");
    const char *end = strptime(date, "%Y-%m-%dT%H:%M:%S", &tm);
    long hours = 0, minutes = 0;
    char sign = '+';
    if (!end) {
        snprintf(out, 32, "%.31s", date);
        return;
    }
    (void)sscanf(end, "%c%ld:%ld", &sign, &hours, &minutes);
    long offset = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
    time_t at = timegm(&tm) - offset;
    text_ago(at > 0 ? (uint64_t)at * 1000 : 0, out);
}

/* The number of the newest version of that commit, or "". */
static void version_of(const json_t *versions, const char *sha, char out[24])
{
    size_t i;
    const json_t *v;
    out[0] = 0;
    json_array_foreach(versions, i, v)
    {
        if (strcmp(text_of(v, "sha"), sha) == 0) {
            snprintf(out, 24, "%lld", (long long)json_integer_value(json_object_get(v, "number")));
            return;
        }
    }
}

static int make_rows(struct req *r, const struct view *v, const json_t *items, struct buf *rows,
                     struct err *err)
{
    json_t *versions = versions_json(r->app->site, &v->space, 1000, err);
    bool may = auth_may(r, v->space.owner, MAY_WRITE);
    size_t i;
    const json_t *o;
    int n = versions ? 0 : -EIO;
    json_array_foreach(items, i, o)
    {
        const char *sha = text_of(o, "id");
        bool current = strcmp(sha, v->space.sha) == 0;
        char ago[32], number[24], short_sha[13];
        ago_of(o, ago);
        version_of(versions, sha, number);
        snprintf(short_sha, sizeof short_sha, "%s", sha);
        const struct tpl_var vars[] = {
            {"full", v->space.full},
            {"sha", sha},
            {"short", short_sha},
            {"subject", *text_of(o, "title") ? text_of(o, "title") : "(no message)"},
            {"author", author_of(o)},
            {"ago", ago},
            {"current", current ? "1" : ""},
            {"version", number},
            {"may", may && !current ? "1" : ""},
            {0}};
        if (n == 0)
            n = tpl_render(rows, "history_row.html", vars, err);
    }
    json_decref(versions);
    return n;
}

enum MHD_Result page_history(struct req *r)
{
    _cleanup_buf_ struct buf rows = BUF_INIT(PAGE_MAX / 2);
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *log = NULL;
    char newer[400] = "", older[400] = "";
    long from = req_query_number(r, "from", 0, 100000000, 0);
    if (!reach_files(r, &v, &answer))
        return answer;
    int n = repo_log(r->app, &v.space, "main", (uint64_t)from, PER_PAGE, &log, &err);
    if (n == 0)
        n = make_rows(r, &v, json_object_get(log, "items"), &rows, &err);
    if (from > 0)
        snprintf(newer, sizeof newer, "/spaces/%s/history?from=%ld", v.space.full,
                 from > PER_PAGE ? from - PER_PAGE : 0);
    if (json_is_true(json_object_get(log, "more")))
        snprintf(older, sizeof older, "/spaces/%s/history?from=%ld", v.space.full, from + PER_PAGE);
    json_decref(log);
    if (n < 0)
        return req_fail(r, &err);
    const struct tpl_var vars[] = {{"title", v.title}, {"full", v.space.full}, {"rows", rows.data},
                                   {"newer", newer},   {"older", older},       {0}};
    return page_render(r, 200, v.title, "", "", "history.html", vars, "");
}

/* Each line by what it is: what the marks are, is for the style. */
static int colour(struct buf *out, char *text)
{
    bool in_file = false;
    int r = 0;
    for (char *line; r == 0 && (line = strsep(&text, "\n"));) {
        const char *tag = "";
        if (strncmp(line, "diff --git ", 11) == 0) {
            in_file = false;
            tag = "b";
        } else if (strncmp(line, "@@", 2) == 0) {
            in_file = true;
            tag = "i";
        } else if (in_file && *line == '+') {
            tag = "ins";
        } else if (in_file && *line == '-') {
            tag = "del";
        }
        if (*tag)
            r = buf_printf(out, "<%s>", tag);
        if (r == 0)
            r = buf_html(out, line);
        if (r == 0 && *tag)
            r = buf_printf(out, "</%s>", tag);
        if (r == 0 && strcmp(tag, "ins") != 0 && strcmp(tag, "del") != 0)
            r = buf_puts(out, "\n");
    }
    return r;
}

enum MHD_Result page_commit(struct req *r)
{
    _cleanup_buf_ struct buf diff = BUF_INIT(PAGE_MAX - 65536);
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    json_t *commit = NULL;
    char ago[32];
    if (!reach_files(r, &v, &answer))
        return answer;
    if (repo_diff(r->app, &v.space, r->what, &commit, &err) < 0)
        return req_fail(r, &err);
    ago_of(commit, ago);
    _cleanup_free_ char *text = strdup(text_of(commit, "diff"));
    bool cut = json_is_true(json_object_get(commit, "cut"));
    if (text && *text && colour(&diff, text) < 0)
        cut = true;
    const struct tpl_var vars[] = {
        {"full", v.space.full},
        {"sha", text_of(commit, "sha")},
        {"subject", *text_of(commit, "title") ? text_of(commit, "title") : "(no message)"},
        {"message", text_of(commit, "message")},
        {"author", author_of(commit)},
        {"ago", ago},
        {"diff", diff.data},
        {"cut", cut ? "1" : ""},
        {0}};
    answer = page_render(r, 200, text_of(commit, "title"), "", "", "commit.html", vars, "");
    json_decref(commit);
    return answer;
}
