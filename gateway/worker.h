/* Workers and the connections to their demos.
 *
 * A worker is known by a ROUTE message that brings its dial socket. Sockets of its namespace are
 * asked for in small batches ahead, connected when needed, kept and reused last in first out. The
 * site is a worker too (worker id 0), whose dialed sockets are connected already.
 *
 * A worker is let go of when it retires (another took its place, it died, or it was put to sleep)
 * and nobody uses it any more: retiring closes its idle connections at once, its last client frees
 * it. */
#pragma once

#include "client.h"

#define WORKER_FRESH_MAX 8 /* unconnected sockets kept ahead */

enum upstream_state { UPSTREAM_CONNECTING, UPSTREAM_ACTIVE, UPSTREAM_IDLE };

struct upstream {
    struct conn conn; /* first */
    struct loop *loop;
    struct worker *worker;
    struct client *client; /* NULL while idle */
    struct link idle;
    struct timer timer;
    struct upstream *next_free;
    uint64_t idle_since_ms;
    uint8_t state;
    bool reused;    /* has carried a request before this one */
    bool got_bytes; /* of the present answer */
};

struct worker {
    struct io dial; /* SEQPACKET; first */
    struct loop *loop;
    struct link all;   /* workers->all */
    struct link dirty; /* workers->dirty */
    struct worker *next_hash;
    uint64_t id, space_id;
    uint32_t port;
    struct route *route; /* that names it; NULL once retired */
    bool site; /* webui: not hostile, connected sockets, nothing is taken from its answers */
    bool retired;

    int fresh[WORKER_FRESH_MAX]; /* sockets that were dialed and not used yet */
    uint32_t n_fresh, asked;     /* asked: DIAL sent for so many */
    struct link pending;         /* clients that wait for a socket, oldest first */
    uint32_t n_pending;
    struct link idle; /* upstreams, most recently used first */
    uint32_t n_idle;
    struct timer redial; /* after an error */

    uint32_t refs; /* clients in DIAL, PROXY, RELAY */
    uint64_t last_end_ms;
    uint64_t noted_ms; /* when its owner was told something last */
    uint32_t unsaid;   /* since then */
    uint64_t requests, bytes_in, bytes_out, status_5xx;
};

struct workers {
    struct loop *loop;
    struct link all, dirty;
    struct timer tick; /* COUNTERS, set while something is dirty */
    struct worker *site;
    struct upstream *free_upstreams;
    uint32_t n_buckets;
    struct worker **buckets;
};

int workers_new(struct loop *l, struct err *err);
void workers_free(struct loop *l);
struct worker *worker_find(struct loop *l, uint64_t id);
/* Takes `dial_fd` over (closed on failure). NULL without memory. */
struct worker *worker_new(struct loop *l, uint64_t id, uint64_t space_id, uint32_t port,
                          int dial_fd);
/* A retired one that visitors still use serves again, by a new dial socket (taken over). */
void worker_revive(struct worker *w, uint32_t port, int dial_fd);
/* A new dial socket to the site (taken over); those who waited for it go on. */
void worker_set_site(struct loop *l, int dial_fd);
/* Something that its owner should read; of many within a second only the first is told. */
void worker_note(struct worker *w, const char *text);
/* Something was counted. */
void worker_touch(struct worker *w);

/* No new request goes there; freed when the last client has let go. */
void worker_retire(struct worker *w);
/* Put to sleep: retires it, and its route is forgotten (the next request asks again). */
void worker_let_go(struct worker *w);
/* It cannot be reached: retires it, those who waited for a socket are held, its route is asked for
 * again. */
void worker_lost(struct worker *w, const char *why);
/* Closes the sockets that it gave ahead of need. */
void worker_drop_fresh(struct worker *w);

/* Gets the client a connection: at once (an idle one; true, client->upstream is set), or later (it
 * is in CLIENT_DIAL then, and proxy_begin follows). `reuse` false: a new one. */
bool worker_connect(struct client *c, struct worker *w, bool reuse);
/* A client lets go of its upstream: kept for the next one, or closed. */
void upstream_keep(struct upstream *u);
void upstream_close(struct upstream *u, bool reset);
/* A client stops being a user of the worker; the worker may be freed. */
void worker_unref(struct worker *w);
