/* GET and HEAD of a whole URL, by libcurl: plain http (apt's archives), and indexes that need a
 * login, which a build asks for as http://HOST and which are fetched as what they are, with the
 * operator's credentials. The answer's head is written anew from what was parsed; the body streams.
 * libcurl looks nothing up: it is given the addresses, and asks here for each connection. */
#include "egress/egress.h"
#include "egress/links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 24 /* to one host */
#define FRAME 24           /* a chunk's size and ends */
#define PROXY_VALUE "Proxy-Authorization: "

struct fetch {
    struct egress *e;
    struct conn *c;
    CURL *easy;
    struct curl_slist *fields, *proxy_fields, *addresses;
    char head[HTTP1_HEAD_MAX]; /* of the answer */
    size_t head_len;
    struct http1_head answer;
    bool answered; /* its head is in to_client */
    bool chunked, paused, over;
    bool bad;    /* the answer's head is none, `bad_why` */
    bool denied; /* an address that is not public */
    const char *bad_why;
    struct links *links; /* NULL: the body passes as it is */
    char error[CURL_ERROR_SIZE];
};

int fetch_init(struct egress *e, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(e->multi = curl_multi_init()))
        return err_set(err, ENOMEM, "cannot set libcurl up");
    curl_multi_setopt(e->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)MAX_CONNECTIONS);
    curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, 32L);
    return 0;
}

void fetch_free(struct egress *e, struct conn *c)
{
    struct fetch *f = c->fetch;
    if (!f)
        return;
    c->fetch = NULL;
    if (f->easy) {
        curl_multi_remove_handle(e->multi, f->easy);
        curl_easy_cleanup(f->easy);
    }
    curl_slist_free_all(f->fields);
    curl_slist_free_all(f->proxy_fields);
    curl_slist_free_all(f->addresses);
    free(f->links);
    free(f);
}

/* ---- connections ---- */

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct fetch *f = arg;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        !policy_address_ok(&f->e->policy, f->c->inside, &a->addr)) {
        f->denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

/* "HOST:PORT:ADDRESS,..." */
static bool give_addresses(struct fetch *f, const struct name *name, uint16_t port)
{
    char text[POLICY_NAME + 16 + NAMES_ADDRESSES * (INET6_ADDRSTRLEN + 3)];
    int n = snprintf(text, sizeof(text), "%s:%u:", f->c->to_find, port);
    for (unsigned i = 0; i < name->n; i++) {
        char one[INET6_ADDRSTRLEN] = "";
        const struct sockaddr_storage *a = &name->addresses[i];
        bool v6 = a->ss_family == AF_INET6;
        if (v6)
            inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, one,
                      sizeof(one));
        else
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, one,
                      sizeof(one));
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s%s%s", i ? "," : "", v6 ? "[" : "",
                      one, v6 ? "]" : "");
    }
    f->addresses = curl_slist_append(NULL, text);
    return f->addresses != NULL;
}

/* ---- the request ---- */

static bool add_field(struct curl_slist **list, const char *text)
{
    struct curl_slist *more = curl_slist_append(*list, text);
    if (more)
        *list = more;
    return more != NULL;
}

