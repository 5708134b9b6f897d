#include "client.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#define CONNECT_TIMEOUT_MS 5000L

struct client {
    CURL *curl;
    char url[1024];
    char host[256]; /* of the URL, for messages and for who may have the local token */
    struct curl_slist *connect_to;
    char *authorization; /* header line, or NULL */
    bool any_certificate;
    char curl_error[CURL_ERROR_SIZE];
};

void client_take_any_certificate(struct client *c)
{
    c->any_certificate = true;
}

const char *client_url(const struct client *c)
{
    return c->url;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->connect_to);
    free(c->authorization);
    free(c);
}

/* Checks the URL and keeps it without its last slash; c->host gets its host. */
static int take_url(struct client *c, const char *url, struct err *err)
{
    CURLU *u = curl_url();
    char *host = NULL, *scheme = NULL;
    size_t len = strlen(url);
    int r = 0;
    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") && strcmp(scheme, "https")) || len >= sizeof(c->url) ||
        strlen(host) >= sizeof(c->host)) {
        r = err_set(err, EINVAL, "\"%s\" is no URL of a server, as in http://localhost:8080", url);
    } else {
        snprintf(c->url, sizeof(c->url), "%s", url);
        while (len > 0 && c->url[len - 1] == '/')
            c->url[--len] = 0;
        snprintf(c->host, sizeof(c->host), "%s", host);
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(u);
    return r;
}

int client_open_at(struct client **ret, const char *url, const char *token, const char *connect_to,
                   struct err *err)
{
    _cleanup_client_ struct client *c = calloc(1, sizeof(*c));
    if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->curl = curl_easy_init()))
        return err_set(err, ENOMEM, "cannot set up HTTP");
    int r = take_url(c, url, err);
    if (r < 0)
        return r;
    if (token && *token && asprintf(&c->authorization, "Authorization: Bearer %s", token) < 0) {
        c->authorization = NULL;
        return err_set(err, ENOMEM, "out of memory");
    }
    if (connect_to) {
        char line[512];
        snprintf(line, sizeof(line), "::%s", connect_to);
        c->connect_to = curl_slist_append(NULL, line);
    }
    *ret = steal_ptr(c);
    return 0;
}

static bool is_this_machine(const char *host)
{
    return !strcasecmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

int client_open(struct client **ret, struct err *err)
{
    const char *url = getenv("VITRINE_URL"), *token = getenv("VITRINE_TOKEN");
    if (!url || !*url)
        url = "http://localhost:8080";
    _cleanup_client_ struct client *c = NULL;
    int r = client_open_at(&c, url, token, NULL, err);
    if (r < 0)
        return r;
    char text[256] = "";
    if (!c->authorization && is_this_machine(c->host) &&
        file_read_small("data/admin.token", text, sizeof(text)) > 0 &&
        asprintf(&c->authorization, "Authorization: Bearer %s", text) < 0) {
        c->authorization = NULL;
        return err_set(err, ENOMEM, "out of memory");
    }
    *ret = steal_ptr(c);
    return 0;
}

/* ---- one request ---- */

struct transfer {
    const struct client_request *rq;
    struct client *c;
    struct client_answer *ans;
    uint64_t sent;
    int read_errno; /* of the body's file */
    bool too_long, taken_enough;
};

static size_t on_send(char *out, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    uint64_t left = t->rq->body_size - t->sent;
    ssize_t got = pread(t->rq->body_fd, out, size * n < left ? size * n : (size_t)left,
                        (off_t)(t->rq->body_from + t->sent));
    if (got < 0) {
        t->read_errno = errno;
        return CURL_READFUNC_ABORT;
    }
    t->sent += (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_receive(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    long status = 0;
    curl_easy_getinfo(t->c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->rq->take && status / 100 == 2) {
        t->taken_enough = t->rq->take(t->rq->arg, data, size * n) != 0;
        return t->taken_enough ? 0 : size * n;
    }
    if (buf_append(&t->ans->body, data, size * n) < 0) {
        t->too_long = true;
        return 0;
    }
    return size * n;
}

static int on_progress(void *arg, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total,
                       curl_off_t ul_now)
{
    struct transfer *t = arg;
    (void)dl_total, (void)dl_now, (void)ul_total;
    t->rq->progress(t->rq->arg, (uint64_t)ul_now, t->rq->body_size);
    return 0;
}

static int explain(struct transfer *t, CURLcode code, struct err *err)
{
    struct client *c = t->c;
    const char *why = c->curl_error[0] ? c->curl_error : curl_easy_strerror(code);
    if (t->read_errno)
        return err_set(err, t->read_errno, "cannot read what is to be sent: %s",
                       strerror(t->read_errno));
    if (t->too_long)
        return err_set(err, EFBIG, "the answer of %s is too long", c->url);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return err_set(err, ECONNREFUSED,
                       "no Vitrine answers at %s; start it with `vitrine up`, or set VITRINE_URL",
                       c->url);
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(err, EHOSTUNREACH, "the name of %s is unknown; check VITRINE_URL", c->url);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ETIMEDOUT, "%s did not answer in time; `vitrine status` may tell more",
                       c->url);
    default:
        return err_set(err, ECONNRESET, "the connection to %s failed: %s", c->url, why);
    }
}

int client_send(struct client *c, const struct client_request *rq, struct client_answer *ans,
                struct err *err)
{
    struct transfer t = {.rq = rq, .c = c, .ans = ans};
    *ans = (struct client_answer){.body = BUF_INIT(CLIENT_ANSWER_MAX)};
    char url[4096], accept[128];
    if ((size_t)snprintf(url, sizeof(url), "%s%s", c->url, rq->path) >= sizeof(url))
        return err_set(err, ENAMETOOLONG, "the address is too long");
    snprintf(accept, sizeof(accept), "Accept: %s", rq->accept ? rq->accept : "application/json");

    CURL *h = c->curl;
    curl_easy_reset(h);
    c->curl_error[0] = 0;
    struct curl_slist *headers = curl_slist_append(NULL, accept);
    /* No pause for "100 Continue": an early refusal is noticed while sending as well. */
    headers = curl_slist_append(headers, "Expect:");
    if (rq->header)
        headers = curl_slist_append(headers, rq->header);
    if (c->authorization)
        headers = curl_slist_append(headers, c->authorization);
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, rq->method);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "vitrine");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->curl_error);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)rq->timeout_ms);
    if (rq->stall_s) {
        curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)rq->stall_s);
    }
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_receive);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
    if (is_this_machine(c->host))
        curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    if (c->connect_to)
        curl_easy_setopt(h, CURLOPT_CONNECT_TO, c->connect_to);
    if (c->any_certificate) {
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (rq->body_fd >= 0) {
        curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->body_size);
        curl_easy_setopt(h, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(h, CURLOPT_READDATA, &t);
        curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(h, CURLOPT_SEEKDATA, &t);
    } else if (!strcmp(rq->method, "POST")) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, "");
    }
    if (rq->progress) {
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, &t);
    }
    CURLcode code = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &ans->status);
    curl_slist_free_all(headers);
    /* A refusal that came whole counts, even where the rest of our body could not be sent. */
    if (code == CURLE_OK || t.taken_enough || (code == CURLE_SEND_ERROR && ans->status >= 400))
        return 0;
    return explain(&t, code, err);
}

