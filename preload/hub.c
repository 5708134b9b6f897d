#include "preload/hub.h"

#include "common/cleanup.h"
#include "common/preload_entry.h"
#include "common/util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#define URL_BYTES 8192
#define LIST_BYTES (32 << 20)
#define REDIRECTS 5
#define TRIES 4
#define PAUSE_MS 500
#define STALLED_SECONDS 60L

int hub_open(struct hub *h, const char *base, unsigned proxy_port, struct err *err)
{
    char proxy[64] = "";
    *h = (struct hub){.base = base};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(h->curl = curl_easy_init()))
        return err_set(err, ENOMEM, "cannot set libcurl up");
    if (proxy_port)
        snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", proxy_port);
    curl_easy_setopt(h->curl, CURLOPT_PROXY, proxy);
    curl_easy_setopt(h->curl, CURLOPT_NOPROXY, "");
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_USERAGENT, "vitrine-preload");
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, STALLED_SECONDS);
    const char *ca = getenv("SSL_CERT_FILE");
    if (ca)
        curl_easy_setopt(h->curl, CURLOPT_CAINFO, ca);
    return 0;
}

void hub_close(struct hub *h)
{
    if (h->curl)
        curl_easy_cleanup(h->curl);
    h->curl = NULL;
}

/* ---- URLs ---- */

static int add_escaped(struct hub *h, struct buf *url, const char *text, size_t n)
{
    char *escaped = n ? curl_easy_escape(h->curl, text, (int)n) : NULL;
    int r = escaped ? buf_puts(url, escaped) : -ENOMEM;
    curl_free(escaped);
    return r;
}

/* BASE/REPO/resolve/REVISION/PATH; the revision is one part, the path keeps its slashes. */
static int file_url(struct hub *h, const char *repo, const char *revision, const char *path,
                    struct buf *url)
{
    int r = buf_printf(url, "%s/%s/resolve/", h->base, repo);
    if (r == 0)
        r = add_escaped(h, url, revision, strlen(revision));
    for (const char *part = path; r == 0 && *part;) {
        size_t n = strcspn(part, "/");
        r = buf_puts(url, "/");
        if (r == 0)
            r = add_escaped(h, url, part, n);
        part += n + (part[n] == '/');
    }
    return r;
}

/* ---- one request ---- */

struct answer {
    char commit[HUB_WORD], etag[HUB_WORD], linked_etag[HUB_WORD];
    bool has_linked_size;
    uint64_t linked_size;
};

/* An ETag without W/ and quotes; "" where it cannot be a file's name. */
static void copy_word(const char *value, size_t n, char out[HUB_WORD])
{
    if (n > 2 && value[0] == 'W' && value[1] == '/') {
        value += 2;
        n -= 2;
    }
    if (n > 1 && value[0] == '"' && value[n - 1] == '"') {
        value++;
        n -= 2;
    }
    if (n >= HUB_WORD)
        n = 0;
    snprintf(out, HUB_WORD, "%.*s", (int)n, value);
    if (!preload_word_ok(out))
        out[0] = '\0';
}

static size_t on_field(char *data, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    size_t n = size * count, len = n;
    if (n > 5 && memcmp(data, "HTTP/", 5) == 0)
        *a = (struct answer){0}; /* of another answer */
    const char *colon = memchr(data, ':', n);
    if (!colon)
        return n;
    const char *value = colon + 1;
    while (len && (data[len - 1] == '\r' || data[len - 1] == '\n' || data[len - 1] == ' '))
        len--;
    while (value < data + len && (*value == ' ' || *value == '\t'))
        value++;
    size_t name = (size_t)(colon - data),
           value_len = value < data + len ? (size_t)(data + len - value) : 0;
    static const char *const names[] = {"x-repo-commit", "etag", "x-linked-etag"};
    char *const words[] = {a->commit, a->etag, a->linked_etag};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i]) == name && strncasecmp(names[i], data, name) == 0)
            copy_word(value, value_len, words[i]);
    if (name == 13 && strncasecmp("x-linked-size", data, name) == 0 && value_len &&
        value_len < 20) {
        char text[24], *end;
        snprintf(text, sizeof(text), "%.*s", (int)value_len, value);
        a->linked_size = strtoull(text, &end, 10);
        a->has_linked_size = text[0] >= '0' && text[0] <= '9' && !*end;
    }
    return n;
}

/* A whole URL of the same server, where it leads there. */
static bool leads_on(struct hub *h, long status, char url[URL_BYTES])
{
    char *next = NULL;
    if (status < 300 || status >= 400 ||
        curl_easy_getinfo(h->curl, CURLINFO_REDIRECT_URL, &next) != CURLE_OK || !next ||
        strlen(next) >= URL_BYTES)
        return false;
    snprintf(url, URL_BYTES, "%s", next);
    return true;
}

