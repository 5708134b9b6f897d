/* HTTP/1.1 heads, strictly by RFC 9112: pure functions over bytes, no state, no allocation.
 *
 * A head is parsed in one pass from bytes that begin at its first one. What is ambiguous is an
 * error, never a guess: the caller answers a visitor with the status, and a demo's broken answer is
 * a 502. Offsets are relative to the first byte that was given, so the bytes may be moved. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP1_HEAD_MAX (16 * 1024) /* a whole head, blank line included */
#define HTTP1_LINE_MAX (8 * 1024)  /* a request line */
#define HTTP1_FIELDS_MAX 100
#define HTTP1_HOST_MAX 255

/* The fields that something depends on here; all others are FIELD_OTHER and pass through. */
enum http1_field_id {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_UPGRADE,
    FIELD_EXPECT,
    FIELD_ACCEPT,
    FIELD_USER_AGENT,
    FIELD_SEC_FETCH_MODE,
    FIELD_HOP,        /* Keep-Alive, Proxy-Connection, TE, Proxy-Authenticate, ...: stop here */
    FIELD_FORWARDING, /* Forwarded, X-Forwarded-*, X-Real-IP, Proxy: set by us or by nobody */
    FIELD_AUTHORIZATION,
    FIELD_COOKIE,
    FIELD_OURS,  /* x-hf-authorization: for the gateway, never for a demo */
    FIELD_SPOOF, /* a name that CGI-like servers read as one of the above (`_`, `.`, ... for `-`) */
    FIELD_DATE,
    FIELD_SET_COOKIE,
    FIELD_MAX_FORWARDS,
    FIELD_SITE_WIDE, /* Strict-Transport-Security, Alt-Svc, Clear-Site-Data: not a demo's to say */
    FIELD_END_TO_END /* Authorization, Cookie, Content-*, ...: pass, but never as a trailer */
};

struct http1_field {
    uint16_t name, name_len;
    uint16_t value, value_len; /* without the white space around it */
    uint8_t id;                /* enum http1_field_id */
    bool plain;                /* the line is "name: value\r\n" exactly, and can be copied whole */
};

enum http1_body {
    BODY_NONE,
    BODY_LENGTH,
    BODY_CHUNKED,
    BODY_TO_EOF, /* responses only */
};

struct http1_head {
    uint16_t len; /* of the head in bytes, blank line included */
    uint16_t method, method_len;
    uint16_t target, target_len; /* origin form, or "*" (OPTIONS), after absolute form was cut */
    char lead; /* '/' or '*': goes before the target, where an absolute form had no path; else 0 */
    uint16_t host, host_len;     /* as sent, with its port; 0 bytes where HTTP/1.0 sent none */
    uint16_t status;             /* responses */
    uint16_t reason, reason_len; /* responses; the phrase may be empty */
    uint8_t minor;               /* HTTP/1.minor: 0 or 1 */
    uint8_t body;           /* enum http1_body; of a response before HEAD, 204, 304 are heeded */
    bool keep_alive;        /* HTTP/1.1 without `Connection: close` */
    bool upgrade_websocket; /* `Connection: upgrade` and `Upgrade: websocket` */
    bool absolute;          /* the target came in absolute form: its host replaced Host */
    bool secure;            /* ... and with the scheme https */
    bool connect;           /* CONNECT (http1_parse_proxy_request) */
    bool expect_continue;
    bool has_max_forwards;
    uint32_t max_forwards; /* the least that is said, where it is a number */
    bool has_named_hops;   /* Connection names fields besides close, keep-alive, upgrade */
    bool has_date;
    bool has_length;         /* there is a Content-Length (also one of 0) */
    uint64_t content_length; /* BODY_LENGTH */
    uint16_t n_fields;
    struct http1_field fields[HTTP1_FIELDS_MAX];
    const char *error; /* what was wrong, a static string */
};

/* Parse a head. > 0: its length in bytes. 0: more bytes are needed. < 0: minus the HTTP status to
 * answer (400, 414, 431, 501, 505; -502 for every fault of a response), h->error says why. `h` is
 * undefined where the result is 0 or less, but for h->error. */
int http1_parse_request(struct http1_head *h, const char *p, size_t len);
/* ... as a proxy is asked (RFC 9112 3.2.2, 3.2.3): also CONNECT, whose host and port are then in
 * host and whose target is empty. Nothing but these two forms. */
int http1_parse_proxy_request(struct http1_head *h, const char *p, size_t len);
int http1_parse_response(struct http1_head *h, const char *p, size_t len);

/* True if `Connection` of this head names the field (compared without case). */
bool http1_named_hop(const struct http1_head *h, const char *p, const struct http1_field *f);

/* uri-host [ ":" port ], as Host and the absolute form have it: RFC 9110 7.2. `host_len` becomes
 * the length without the port. */
bool http1_host_ok(const char *p, size_t len, size_t *host_len);

/* What the field name, a token, means to a proxy. */
enum http1_field_id http1_field_of(const char *p, size_t len);

/* Is `token` (lower case) one of a comma-separated list's elements, compared without case? */
bool http1_list_has(const char *list, size_t len, const char *token);
/* Equal without case; `lower` is in lower case. */
bool http1_is(const char *p, size_t len, const char *lower);
/* Does `p` contain `lower`, which is not empty, compared without case? */
bool http1_contains(const char *p, size_t len, const char *lower);
bool http1_is_token(const char *p, size_t len);
/* No control characters but HTAB: field-value, RFC 9110 5.5 */
bool http1_value_ok(const char *p, size_t len);
