/* HTTP to the site: one request, one answer. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CLIENT_ANSWER_MAX (64u << 20)

static inline void json_cleanup(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ __attribute__((cleanup(json_cleanup)))

struct client; /* one connection that is kept; used by one thread */

/* By VITRINE_URL and VITRINE_TOKEN, else http://localhost:8080 and ./data/admin.token (which is
 * sent to this machine only). A missing token is no error: the server says what needs one. */
int client_open(struct client **ret, struct err *err);
/* `connect_to`: NULL, or "ADDR:PORT" to connect to, whatever the URL's name resolves to. */
int client_open_at(struct client **ret, const char *url, const char *token, const char *connect_to,
                   struct err *err);
/* Whatever certificate comes is taken: for one who holds the listening socket that it connects to.
 */
void client_take_any_certificate(struct client *c);
void client_close(struct client *c); /* NULL is fine */
static inline void client_cleanup(struct client **c)
{
    client_close(*c);
}
#define _cleanup_client_ __attribute__((cleanup(client_cleanup)))

const char *client_url(const struct client *c); /* without a slash at its end */

struct client_request {
    const char *method;
    const char *path;    /* begins with "/"; its parts are already encoded */
    const char *accept;  /* NULL: application/json */
    int body_fd;         /* -1 without a body */
    uint64_t body_from;  /* where in the file the body begins */
    uint64_t body_size;  /* and how long it is */
    const char *header;  /* one more line, or NULL */
    uint64_t timeout_ms; /* 0: none but for connecting */
    unsigned stall_s;    /* ends it where nothing moved for so long; 0: never */
    /* Called now and then while bytes move or are waited for. */
    void (*progress)(void *arg, uint64_t sent, uint64_t total);
    /* Takes the body of a 2xx answer as it comes, in place of `body`; not 0 ends the request. */
    int (*take)(void *arg, const char *data, size_t len);
    void *arg;
};

struct client_answer {
    long status;
    struct buf body;
};
#define _cleanup_answer_ __attribute__((cleanup(client_answer_cleanup)))
static inline void client_answer_cleanup(struct client_answer *a)
{
    buf_free(&a->body);
}

/* 0 with any HTTP status. -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, -ECONNRESET where there was no
 * answer: the message has the remedy. */
int client_send(struct client *c, const struct client_request *rq, struct client_answer *ans,
                struct err *err);

/* The same, for JSON: anything but a 2xx is an error with the server's own sentence (-EACCES 401
 * and 403, -ENOENT 404, -EBUSY 409, -EFBIG 413, -EINVAL other 4xx, -EAGAIN 502 to 504, -EIO the
 * rest). *ret is a new reference, or NULL where the answer has no body. */
int client_json(struct client *c, const struct client_request *rq, json_t **ret, struct err *err);
int client_get(struct client *c, const char *path, json_t **ret, struct err *err);
/* With a JSON body (or without: NULL), which stays the caller's. */
int client_call(struct client *c, const char *method, const char *path, const json_t *body,
                json_t **ret, struct err *err);

/* The error that an answer other than 2xx stands for. */
int client_refusal(const struct client_answer *ans, struct err *err);

/* A string of an object, or "". */
const char *json_str(const json_t *object, const char *key);
/* Prints a document on stdout, with a newline. 0 or -EIO. */
int json_print(const json_t *j, struct err *err);