/* End-to-end fields of the build; what curl would add of its own is taken out. */
static bool fill_fields(struct fetch *f)
{
    const struct conn *c = f->c;
    const struct http1_head *h = &c->request;
    char line[HTTP1_HEAD_MAX + 8];
    bool accept = false, ok = true;
    for (unsigned i = 0; ok && i < h->n_fields; i++) {
        const struct http1_field *x = &h->fields[i];
        const char *name = c->head + x->name;
        switch (x->id) {
        case FIELD_OTHER:
        case FIELD_ACCEPT:
        case FIELD_USER_AGENT:
        case FIELD_SEC_FETCH_MODE:
        case FIELD_AUTHORIZATION:
        case FIELD_COOKIE:
        case FIELD_MAX_FORWARDS:
        case FIELD_END_TO_END:
            break;
        default: /* hops, hosts, forwarding, framing */
            continue;
        }
        if (http1_named_hop(h, c->head, x))
            continue;
        if (c->login && (http1_is(name, x->name_len, "authorization") ||
                         http1_is(name, x->name_len, "accept-encoding")))
            continue;
        accept |= x->id == FIELD_ACCEPT;
        /* "Name;" is how curl is told of a field without a value */
        snprintf(line, sizeof(line), x->value_len ? "%.*s: %.*s" : "%.*s;%.*s", (int)x->name_len,
                 name, (int)x->value_len, c->head + x->value);
        ok = add_field(&f->fields, line);
    }
    if (ok && !accept)
        ok = add_field(&f->fields, "Accept:");
    if (ok && c->login) {
        snprintf(line, sizeof(line), "Authorization: %s", c->login->value);
        ok = add_field(&f->fields, line);
    }
    return ok;
}

static bool set_proxy(struct fetch *f)
{
    const struct policy_proxy *p = f->c->proxy;
    char text[POLICY_NAME + 16], line[POLICY_VALUE + 32];
    snprintf(text, sizeof(text), "http://%s:%u", p->host, p->port);
    curl_easy_setopt(f->easy, CURLOPT_PROXY, text);
    curl_easy_setopt(f->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(f->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (!p->value[0])
        return true;
    snprintf(line, sizeof(line), PROXY_VALUE "%s", p->value);
    if (!add_field(&f->proxy_fields, line))
        return false;
    curl_easy_setopt(f->easy, CURLOPT_PROXYHEADER, f->proxy_fields);
    return true;
}

/* ---- the answer ---- */

static void put(struct flow *to, const char *data, size_t len)
{
    memcpy(to->data + to->tail, data, len);
    to->tail += (uint32_t)len;
}

static size_t room(struct flow *to)
{
    if (to->head) {
        memmove(to->data, to->data + to->head, to->tail - to->head);
        to->tail -= to->head;
        to->head = 0;
    }
    return FLOW_BYTES - to->tail;
}

/* Pages of indexes are small and are text; files of packages are neither. */
static bool is_page(const struct fetch *f)
{
    const struct http1_head *h = &f->answer;
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *x = &h->fields[i];
        const char *v = f->head + x->value;
        if (!http1_is(f->head + x->name, x->name_len, "content-type"))
            continue;
        return http1_contains(v, x->value_len, "json") || http1_contains(v, x->value_len, "html") ||
               http1_contains(v, x->value_len, "xml");
    }
    return false;
}

static void put_field(struct fetch *f, const struct http1_field *x)
{
    struct flow *to = &f->c->to_client;
    const char *name = f->head + x->name, *value = f->head + x->value;
    const struct policy_login *l = f->c->login;
    put(to, name, x->name_len);
    put(to, ": ", 2);
    if (l && http1_is(name, x->name_len, "location")) {
        struct links links;
        struct buf out = BUF_INIT(HTTP1_HEAD_MAX);
        links_init(&links, l->secure, l->host, l->port, l->door);
        if (links_feed(&links, value, x->value_len, true, &out) == 0)
            put(to, out.data ? out.data : "", out.len);
        buf_free(&out);
    } else {
        put(to, value, x->value_len);
    }
    put(to, "\r\n", 2);
}

/* Into to_client, which is empty: a head is smaller than it, also where links have grown. */
static void write_head(struct fetch *f)
{
    const struct http1_head *h = &f->answer;
    struct conn *c = f->c;
    struct flow *to = &c->to_client;
    char line[128];
    bool head = c->request.method_len == 4;
    bool body = !head && h->status != 204 && h->status != 304;
    if (c->login && body && !f->e->policy.verbatim && is_page(f) &&
        (f->links = malloc(sizeof(*f->links))))
        links_init(f->links, c->login->secure, c->login->host, c->login->port, c->login->door);
    f->chunked = body && c->request.minor == 1 && (f->links || !h->has_length);
    int n = snprintf(line, sizeof(line), "HTTP/1.1 %u ", h->status);
    put(to, line, (size_t)n);
    put(to, f->head + h->reason, h->reason_len);
    put(to, "\r\nConnection: close\r\n", 21);
    if (f->chunked)
        put(to, "Transfer-Encoding: chunked\r\n", 28);
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct http1_field *x = &h->fields[i];
        if (x->id == FIELD_CONNECTION || x->id == FIELD_HOP || x->id == FIELD_UPGRADE ||
            x->id == FIELD_TRANSFER_ENCODING || http1_named_hop(h, f->head, x) ||
            (x->id == FIELD_CONTENT_LENGTH && f->links) || to->tail > FLOW_BYTES / 2)
            continue;
        put_field(f, x);
    }
    put(to, "\r\n", 2);
    f->answered = true;
    if (c->login && (h->status == 401 || h->status == 403))
        say(&f->e->say, "%s refuses the login that the server has for it (%u)", c->host, h->status);
}

