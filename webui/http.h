/* A request and its answer, on top of libmicrohttpd: the only part (with stream.c) that knows it
 * well. A route names the request's pattern, who may ask, what its body is, and the function that
 * answers when the body is there. */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "webui/app.h"
#include "webui/auth.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

#define SMALL_BODY_MAX (64 * 1024)
#define JSON_BODY_MAX (8 * 1024 * 1024)
#define REQ_PATH_MAX 4096

struct req;
struct resume;
struct upload;
struct form;

enum route_flags {
    ROUTE_ADMIN = 1,   /* the operator */
    ROUTE_CHANGES = 2, /* by cookie only from our own pages */
    /* What it takes in the namespace of the path's :owner (auth.h). A route without any of these is
     * for everybody; of a Space that not everybody sees, reach_space keeps it. */
    ROUTE_READ = 4,
    ROUTE_WRITE = 8,
    ROUTE_OWNER = 16,
    ROUTE_LOGIN = 32,   /* whoever has a token; the handler asks for the rest */
    ROUTE_SIGNED = 128, /* or by an address that carries its right (lfs_link.h) */
    ROUTE_GIT = 64,     /* asked by git, which sends a password only where it is asked for one */
};

enum body_kind {
    BODY_NONE,    /* ignored where it is small */
    BODY_SMALL,   /* in memory: req->small */
    BODY_JSON,    /* the same, of some megabytes */
    BODY_ARCHIVE, /* in a nameless file: req->upload */
    BODY_PART,    /* more of an upload: req->resume */
    BODY_LARGE,   /* the same for what holds more than one archive may: a pack, a commit */
    BODY_FORM,    /* multipart/form-data with files: req->form */
};

struct route {
    const char *method;  /* "GET" answers HEAD as well */
    const char *pattern; /* "/api/spaces/:owner/:name/logs/:what"; a "*" at its end is the rest */
    unsigned flags;
    enum body_kind body;
    enum MHD_Result (*handle)(struct req *r);
};
extern const struct route routes[]; /* routes.c; ends with an empty one */

struct req {
    struct app *app;
    struct MHD_Connection *connection;
    const struct route *route;
    const char *method;                    /* of the route */
    bool head;                             /* nobody wants the body of the answer */
    bool begun;                            /* it was looked at: what comes now is its body */
    char path[REQ_PATH_MAX];               /* as it was sent, without the query */
    char query[2048];                      /* from its "?" on; "" too where it is longer */
    char owner[128], name[128], what[256]; /* what the pattern's :words matched, decoded */
    char rest[REQ_PATH_MAX];               /* and its "*" */
    const char *error_code;                /* X-Error-Code of an error; NULL: by its status */
    enum auth_kind auth;
    struct token token; /* where auth is AUTH_USER */
    struct buf small;
    struct upload *upload;
    struct resume *resume;
    struct form *form;
    char cookie[256];    /* Set-Cookie of the answer, "" none */
    char link[2048];     /* and its Link */
    unsigned early;      /* a status that was decided before the body */
    char said[512];      /* what an error's answer says */
    char early_msg[512]; /* and why */
};

/* For MHD_start_daemon, where cls is a struct app: MHD_OPTION_URI_LOG_CALLBACK, which makes the
 * request (its address is not decoded there yet), the access handler and the completion callback.
 */
void *http_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_access(void *cls, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload_data,
                            size_t *upload_data_size, void **con_cls);
void http_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                    enum MHD_RequestTerminationCode code);

/* NULL where there is none. */
const char *req_header(struct req *r, const char *name);
const char *req_query(struct req *r, const char *name);
/* A number of the query in min..max, else `fallback`. */
long req_query_number(struct req *r, const char *name, long min, long max, long fallback);
bool req_wants_json(struct req *r);
/* Decodes %XX (and with `form` a '+'); false where it is too long, or holds what no text may. */
bool req_decode(char *out, size_t size, const char *text, size_t len, bool form);
/* A field of a small urlencoded body, decoded; false where it is missing or too long. */
bool req_field(struct req *r, const char *name, char *out, size_t size);

/* There is more: the answer gets a Link to the same address with `key` of the query at `value`. */
void req_next(struct req *r, const char *key, uint64_t value);

/* Answers. Each takes what it is given. */
enum MHD_Result req_json(struct req *r, unsigned status, json_t *body);
enum MHD_Result req_text(struct req *r, unsigned status, const char *type, struct buf *body);
/* A picture that may be kept for a day: its address changes with it. */
enum MHD_Result req_picture(struct req *r, const char *type, struct buf *body);
/* A page; `frame_src` is added to its Content-Security-Policy ("" none). */
enum MHD_Result req_html(struct req *r, unsigned status, struct buf *body, const char *frame_src);
enum MHD_Result req_redirect(struct req *r, const char *location);
/* The same request is to be made there, with the same method and body. */
enum MHD_Result req_moved(struct req *r, const char *location);
/* {"error": sentence} or an error page, by who asks. */
enum MHD_Result req_error(struct req *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The status that fits the error's code. */
enum MHD_Result req_fail(struct req *r, const struct err *err);
/* Adds the headers that every answer has and queues it; `response` is taken. */
enum MHD_Result req_queue(struct req *r, unsigned status, struct MHD_Response *response,
                          const char *csp);

unsigned http_status_of(const struct err *err);
/* What went wrong inside is the operator's to read, not the visitor's: they get another sentence.
 */
bool http_is_for_visitors(const struct err *err);
const char *http_sentence_of(const struct err *err);
