/* The parts of vitrine-egress and what they share: one loop, its connections, its policy. */
#pragma once

#include "common/http1.h"
#include "egress/names.h"
#include "egress/policy.h"
#include "egress/say.h"

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#define FLOW_BYTES (64 * 1024)
#define HEAD_MS 30000
#define CONNECT_MS 15000
#define LINGER_MS 2000

/* Bytes on their way in one direction. */
struct flow {
    char *data; /* FLOW_BYTES, made when first needed */
    uint32_t head, tail;
    bool eof;  /* nothing more comes */
    bool done; /* ... and the other side was told */
};

enum conn_state {
    CONN_HEAD,    /* reads what it wants */
    CONN_NAME,    /* the host's name is looked up */
    CONN_CONNECT, /* a tunnel's connection is made ... */
    CONN_PROXY,   /* ... and the operator's proxy is asked to go on */
    CONN_TUNNEL,
    CONN_FETCH,  /* libcurl fetches (fetch.c) */
    CONN_LAST,   /* what is in to_client goes out, and then it ends */
    CONN_LINGER, /* the client is to see the end before it is cut */
};

struct fetch;

struct conn {
    enum conn_state state;
    int client, up;
    char head[HTTP1_HEAD_MAX]; /* the request's, later the answer's of a proxy */
    size_t head_len;
    struct http1_head request;
    char host[POLICY_NAME]; /* lower case */
    uint16_t port;
    char who[64]; /* "pip", as it says, or "the build" */
    const struct policy_login *login;
    const struct policy_proxy *proxy;
    bool inside;         /* of the host whose name is looked up */
    const char *to_find; /* that host */
    struct name found;   /* its addresses */
    unsigned address;    /* the next one to try */
    int last_error;
    struct flow to_up, to_client;
    struct fetch *fetch;
    uint64_t begun_ms, moved_ms, until_ms; /* until_ms: of the present state, 0 none */
    short client_events, up_events;        /* what poll said */
};

struct egress {
    struct policy policy;
    struct say say;
    struct names *names;
    int listener;
    CURLM *multi;
    struct curl_blob ca;
    struct conn **conns; /* policy.connections of them, NULL where free */
    uint64_t now_ms;
    uint64_t connections, bytes_in, bytes_out; /* totals; in: towards the build */
};

/* door.c: a connection of the build. */
void door_accept(struct egress *e);
void door_step(struct egress *e, struct conn *c);
/* Answers with `status` and a sentence, as reason and as body, and ends it. */
void door_refuse(struct egress *e, struct conn *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void door_close(struct egress *e, struct conn *c);
/* ... so that nobody takes it for a good end. */
void door_cut(struct egress *e, struct conn *c);
/* More bytes; false where the build has had all that it may have: everything is over then. */
bool door_count(struct egress *e, uint64_t in, uint64_t out);
/* Made when needed; false without memory. */
bool flow_ready(struct flow *f);
/* Sends what is there. 0, or -errno where the connection is broken. */
int flow_send(struct flow *f, int fd);

/* tunnel.c: CONNECT. */
/* At the first address that was found, later at the next one. */
void tunnel_begin(struct egress *e, struct conn *c);
void tunnel_step(struct egress *e, struct conn *c);
void tunnel_wants(const struct conn *c, short *client, short *up);

/* fetch.c: GET and HEAD of a whole URL. */
int fetch_init(struct egress *e, struct err *err);
void fetch_begin(struct egress *e, struct conn *c);
void fetch_resume(struct conn *c);
void fetch_done(struct egress *e);
void fetch_free(struct egress *e, struct conn *c);