/* One line of the head, its end included. */
static size_t on_head(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    n *= size;
    (void)door_count(f->e, n, 0); /* the turn's end sees to it */
    if (f->answered)              /* a trailer: dropped */
        return n;
    if (n > 5 && memcmp(data, "HTTP/", 5) == 0)
        f->head_len = 0; /* what was before it was an interim answer */
    if (f->head_len + n > sizeof(f->head)) {
        f->bad_why = "its header is too long";
        f->bad = true;
        return 0;
    }
    memcpy(f->head + f->head_len, data, n);
    f->head_len += n;
    if (n != 2 || memcmp(data, "\r\n", 2) != 0)
        return n;
    int r = http1_parse_response(&f->answer, f->head, f->head_len);
    if (r <= 0) {
        f->bad_why = r < 0 ? f->answer.error : "its header is none";
        f->bad = true;
        return 0;
    }
    if (f->answer.status >= 200)
        write_head(f);
    return n;
}

static void put_chunk(struct fetch *f, const char *data, size_t len)
{
    struct flow *to = &f->c->to_client;
    char frame[FRAME];
    if (len == 0)
        return;
    int n = f->chunked ? snprintf(frame, sizeof(frame), "%zx\r\n", len) : 0;
    put(to, frame, (size_t)n);
    put(to, data, len);
    if (f->chunked)
        put(to, "\r\n", 2);
}

