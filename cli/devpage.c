#include "devpage.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char script[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/javascript; charset=utf-8\r\n"
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    "(() => {\n"
    "  const of = document.currentScript.dataset.of;\n"
    "  const events = new EventSource('" DEVPAGE_EVENTS "');\n"
    "  events.onmessage = (m) => { if (m.data !== of) location.reload(); };\n"
    "})();\n";

static int send_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void devpage_script(int visitor)
{
    (void)send_all(visitor, script, sizeof(script) - 1);
}

static bool is_named(const struct http1_field *f, const char *p, const char *lower)
{
    return http1_is(p + f->name, f->name_len, lower);
}

bool devpage_is_wanted(const struct http1_head *h, const char *p)
{
    bool html = false;
    if (h->method_len != 3 || memcmp(p + h->method, "GET", 3) != 0 || h->upgrade_websocket)
        return false;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->id == FIELD_ACCEPT)
            html = html || http1_contains(p + f->value, f->value_len, "text/html");
        else if (is_named(f, p, "sec-fetch-dest") &&
                 !http1_is(p + f->value, f->value_len, "document"))
            return false;
    }
    return html;
}

struct answer {
    int visitor, program;
    struct buf head;
    bool html, coded, told; /* the head is on its way */
    long status;
};

static int tell_head(struct answer *a)
{
    a->told = true;
    return buf_puts(&a->head, "Connection: close\r\n\r\n") < 0
               ? -ENOMEM
               : send_all(a->visitor, a->head.data, a->head.len);
}

/* One line of the head; that of an answer before the last one (1xx) is forgotten. */
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct answer *a = arg;
    size_t len = n * one;
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : 0;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        buf_clear(&a->head);
        a->html = a->coded = false;
    } else if (len <= 2) {
        return len;
    }
    /* libcurl has taken the framing away. */
    if (http1_is(line, name, "content-length") || http1_is(line, name, "transfer-encoding") ||
        http1_is(line, name, "connection") || http1_is(line, name, "keep-alive"))
        return len;
    if (http1_is(line, name, "content-type"))
        a->html = http1_contains(line, len, "text/html");
    a->coded = a->coded || http1_is(line, name, "content-encoding");
    return buf_append(&a->head, line, len) < 0 ? 0 : len;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
    struct answer *a = arg;
    if (!a->told && tell_head(a) < 0)
        return 0;
    return send_all(a->visitor, data, n * one) < 0 ? 0 : n * one;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct answer *a = arg;
    (void)purpose;
    (void)address;
    int fd = a->program;
    a->program = -1; /* there is one; libcurl closes it */
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_opened(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)fd;
    (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* The visitor's fields, but for what would bring something that no script can be put behind. */
static struct curl_slist *fields(const struct http1_head *h, const char *p)
{
    static const char *const left_out[] = {"accept-encoding", "if-none-match", "if-modified-since",
                                           "range"};
    struct curl_slist *list = NULL;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        bool leave = f->id == FIELD_CONNECTION || f->id == FIELD_HOP;
        char *line = NULL;
        for (size_t j = 0; j < sizeof(left_out) / sizeof(left_out[0]); j++)
            leave = leave || is_named(f, p, left_out[j]);
        if (leave || asprintf(&line, "%.*s%s%.*s", f->name_len, p + f->name,
                              f->value_len ? ": " : ";", f->value_len, p + f->value) < 0)
            continue;
        struct curl_slist *more = curl_slist_append(list, line);
        free(line);
        list = more ? more : list;
    }
    return list;
}

static CURLcode ask(struct answer *a, const char *target, struct curl_slist *list)
{
    CURL *c = curl_easy_init();
    if (!c)
        return CURLE_OUT_OF_MEMORY;
    curl_easy_setopt(c, CURLOPT_URL, "http://localhost/"); /* for the form of it */
    curl_easy_setopt(c, CURLOPT_REQUEST_TARGET, target);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, a);
    curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, on_opened);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    CURLcode code = curl_easy_perform(c);
    curl_easy_cleanup(c);
    return code;
}

void devpage_carry(int visitor, int program, const struct http1_head *h, const char *p, uint64_t of)
{
    struct answer a = {.visitor = visitor, .program = program, .head = BUF_INIT(128 * 1024)};
    char end[128], target[HTTP1_LINE_MAX];
    struct curl_slist *list = fields(h, p);
    snprintf(target, sizeof(target), "%.*s", h->target_len, p + h->target);
    CURLcode code = ask(&a, target, list);
    if (code == CURLE_OK && !a.told && a.head.len)
        (void)tell_head(&a);
    if (code == CURLE_OK && a.html && !a.coded) {
        int n = snprintf(end, sizeof(end),
                         "\n<script src=\"" DEVPAGE_SCRIPT "\" data-of=\"%" PRIu64 "\"></script>\n",
                         of);
        (void)send_all(visitor, end, (size_t)n);
    }
    curl_slist_free_all(list);
    buf_free(&a.head);
    close_fd(&a.program);
}
