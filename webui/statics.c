#include "webui/statics.h"

#include "common/assets.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct asset webui_assets[];

static const struct asset *find(const char *folder, const char *name)
{
    char path[256];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return NULL;
    return asset_find(webui_assets, path);
}

const char *static_page(const char *name)
{
    const struct asset *a = find("pages", name);
    return a ? (const char *)a->data : NULL;
}

static void version_of(const struct asset *a, char out[13])
{
    char sum[65];
    sha256_hex(a->data, a->len, sum);
    snprintf(out, 13, "%.12s", sum);
}

int static_address(const char *name, char *out, size_t size, struct err *err)
{
    const struct asset *a = find("static", name);
    if (!a)
        return err_set(err, ENOENT, "there is no static file %s", name);
    char version[13];
    version_of(a, version);
    snprintf(out, size, "/static/%s?v=%s", name, version);
    return 0;
}

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {{".css", "text/css; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".svg", "image/svg+xml"},
                                           {".txt", "text/plain; charset=utf-8"},
                                           {".png", "image/png"}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static enum MHD_Result serve(struct req *r, const char *name)
{
    const struct asset *a = find("static", name);
    if (!a)
        return req_error(r, 404, "there is no such file");
    char version[13], etag[16];
    version_of(a, version);
    snprintf(etag, sizeof etag, "\"%s\"", version);
    const char *known = req_header(r, "If-None-Match"), *asked = req_query(r, "v");
    bool same = known && strcmp(known, etag) == 0;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same ? 0 : a->len, (void *)a->data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type_of(name));
    MHD_add_response_header(response, "ETag", etag);
    MHD_add_response_header(
        response, "Cache-Control",
        asked && strcmp(asked, version) == 0 ? "public, max-age=31536000, immutable" : "no-cache");
    return req_queue(r, same ? 304 : 200, response,
                     "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
}

enum MHD_Result static_get(struct req *r)
{
    return serve(r, r->what);
}

enum MHD_Result static_favicon(struct req *r)
{
    return serve(r, "icon.svg");
}

enum MHD_Result static_robots(struct req *r)
{
    return serve(r, "robots.txt");
}