/* False without room: then nothing was taken. */
static bool put_body(struct fetch *f, const char *data, size_t len, bool end)
{
    if (room(&f->c->to_client) < len + LINKS_MAX + 2 * FRAME)
        return false;
    if (!f->links) {
        put_chunk(f, data, len);
    } else {
        /* http is never longer than https; escaped slashes become shorter */
        struct buf out = BUF_INIT(FLOW_BYTES);
        if (links_feed(f->links, data, len, end, &out) < 0)
            f->bad = true;
        put_chunk(f, out.data, out.len);
        buf_free(&out);
    }
    if (end && f->chunked)
        put(&f->c->to_client, "0\r\n\r\n", 5);
    return true;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    n *= size;
    if (!f->answered || f->bad)
        return 0;
    if (!put_body(f, data, n, false)) {
        f->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    f->c->moved_ms = f->e->now_ms;
    return door_count(f->e, n, 0) ? n : 0;
}

void fetch_resume(struct conn *c)
{
    struct fetch *f = c->fetch;
    if (f && f->paused && c->to_client.tail - c->to_client.head < FLOW_BYTES / 2) {
        f->paused = false;
        curl_easy_pause(f->easy, CURLPAUSE_CONT);
    }
}

/* ---- begin and end ---- */

static bool set_up(struct fetch *f, const struct name *name)
{
    const struct conn *c = f->c;
    const struct http1_head *h = &c->request;
    bool secure = c->login ? c->login->secure : h->secure;
    char url[HTTP1_LINE_MAX + POLICY_NAME + 32];
    snprintf(url, sizeof(url), "%s://%s:%u%s%.*s", secure ? "https" : "http", c->host, c->port,
             h->lead ? "/" : "", (int)h->target_len, c->head + h->target);
    CURL *x = f->easy;
    curl_easy_setopt(x, CURLOPT_URL, url);
    curl_easy_setopt(x, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(x, CURLOPT_PRIVATE, f);
    curl_easy_setopt(x, CURLOPT_ERRORBUFFER, f->error);
    curl_easy_setopt(x, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(x, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(x, CURLOPT_NOPROXY, "");
    curl_easy_setopt(x, CURLOPT_PROXY, "");
    curl_easy_setopt(x, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(x, CURLOPT_CAPATH, NULL);
    if (f->e->ca.len)
        curl_easy_setopt(x, CURLOPT_CAINFO_BLOB, &f->e->ca);
    curl_easy_setopt(x, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS * 2);
    curl_easy_setopt(x, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(x, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(x, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(x, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(x, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x, CURLOPT_WRITEDATA, f);
    if (h->method_len == 4)
        curl_easy_setopt(x, CURLOPT_NOBODY, 1L);
    if (!fill_fields(f) || !give_addresses(f, name, c->proxy ? c->proxy->port : c->port))
        return false;
    curl_easy_setopt(x, CURLOPT_HTTPHEADER, f->fields);
    curl_easy_setopt(x, CURLOPT_RESOLVE, f->addresses);
    return (!c->proxy || set_proxy(f)) && curl_multi_add_handle(f->e->multi, x) == CURLM_OK;
}

void fetch_begin(struct egress *e, struct conn *c)
{
    struct fetch *f = calloc(1, sizeof(*f));
    c->fetch = f;
    if (!f || !(f->easy = curl_easy_init()) || !flow_ready(&c->to_client)) {
        door_refuse(e, c, 500, "out of memory");
        return;
    }
    f->e = e;
    f->c = c;
    c->state = CONN_FETCH;
    c->until_ms = 0;
    c->moved_ms = e->now_ms;
    (void)door_count(e, 0, c->request.len);
    if (!set_up(f, &c->found))
        door_refuse(e, c, 500, "out of memory");
}

static void on_error(struct egress *e, struct conn *c, CURLcode code)
{
    struct fetch *f = c->fetch;
    char why[CURL_ERROR_SIZE + 32];
    snprintf(why, sizeof(why), "%s",
             f->bad_why    ? f->bad_why
             : f->error[0] ? f->error
                           : curl_easy_strerror(code));
    if (f->denied) {
        say(&e->say,
            "%s has an address that is not public; [build] inside_hosts names hosts that may",
            c->to_find);
        door_refuse(e, c, 403, "%s has an address that is not public", c->to_find);
        return;
    }
    say(&e->say, "cannot fetch from %s: %s", c->host, why);
    if (f->answered)
        door_cut(e, c);
    else
        door_refuse(e, c, 502, "cannot fetch from %s: %s", c->host, why);
}

/* The last bytes need room as well: whoever has none comes again. */
static void finish(struct egress *e, struct conn *c)
{
    struct fetch *f = c->fetch;
    bool body = c->request.method_len == 3 && f->answer.status != 204 && f->answer.status != 304;
    if (body && !put_body(f, "", 0, true))
        return;
    if (f->bad) { /* no memory for the last bytes of a page */
        door_cut(e, c);
        return;
    }
    fetch_free(e, c);
    c->state = CONN_LAST;
    c->until_ms = e->now_ms + e->policy.idle_ms;
}

void fetch_done(struct egress *e)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(e->multi, &left));) {
        struct fetch *f = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result; /* m goes away with the handle */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        if (code == CURLE_OK && f->answered && !f->bad)
            f->over = true;
        else
            on_error(e, f->c, code);
    }
    for (uint64_t i = 0; i < e->policy.connections; i++)
        if (e->conns[i] && e->conns[i]->fetch && e->conns[i]->fetch->over)
            finish(e, e->conns[i]);
}