int hub_refused(const char *repo, const char *path, long status, struct err *err)
{
    char what[PRELOAD_REPO_BYTES + PRELOAD_PATH_BYTES + 8];
    snprintf(what, sizeof(what), "%s%s%s", repo, path[0] ? ": " : "", path);
    if (status == 401 || status == 403)
        return err_set(
            err, EACCES,
            "the hub does not give %.300s away (%ld): there is no such repository, or it "
            "is private or gated and needs a token of the operator's "
            "(build.hub_token_file)",
            what, status);
    if (status == 404 || status == 410)
        return err_set(err, ENOENT, "the hub has no %.300s, or not in that revision", what);
    if (status >= 400 && status < 500 && status != 408 && status != 429)
        return err_set(err, EIO, "the hub refuses %.300s (%ld)", what, status);
    return 0;
}

static bool is_worth_a_try(CURLcode code, long status)
{
    return code != CURLE_OK ? code != CURLE_WRITE_ERROR && code != CURLE_URL_MALFORMAT &&
                                  code != CURLE_PEER_FAILED_VERIFICATION
                            : status >= 500 || status == 408 || status == 429;
}

/* Again, with a pause, where the network or the hub was in the way. */
static CURLcode perform(struct hub *h, long *ret_status)
{
    CURLcode code = CURLE_OK;
    for (int i = 0; i < TRIES; i++) {
        if (i)
            poll(NULL, 0, PAUSE_MS << i);
        h->error[0] = '\0';
        *ret_status = 0;
        code = curl_easy_perform(h->curl);
        curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, ret_status);
        if (!is_worth_a_try(code, *ret_status))
            break;
    }
    return code;
}

static int failed(struct hub *h, const char *repo, CURLcode code, long status, struct err *err)
{
    if (code == CURLE_OK)
        return err_set(err, EIO, "%s: the hub answers with %ld%s", repo, status,
                       status == 502 || status == 504
                           ? ", or cannot be reached (the log says why, before this)"
                           : "");
    return err_set(err, EIO, "%s: the hub cannot be asked: %s", repo,
                   h->error[0] ? h->error : curl_easy_strerror(code));
}

/* ---- the questions ---- */

static int take_meta(const struct hub *h, const struct answer *a, long status, const char *repo,
                     const char *path, struct hub_meta *m, struct err *err)
{
    curl_off_t length = -1;
    const char *etag = a->linked_etag[0] ? a->linked_etag : a->etag;
    if (!a->commit[0] || !etag[0])
        return err_set(err, EPROTO,
                       "%s: %s: the hub does not say its commit (X-Repo-Commit) and its ETag: is "
                       "build.hub a mirror of the Hugging Face Hub?",
                       repo, path);
    if (status < 300)
        curl_easy_getinfo(h->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (!a->has_linked_size && length < 0)
        return err_set(err, EPROTO, "%s: %s: the hub does not say how large it is", repo, path);
    snprintf(m->commit, sizeof(m->commit), "%s", a->commit);
    snprintf(m->etag, sizeof(m->etag), "%s", etag);
    m->hashed = strlen(etag) == 64 && strspn(etag, "0123456789abcdef") == 64;
    m->size = a->has_linked_size ? a->linked_size : (uint64_t)length;
    return 0;
}

int hub_head(struct hub *h, const char *repo, const char *revision, const char *path,
             struct hub_meta *ret, struct err *err)
{
    _cleanup_buf_ struct buf first = BUF_INIT(URL_BYTES);
    struct answer a = {0};
    char url[URL_BYTES];
    long status = 0;
    if (file_url(h, repo, revision, path, &first) < 0)
        return err_set(err, ENAMETOOLONG, "%s: the name of a file is too long", repo);
    snprintf(url, sizeof(url), "%s", first.data);
    struct curl_slist *fields = curl_slist_append(NULL, "Accept-Encoding: identity");
    CURLcode code = CURLE_OK;
    curl_easy_setopt(h->curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, &a);
    /* what it says of the file comes with the redirection to where it is kept; one without that
     * leads to another name of the repository */
    for (int i = 0; i <= REDIRECTS; i++) {
        curl_easy_setopt(h->curl, CURLOPT_URL, url);
        code = perform(h, &status);
        if (code != CURLE_OK || a.commit[0] || !leads_on(h, status, url))
            break;
    }
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, NULL);
    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, NULL);
    curl_slist_free_all(fields);
    int r = code == CURLE_OK ? hub_refused(repo, path, status, err) : 0;
    if (r < 0)
        return r;
    if (code != CURLE_OK || status < 200 || status >= 400)
        return failed(h, repo, code, status, err);
    return take_meta(h, &a, status, repo, path, ret, err);
}

