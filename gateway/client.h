/* A visitor's connection, and the one request on it that is being answered.
 *
 * INTRO (a PROXY header is awaited, where there must be one) -> READ (a head is awaited) -> ASK
 * (whether it may see a private Space is awaited) or CHALLENGE (acme.c) -> HELD (the Space's worker
 * is awaited) -> DIAL (a connection to it is awaited) -> PROXY (the exchange) -> READ again, or
 * RELAY (upgraded), or REPLY (an answer of our own), WATCH (the waiting page's event stream),
 * LINGER (answered and half closed: what still arrives is thrown away, so that the answer is not
 * lost by a reset). */
#pragma once

#include "chunk.h"
#include "conn.h"

struct worker;
struct upstream;
struct route;
struct limits_address;

enum client_state {
    CLIENT_INTRO,
    CLIENT_READ,
    CLIENT_ASK,
    CLIENT_CHALLENGE,
    CLIENT_HELD,
    CLIENT_DIAL,
    CLIENT_PROXY,
    CLIENT_RELAY,
    CLIENT_REPLY,
    CLIENT_WATCH,
    CLIENT_LINGER,
    CLIENT_H2, /* the carrier of streams, each of which is a client (h2.h) */
};

/* What the demo waits for: bytes that the visitor sends, or that it takes. */
enum client_pace { PACE_NONE, PACE_SEND, PACE_TAKE };

/* One direction of a body: how the source frames it, what is left, how it goes out. */
struct flow {
    uint8_t body; /* enum http1_body */
    bool chunk_out;
    bool trailers_ok;
    bool trailer_open; /* the last chunk was written, its trailers follow */
    bool done;         /* all of it was taken from the source, framing included */
    uint32_t ahead;    /* so many bytes of what was read go first, and are no content: the head */
    uint64_t left;     /* BODY_LENGTH */
    struct chunk chunk;
    uint64_t bytes; /* of content that went */
};

/* The request that is under way, for log and counters (account.h). */
struct account {
    uint64_t from_us;         /* when its head was there; 0: none is under way */
    uint64_t first_us;        /* when its answer began; 0: not yet */
    struct access_line *line; /* access.c */
    struct tally *tally;      /* of its Space; NULL: of none */
    uint16_t status;
    uint8_t stream; /* enum account_stream */
    bool cold;      /* it waited for its Space to wake */
};

struct client {
    struct conn conn; /* first */
    struct loop *loop;
    struct timer timer;
    struct link all;   /* loop->clients */
    struct link ready; /* loop->ready */
    struct link wait;  /* route->held, worker->pending, route->watchers, those whose token is
                          asked about (visit.c) or whose challenge (acme.c), by state */
    struct client *next_free;
    struct h2 *h2;                  /* CLIENT_H2 */
    struct limits_address *address; /* of who connected, or of whom its PROXY header names */
    struct limits_address
        *visitor;      /* while a request is under way: whom a trusted proxy speaks for */
    bool behind_proxy; /* its address is that of a proxy in front: it says nothing of the visitor */
    bool trusted;      /* ... one whose word on the visitor is taken (forwarded.h) */
    char ip[46];       /* the visitor's, as text */
    char peer_ip[46];  /* `address` as text */
    bool ip6, peer_ip6;

    uint8_t state; /* enum client_state */

    /* the request: set when its head was parsed, zero between requests */
    uint8_t minor;
    bool keep_alive; /* as the visitor asked; false once something forbids it */
    bool is_head, retryable, upgrade, html, navigation, bot, robots, wait_path;
    bool https;              /* so the visitor came to us, or to a trusted proxy */
    bool drop_authorization; /* it is ours, not the demo's */
    bool token_is_authorization;
    bool retried;     /* on another connection, after a kept one had been closed */
    bool head_kept;   /* the head is still at the front of conn.in: it can be sent once more */
    bool head_parsed; /* the answer's head was passed on */
    bool upload_over; /* the demo takes no more of the request */
    bool demo_keeps;  /* the demo's connection can carry another request after this one */
    bool idle_armed;  /* the deadline of a connection without a request runs */
    uint8_t interims; /* 1xx answers passed on */
    uint8_t pace;     /* enum client_pace: what the visitor is expected to do meanwhile */
    uint16_t head_len;
    uint16_t host_at,
        host_len; /* in the head: what a trusted proxy says was asked for; 0 bytes: nothing */
    uint16_t parsed_len;   /* bytes of an unfinished head that were looked at */
    uint64_t challenge_id; /* CHALLENGE */
    int64_t pace_from;     /* bytes that had moved when that began */
    uint32_t requests;     /* answered on this connection */
    uint64_t head_since_ms, held_since_ms;
    struct flow up, down;  /* the request's body and the answer's */
    struct route *route;   /* HELD, DIAL, WATCH: the Space's */
    struct worker *worker; /* DIAL, PROXY, RELAY: counted in its refs */
    struct account account;
    struct upstream *upstream;
};

/* One that begins: counted, with the time that a header has. `address` is its from now on; NULL
 * without memory. */
struct client *client_new(struct loop *l, int fd, struct limits_address *address);
/* One for a stream, with the carrier's address and what is known of it. NULL: no more are to be
 * had. */
struct client *client_of_stream(struct client *carrier, struct h2_stream *s);
/* Does what can be done now; the client may be closed when it returns. */
void client_step(struct client *c);
/* The answer is out: the next request, or the end of the connection. */
void client_finish(struct client *c);
/* Ends the connection now and lets go of all it had. `reset`: visibly broken off. */
void client_close(struct client *c, bool reset);
/* Half closes, and closes once the visitor did (or after a moment). */
void client_linger(struct client *c);
/* Lets go of worker and upstream; the upstream is kept for the next request if `reuse`. */
void client_release(struct client *c, bool reuse);
/* Has client_step called in the next round. */
void client_again(struct client *c);
/* Off every list of those who wait. */
void client_unwait(struct client *c);
/* When the state's time is over; CLIENT_NEVER takes a deadline away. */
#define CLIENT_NEVER UINT64_MAX
void client_set_deadline(struct client *c, uint64_t ms_from_now);

/* A visitor that has said that it sends no more may only be half closed (it gets its answer), or
 * gone (nobody tells): the demo may be silent for so long before it is taken to be gone. */
#define CLIENT_HALF_CLOSED_MS 2000
