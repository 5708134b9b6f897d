#include "webui/pages.h"

#include "common/cleanup.h"
#include "webui/hardware.h"
#include "webui/limits.h"
#include "webui/markdown.h"
#include "webui/parts.h"
#include "webui/reach.h"

#include <stdio.h>
#include <string.h>

enum MHD_Result page_space(struct req *r)
{
    struct err err = {0};
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;

    _cleanup_free_ char *readme = NULL;
    _cleanup_free_ char *card = NULL;
    _cleanup_buf_ struct buf html = BUF_INIT(PAGE_MAX / 4);
    _cleanup_buf_ struct buf actions = BUF_INIT(PAGE_MAX / 4);
    if (site_version_texts(r->app->site, v.space.version_id, &readme, &card, &err) < 0 ||
        part_actions(&actions, v.space.full, &err) < 0)
        return req_fail(r, &err);
    /* A README that is too long to be shown is left out; the page is still the page. */
    if (*readme && markdown_html(&html, readme) < 0)
        buf_clear(&html);

    _cleanup_buf_ struct buf chips = BUF_INIT(PAGE_MAX / 8);
    if (part_chips(&chips, card) < 0)
        buf_clear(&chips);
    /* The site makes the visit of a private one when the frame is opened, and as often as it is. */
    bool is_private = strcmp(v.space.visibility, "private") == 0;
    char ago[32], count[32], gpus[32], demo[URL_MAX + sizeof v.space.base_path],
        frames[URL_MAX + 16];
    if (is_private)
        snprintf(demo, sizeof demo, "/visit/%s", v.space.label);
    else
        snprintf(demo, sizeof demo, "%s%s", v.url,
                 v.space.base_path[0] == '/' && v.space.base_path[1] ? v.space.base_path : "");
    if (!reach_may_see_files(r, &v.space))
        buf_clear(&html);
    text_ago((uint64_t)v.space.submitted_ms, ago);
    snprintf(count, sizeof count, "%lld", (long long)v.space.versions_count);
    hardware_gpu_text(v.gpus, gpus);
    json_t *data = auth_is_admin(r->auth) ? limits_data_json(r->app, &v) : NULL;
    const struct tpl_var vars[] = {
        {"full", v.space.full},
        {"owner", v.space.owner},
        {"name", v.space.name},
        {"title", v.title},
        {"emoji", part_emoji(&v)},
        {"from", part_colour(v.space.color_from)},
        {"to", part_colour(v.space.color_to)},
        {"description", v.space.short_description},
        {"stage", v.stage},
        {"class", stage_class(v.stage)},
        {"word", stage_word(v.stage)},
        {"reason", v.life.reason},
        {"ran_into", v.life.ran_into},
        {"data", json_string_value(json_object_get(data, "text"))},
        {"shows_demo", stage_shows_demo(v.stage) ? "1" : ""},
        {"url", demo},
        {"private", is_private ? "1" : ""},
        {"host", strstr(v.url, "://") + 3},
        {"sdk", v.space.sdk},
        {"hardware", v.hardware},
        {"gpus", gpus},
        {"ago", ago},
        {"count", count},
        {"several", v.space.versions_count == 1 ? "" : "1"},
        {"chips", chips.data},
        {"files", reach_may_see_files(r, &v.space) ? "1" : ""},
        {"readme", html.len ? html.data : ""},
        {"admin", auth_is_admin(r->auth) ? "1" : ""},
        {"actions", actions.data},
        {0},
    };
    snprintf(frames, sizeof frames, "%s%s", is_private ? "'self' " : "", v.url);
    answer = page_render(r, 200, v.title, "", "space.js", "space.html", vars, frames);
    json_decref(data);
    return answer;
}

enum MHD_Result page_delete(struct req *r)
{
    struct view v;
    enum MHD_Result answer;
    if (!reach_space(r, &v, &answer))
        return answer;
    const struct tpl_var vars[] = {{"full", v.space.full}, {"title", v.title}, {0}};
    return page_render(r, 200, "Delete a Space", "", "", "delete.html", vars, "");
}
