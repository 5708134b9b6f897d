#include "webui/pages.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "webui/statics.h"

#include <stdio.h>
#include <string.h>

enum MHD_Result page_send(struct req *r, unsigned status, const char *title, const char *here,
                          const char *script, struct buf *content, const char *frame_src)
{
    char script_address[256] = "";
    const struct tpl_var vars[] = {
        {"title", title},
        {"content", content->data},
        {"script", script_address},
        {"admin", auth_is_admin(r->auth) ? "1" : ""},
        {"gallery", strcmp(here, "gallery") == 0 ? "1" : ""},
        {"submit", strcmp(here, "submit") == 0 ? "1" : ""},
        {"workers", strcmp(here, "admin") == 0 ? "1" : ""},
        {0},
    };
    struct err err = {0};
    _cleanup_buf_ struct buf page = BUF_INIT(PAGE_MAX);
    int res = 0;
    if (*script)
        res = static_address(script, script_address, sizeof script_address, &err);
    if (res == 0)
        res = tpl_render(&page, "layout.html", vars, &err);
    buf_free(content);
    if (res < 0) {
        log_error(NULL, "site.page", "%s", err.msg);
        return MHD_NO;
    }
    return req_html(r, status, &page, frame_src);
}

enum MHD_Result page_render(struct req *r, unsigned status, const char *title, const char *here,
                            const char *script, const char *template, const struct tpl_var *vars,
                            const char *frame_src)
{
    struct err err = {0};
    struct buf content = BUF_INIT(PAGE_MAX);
    if (tpl_render(&content, template, vars, &err) < 0) {
        buf_free(&content);
        log_error(NULL, "site.page", "%s", err.msg);
        return MHD_NO;
    }
    return page_send(r, status, title, here, script, &content, frame_src);
}

enum MHD_Result page_error(struct req *r, unsigned status, const char *message)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "That did not work"}, {401, "Please log in"},
        {403, "Not from there"},    {404, "Nothing on show here"},
        {405, "Not like this"},     {409, "Not at the moment"},
        {413, "Too large"},         {429, "Slow down a little"},
        {500, "Something broke"},   {503, "Not at the moment"},
        {504, "It takes longer"},   {507, "The disk is full"},
    };
    const char *title = "That did not work";
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            title = titles[i].title;
    /* "there is no Space a/b" is half a sentence, as the command line shows it. */
    char sentence[1024], number[16];
    size_t len = strlen(message);
    bool ended = len > 0 && strchr(".!?", message[len - 1]);
    snprintf(sentence, sizeof sentence, "%s%s", message, ended ? "" : ".");
    if (sentence[0] >= 'a' && sentence[0] <= 'z')
        sentence[0] = (char)(sentence[0] - 'a' + 'A');
    snprintf(number, sizeof number, "%u", status);
    const struct tpl_var vars[] = {
        {"title", title}, {"message", sentence}, {"status", number}, {0}};
    return page_render(r, status, title, "", "", "error.html", vars, "");
}

/* ---- logging in ----------------------------------------------------------------------------- */

/* A path of ours to go back to: nothing that a browser could take for another site's. */
static const char *safe_path(const char *path)
{
    if (!path || path[0] != '/' || path[1] == '/' || path[1] == '\\' || strpbrk(path, "\r\n\t"))
        return "/admin";
    return path;
}

static enum MHD_Result login_form(struct req *r, unsigned status, const char *next,
                                  const char *problem)
{
    const struct tpl_var vars[] = {{"next", safe_path(next)},
                                   {"problem", problem},
                                   {"insecure", r->app->urls.cookies_work ? "" : "1"},
                                   {0}};
    return page_render(r, status, "Log in", "", "", "login.html", vars, "");
}

enum MHD_Result page_login_first(struct req *r)
{
    return login_form(r, 401, strcmp(r->method, "GET") == 0 ? r->path : NULL, "");
}

static enum MHD_Result logged_in(struct req *r, const char *next)
{
    struct err err = {0};
    if (auth_begin(r, &err) < 0)
        return req_fail(r, &err);
    log_info(NULL, "login", "a session began");
    return req_redirect(r, safe_path(next));
}

enum MHD_Result page_login(struct req *r)
{
    const char *link = req_query(r, "link");
    if (!link)
        return login_form(r, 200, req_query(r, "next"), "");
    if (auth_blocked(r) && !auth_is_admin(r->auth))
        return req_error(r, 429, "too many attempts: wait a minute");
    struct err err = {0};
    int good = auth_link_use(r->app->auth, link, &err);
    if (good < 0)
        return req_fail(r, &err);
    if (good == 1)
        return logged_in(r, "/admin");
    if (auth_is_admin(r->auth)) /* the link was opened a second time */
        return req_redirect(r, "/admin");
    if (auth_failed_too_often(r))
        return req_error(r, 429, "too many attempts: wait a minute");
    return login_form(r, 403, NULL,
                      "This link was used already, or is older than an hour. Log in with the admin "
                      "token, or make a new link.");
}

enum MHD_Result page_login_post(struct req *r)
{
    char token[256], next[256];
    if (!req_field(r, "next", next, sizeof next))
        next[0] = 0;
    if (!req_field(r, "token", token, sizeof token))
        token[0] = 0;
    char *text = token + strspn(token, " \t\r\n");
    text[strcspn(text, " \t\r\n")] = 0;
    if (auth_blocked(r))
        return req_error(r, 429, "too many attempts: wait a minute");
    if (auth_token_right(r->app->auth, text))
        return logged_in(r, next);
    if (auth_failed_too_often(r))
        return req_error(r, 429, "too many attempts: wait a minute");
    return login_form(r, 403, next, "That is not the admin token.");
}

enum MHD_Result page_logout(struct req *r)
{
    struct err err = {0};
    if (auth_end(r, &err) < 0)
        return req_fail(r, &err);
    return req_redirect(r, "/");
}
