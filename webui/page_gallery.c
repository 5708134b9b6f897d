#include "webui/pages.h"

#include "common/cleanup.h"
#include "webui/parts.h"
#include "webui/reach.h"
#include "webui/view.h"

#include <stdio.h>
#include <string.h>

#define PER_PAGE 60

/* "?q=...&page=N" */
static void page_link(char out[1024], const char *search, long page)
{
    size_t n = (size_t)snprintf(out, 1024, "/?page=%ld", page);
    if (!*search)
        return;
    n += (size_t)snprintf(out + n, 1024 - n, "&q=");
    for (; *search && n + 4 < 1024; search++)
        n += (size_t)snprintf(out + n, 1024 - n, "%%%02x", (unsigned char)*search);
}

enum MHD_Result page_gallery(struct req *r)
{
    struct err err = {0};
    const char *search = req_query(r, "q");
    char query[128];
    text_copy(query, sizeof query, search ? search : "");
    long page = req_query_number(r, "page", 1, 1000000, 1);
    struct site_list list;
    const struct site_search what = {.viewer = reach_viewer(r),
                                     .text = query,
                                     .offset = (size_t)(page - 1) * PER_PAGE,
                                     .limit = PER_PAGE};
    if (site_list(r->app->site, &what, &list, &err) < 0)
        return req_fail(r, &err);
    _cleanup_free_ struct space *rows = list.rows;

    _cleanup_buf_ struct buf cards = BUF_INIT(PAGE_MAX / 2);
    for (size_t i = 0; i < list.n; i++) {
        struct view v;
        view_of(r->app, &rows[i], &v);
        if (part_card(&cards, &v, &err) < 0)
            return req_fail(r, &err);
    }
    bool nothing_yet = list.n == 0 && !*query && page == 1;
    char newer[1024] = "", older[1024] = "";
    if (page > 1)
        page_link(newer, query, page - 1);
    if (list.more)
        page_link(older, query, page + 1);
    const struct tpl_var vars[] = {{"cards", cards.data},
                                   {"query", query},
                                   {"nothing_yet", nothing_yet ? "1" : ""},
                                   {"nothing_found", list.n == 0 && !nothing_yet ? "1" : ""},
                                   {"site", r->app->urls.site},
                                   {"newer", newer},
                                   {"older", older},
                                   {0}};
    return page_render(r, 200, "Gallery", "gallery", "gallery.js", "gallery.html", vars, "");
}
