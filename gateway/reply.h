/* Answers of the gateway's own: pages for people, JSON for programs. No path, no address and no
 * internal reason ever shows in them. */
#pragma once

#include "client.h"

struct route;

struct reply {
    int status;
    const char *title;      /* a headline for people */
    const char *text;       /* a sentence; may be NULL */
    const char *stage;      /* for JSON and the page; may be NULL */
    uint32_t retry_after_s; /* 0: no such field */
    bool close;             /* the connection ends with it */
};

/* The page or JSON by what the request accepts. The client is in CLIENT_REPLY (or closed) then. */
void reply_send(struct client *c, const struct reply *r);
/* 404: where no Space is, and where there is a private one, alike; a page has a way for who may see
 * it. */
void reply_nothing(struct client *c, const struct route *r);
/* 303 to where the site makes a visit of the Space, and back to this request's path. */
void reply_to_site(struct client *c, const struct route *r);
/* 308 to the same on HTTPS: `host` without a port. */
void reply_to_https(struct client *c, const char *host, size_t len);
/* A text as it is. */
void reply_text(struct client *c, const char *text);
/* 303 to `path` on this host, with the visit as a cookie for so long; `framed`: for a frame in
 * another site's page. */
void reply_visit(struct client *c, const char *visit, size_t len, uint64_t seconds, bool framed,
                 const char *path, size_t path_len);
/* The waiting page of a Space. */
void reply_wait_page(struct client *c, struct route *r);
/* The page of a sleeping Space for those who crawl, and its robots.txt. */
void reply_bot_page(struct client *c, struct route *r);
void reply_robots(struct client *c);
/* 200 with Allow: the answer to an OPTIONS that asks for the gateway itself (Max-Forwards: 0). */
void reply_options(struct client *c);
/* Begins the event stream of the waiting page. */
void reply_events(struct client *c);
/* "200 OK" */
const char *reply_reason(int status);
