/* One event loop and everything that hangs off it. There is no other state, but for the little that
 * the loops of a gateway have in common (crew.h).
 *
 * Descriptors are registered once, edge-triggered for both directions; what an event said is kept
 * in the connection's flags until a call says EAGAIN. An object that is closed while a batch of
 * events is worked on is buried, and freed after the batch: a later event of the batch finds fd -1.
 */
#pragma once

#include "acme.h"
#include "gbuf.h"
#include "list.h"
#include "timer.h"
#include "common/conf.h"
#include "common/http1.h"
#include "common/proto.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct client;

/* A registered descriptor. */
struct io {
    int fd;      /* -1 once closed */
    bool shared; /* others may hold duplicates */
    bool idle;   /* an event is its end, and goes before others' of the same time */
    void (*on_event)(struct loop *l, struct io *io, uint32_t events);
    struct io *next_buried;
    void (*on_free)(struct loop *l, struct io *io);
};

/* A listening socket of the visitors'. */
struct listener {
    struct io io; /* first */
    bool proxied; /* its connections begin with a PROXY header (intro.h) */
    bool tls;     /* they are HTTPS (tls.h) */
};

struct routes;
struct workers;
struct limits;
struct runner;
struct visits;
struct access;
struct trust;
struct tls_server;
struct tallies;
struct crew;

/* The ids that a loop gives out begin, from this bit on, with its number. */
#define LOOP_ID_SHIFT 56

struct loop {
    int epoll_fd;
    unsigned number; /* 0: the first */
    struct crew *crew;
    struct io inbox; /* connections that another loop accepted; fd -1 where there is one loop */
    uint64_t now_ms; /* mono_ms at the start of the batch */
    uint64_t now_us; /* the same */
    bool all_told;   /* whatever happened before now_us is known */
    bool stopping;   /* SIGTERM, or draining: nothing new is accepted */
    bool draining;   /* drain.h; it ends with the last client */
    bool over;       /* loop_run returns */
    struct io *buried;
    struct link ready; /* clients whose turn was cut short; they go on in the next round */
    struct gbuf_pool bufs;
    struct timer_wheel *wheel;
    struct io alarm;   /* wakes the loop when something of the wheel may be due */
    uint64_t alarm_ms; /* ... at this time; UINT64_MAX: it is not set */

    const struct conf *conf;
    char domain[256];      /* the site's host, lower case */
    char demo_suffix[258]; /* "." and the parent name of the Spaces' hosts, lower case */
    size_t domain_len, demo_suffix_len;
    char site_origin[280]; /* "http://localhost:8080" */

    bool to_https;      /* plain requests are sent there */
    char https_port[8]; /* ":8443"; "" where it is 443 */
    char hsts[64];      /* a field with its line end, or "" */

    int sup_fd; /* the supervisor's socket, or the first loop's, to say something; not its own */
    struct listener listeners[PROTO_LISTENERS]; /* by number; fd -1: none */
    bool accept_paused; /* out of descriptors: taken up again by accept_timer */
    struct timer accept_timer;
    struct timer drain_timer;
    uint64_t drain_until_ms;
    struct link clients; /* all of them, for the end */
    uint32_t n_clients, n_held;
    uint32_t idle_max; /* its share of gateway.upstream_idle */
    struct client *free_clients;

    struct limits *limits; /* the crew's */
    struct trust *trust;
    struct tallies *tallies;
    uint64_t intro_said_ms; /* when a connection without a PROXY header was spoken of last */
    struct routes *routes;
    struct workers *workers;
    struct runner *runner;
    struct visits *visits;
    struct access *access;  /* NULL: no access log */
    struct tls_server *tls; /* NULL: no HTTPS */
    struct challenges challenges;

    /* The head that was parsed last and whose it is: valid until the next parse or until its bytes
     * move. Too large to be kept in each connection. */
    struct http1_head head;
    const struct client *head_of;
    struct http1_head h2_head; /* of an answer that becomes frames, for a moment */
    struct proto_msg msg;      /* the message that is being handled */

    char date[32];           /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    uint64_t date_until_us;  /* it is that until then, in now_us */
    char scratch[16 * 1024]; /* for a moment: bytes that nobody wants, a record to be encrypted */
};

/* All of it, with empty modules and without descriptors. `conf` and the crew must outlive it. */
int loop_new(struct loop **ret, const struct conf *conf, struct crew *crew, unsigned number,
             struct err *err);
void loop_free(struct loop *l);

/* Registers io->fd for reading and writing, edge-triggered (the listener and message sockets:
 * level-triggered reading). 0 or -errno. */
int loop_add(struct loop *l, struct io *io);
int loop_add_level(struct loop *l, struct io *io, uint32_t events);
int loop_mod_level(struct loop *l, struct io *io, uint32_t events);
/* Unregisters and closes the descriptor. */
void loop_close(struct loop *l, struct io *io);
/* Has the object freed after the batch. */
void loop_bury(struct loop *l, struct io *io, void (*on_free)(struct loop *, struct io *));

/* A listening socket, which others watch as well: it wakes one of those that wait. 0 or -errno. Not
 * watched, it stays open. */
int loop_watch(struct loop *l, struct listener *listener);
void loop_unwatch(struct loop *l, struct listener *listener);

/* Until l->over. */
int loop_run(struct loop *l, struct err *err);

/* "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes, of now. */
const char *loop_date(struct loop *l);