static size_t on_text(char *data, size_t size, size_t n, void *arg)
{
    return buf_append(arg, data, size * n) == 0 ? size * n : 0;
}

static int take_list(const char *text, const char *repo, struct buf *names, unsigned *ret_n,
                     char commit[HUB_WORD], struct err *err)
{
    json_t *o = json_loads(text, 0, NULL);
    json_t *files = json_object_get(o, "siblings"), *file;
    const char *sha = json_string_value(json_object_get(o, "sha"));
    size_t i;
    int r = 0;
    if (!json_is_array(files) || !sha || !preload_word_ok(sha))
        r = err_set(err, EPROTO, "%s: the hub's list of its files is none", repo);
    else if (json_array_size(files) > PRELOAD_FILES_MAX)
        r = err_set(err, E2BIG, "%s has more than %d files: name those that are needed", repo,
                    PRELOAD_FILES_MAX);
    json_array_foreach(files, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "rfilename"));
        if (r == 0 && (!name || !preload_path_ok(name)))
            r = err_set(err, EPROTO, "%s: the hub's list has a file whose name leads elsewhere",
                        repo);
        if (r == 0 && buf_append(names, name, strlen(name) + 1) < 0)
            r = err_set(err, ENOMEM, "%s: the hub's list is too long", repo);
    }
    if (r == 0) {
        *ret_n = (unsigned)json_array_size(files);
        snprintf(commit, HUB_WORD, "%s", sha);
    }
    json_decref(o);
    return r;
}

int hub_list(struct hub *h, const char *repo, const char *revision, struct buf *names,
             unsigned *ret_n, char commit[HUB_WORD], struct err *err)
{
    _cleanup_buf_ struct buf url = BUF_INIT(URL_BYTES), text = BUF_INIT(LIST_BYTES);
    long status = 0;
    if (buf_printf(&url, "%s/api/models/%s/revision/", h->base, repo) < 0 ||
        add_escaped(h, &url, revision, strlen(revision)) < 0)
        return err_set(err, ENAMETOOLONG, "%s: the name of a revision is too long", repo);
    CURLcode code = CURLE_OK;
    curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(h->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(h->curl, CURLOPT_URL, url.data);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_text);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &text);
    for (int i = 0; i < TRIES; i++) {
        if (i)
            poll(NULL, 0, PAUSE_MS << i);
        buf_clear(&text);
        status = 0;
        h->error[0] = '\0';
        code = curl_easy_perform(h->curl);
        curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
        if (!is_worth_a_try(code, status))
            break;
    }
    int r = code == CURLE_OK ? hub_refused(repo, "", status, err) : 0;
    if (r < 0)
        return r;
    if (code != CURLE_OK || status != 200)
        return failed(h, repo, code, status, err);
    return take_list(text.len ? text.data : "", repo, names, ret_n, commit, err);
}

struct reading {
    struct hub *h;
    bool (*take)(void *arg, long status, const char *data, size_t n);
    void *arg;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    const struct reading *g = arg;
    long status = 0;
    curl_easy_getinfo(g->h->curl, CURLINFO_RESPONSE_CODE, &status);
    return g->take(g->arg, status, data, size * n) ? size * n : 0;
}

int hub_get(struct hub *h, const char *repo, const char *revision, const char *path, uint64_t from,
            bool (*take)(void *arg, long status, const char *data, size_t n), void *arg,
            long *ret_status)
{
    _cleanup_buf_ struct buf url = BUF_INIT(URL_BYTES);
    struct reading g = {h, take, arg};
    char range[32];
    *ret_status = 0;
    if (file_url(h, repo, revision, path, &url) < 0)
        return -ENAMETOOLONG;
    snprintf(range, sizeof(range), "%llu-", (unsigned long long)from);
    h->error[0] = '\0';
    curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(h->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(h->curl, CURLOPT_URL, url.data);
    curl_easy_setopt(h->curl, CURLOPT_RANGE, from ? range : NULL);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &g);
    CURLcode code = curl_easy_perform(h->curl);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_setopt(h->curl, CURLOPT_RANGE, NULL);
    if (code != CURLE_OK && !h->error[0])
        snprintf(h->error, sizeof(h->error), "%s", curl_easy_strerror(code));
    return code == CURLE_OK ? 0 : -EIO;
}
