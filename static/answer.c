#include "static/answer.h"

#include "common/cleanup.h"
#include "static/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 308:
        return "Permanent Redirect";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

static void put(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Nothing that is put here can exceed the room: paths are bounded, and three bytes each at most. */
static void put(struct answer *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(a->head + a->head_len, sizeof(a->head) - a->head_len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(a->head) - a->head_len)
        a->head_len += (size_t)n;
}

static void put_date(struct answer *a, const char *name, time_t when)
{
    struct tm tm;
    char text[64];

    gmtime_r(&when, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    put(a, "%s: %s\r\n", name, text);
}

static void put_status(struct answer *a, int status)
{
    a->head_len = 0;
    put(a, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
    put_date(a, "Date", time(NULL));
    if (a->close)
        put(a, "Connection: close\r\n");
}

static void put_page(struct answer *a, int status, bool head_only)
{
    static const char page[] =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>%d %s</title>"
        "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;display:grid;"
        "place-items:center;min-height:90vh;margin:0;text-align:center}b{font-size:3.5rem;"
        "font-weight:650;letter-spacing:-.04em;display:block}</style>"
        "<main><b>%d</b>%s</main></html>\n";
    const char *words = status == 404 ? "There is nothing at this address." : reason_of(status);
    int len = snprintf(NULL, 0, page, status, reason_of(status), status, words);

    put(a, "Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len);
    if (!head_only)
        put(a, page, status, reason_of(status), status, words);
}

void answer_status(int status, struct answer *a)
{
    a->close = true;
    put_status(a, status);
    if (status == 405)
        put(a, "Allow: GET, HEAD\r\n");
    put_page(a, status, false);
}

/* --- files --- */

/* Opens what is at `path` below the root, through links if they stay below it. */
static int open_path(const struct site *site, const char *path, struct stat *st)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int fd =
        (int)syscall(SYS_openat2, site->root_fd, *path ? path : ".", &how, sizeof(how));

    if (fd < 0)
        return -errno;
    if (fstat(fd, st) < 0)
        return -errno;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return -ENOENT;
    return steal_fd(&fd);
}

static void redirect_to_folder(const struct request *req, struct answer *a)
{
    put_status(a, 308);
    put(a, "Location: ");
    /* The decoded path, so that "//elsewhere" cannot become an address of its own. */
    for (const char *p = req->path; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("/-_.~", *p);

        put(a, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    put(a, "/%.*s\r\nContent-Length: 0\r\n\r\n",
        req->query_len < REQUEST_PATH_MAX ? (int)req->query_len : 0, req->query);
}

static bool is_unchanged(const struct request *req, const char *etag, time_t mtime)
{
    struct tm tm = {0};

    if (*req->if_none_match)
        return strcmp(req->if_none_match, "*") == 0 || strstr(req->if_none_match, etag);
    if (!*req->if_modified_since ||
        !strptime(req->if_modified_since, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return false;
    return mtime <= timegm(&tm);
}

/* Takes `fd`. `status` is 200, or 404 where the file is the site's own page for that. */
static void answer_file(const struct request *req, int status, int fd, const char *path,
                        const struct stat *st, struct answer *a)
{
    _cleanup_close_ int file = fd;
    uint64_t size = (uint64_t)st->st_size, start = 0, len = size;
    char etag[64];

    snprintf(etag, sizeof(etag), "\"%llx-%llx\"",
             (unsigned long long)st->st_mtim.tv_sec * 1000000000ULL +
                 (unsigned long long)st->st_mtim.tv_nsec,
             (unsigned long long)size);
    if (status == 200 && is_unchanged(req, etag, st->st_mtim.tv_sec)) {
        put_status(a, 304);
        put(a, "ETag: %s\r\nCache-Control: no-cache\r\n\r\n", etag);
        return;
    }
    if (status == 200 && *req->range && (!*req->if_range || strcmp(req->if_range, etag) == 0)) {
        int r = request_range(req->range, size, &start, &len);

        if (r == 416) {
            put_status(a, 416);
            put(a, "Content-Range: bytes */%llu\r\n", (unsigned long long)size);
            put_page(a, 416, req->head);
            return;
        }
        if (r == 206)
            status = 206;
    }
    put_status(a, status);
    put(a, "Content-Type: %s\r\nContent-Length: %llu\r\n", mime_of(path), (unsigned long long)len);
    if (status == 206)
        put(a, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)start,
            (unsigned long long)(start + len - 1), (unsigned long long)size);
    if (status != 404) {
        put(a, "Accept-Ranges: bytes\r\nETag: %s\r\n", etag);
        put_date(a, "Last-Modified", st->st_mtim.tv_sec);
    }
    /* Kept by browsers, but asked for again each time: a new version shows at once. */
    put(a, "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\r\n");
    if (!req->head && len > 0) {
        a->file_fd = steal_fd(&file);
        a->offset = start;
        a->remaining = len;
    }
}

static void answer_missing(const struct site *site, const struct request *req, struct answer *a)
{
    struct stat st = {0};
    _cleanup_close_ int fd = open_path(site, "404.html", &st);

    if (fd >= 0 && S_ISREG(st.st_mode)) {
        answer_file(req, 404, steal_fd(&fd), "404.html", &st, a);
        return;
    }
    put_status(a, 404);
    put_page(a, 404, req->head);
}

void answer_request(const struct site *site, const struct request *req, struct answer *a)
{
    char path[REQUEST_PATH_MAX + 256];
    size_t len = strlen(req->path);
    struct stat st = {0};

    a->close = !req->keep_alive || req->has_body;
    if (!req->get && !req->head) {
        answer_status(405, a);
        return;
    }
    memcpy(path, req->path + 1, len);
    _cleanup_close_ int fd = open_path(site, path, &st);

    if (fd >= 0 && S_ISDIR(st.st_mode)) {
        if (req->path[len - 1] != '/') {
            redirect_to_folder(req, a);
            return;
        }
        close_fd(&fd);
        snprintf(path + len - 1, sizeof(path) - len, "%s", site->index);
        fd = open_path(site, path, &st);
    }
    if (fd < 0 || !S_ISREG(st.st_mode))
        answer_missing(site, req, a);
    else
        answer_file(req, 200, steal_fd(&fd), path, &st, a);
}