int client_refusal(const struct client_answer *ans, struct err *err)
{
    json_error_t unused;
    _cleanup_json_ json_t *j =
        ans->body.len ? json_loadb(ans->body.data, ans->body.len, 0, &unused) : NULL;
    const char *said = json_str(j, "error");
    int code = ans->status == 401 || ans->status == 403   ? EACCES
               : ans->status == 404                       ? ENOENT
               : ans->status == 409                       ? EBUSY
               : ans->status == 413                       ? EFBIG
               : ans->status >= 502 && ans->status <= 504 ? EAGAIN
               : ans->status / 100 == 4                   ? EINVAL
                                                          : EIO;
    if (ans->status == 401)
        return err_set(err, code,
                       "%s; set VITRINE_TOKEN to what the server's data/admin.token holds, or run "
                       "this where ./data is",
                       *said ? said : "the server did not accept the token");
    if (ans->status == 308)
        return err_set(err, code,
                       "the server speaks HTTPS: set VITRINE_URL to its address, https://NAME");
    if (*said)
        return err_set(err, code, "%s", said);
    return err_set(err, code, "the server answered with status %ld", ans->status);
}

int client_json(struct client *c, const struct client_request *rq, json_t **ret, struct err *err)
{
    _cleanup_answer_ struct client_answer ans = {0};
    *ret = NULL;
    int r = client_send(c, rq, &ans, err);
    if (r < 0)
        return r;
    if (ans.status / 100 != 2)
        return client_refusal(&ans, err);
    if (ans.body.len == 0)
        return 0;
    json_error_t why;
    *ret = json_loadb(ans.body.data, ans.body.len, 0, &why);
    if (!*ret)
        return err_set(err, EIO, "the answer of %s is no JSON; is that a Vitrine?", c->url);
    return 0;
}

int client_get(struct client *c, const char *path, json_t **ret, struct err *err)
{
    struct client_request rq = {.method = "GET", .path = path, .body_fd = -1, .timeout_ms = 30000};
    return client_json(c, &rq, ret, err);
}

int client_call(struct client *c, const char *method, const char *path, const json_t *body,
                json_t **ret, struct err *err)
{
    struct client_request rq = {.method = method, .path = path, .body_fd = -1, .timeout_ms = 60000};
    _cleanup_close_ int fd = -1;
    if (body) {
        _cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
        fd = memfd_create("body", MFD_CLOEXEC);
        if (!text || fd < 0 || write_all(fd, text, strlen(text)) < 0)
            return err_errno(err, "cannot keep the request");
        rq.body_fd = fd;
        rq.body_size = strlen(text);
    }
    return client_json(c, &rq, ret, err);
}

const char *json_str(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

int json_print(const json_t *j, struct err *err)
{
    if (json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0 || putchar('\n') == EOF)
        return err_set(err, EIO, "cannot write on stdout");
    return 0;
}
