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
/* The waiting page of a Space. */
void reply_wait_page(struct client *c, struct route *r);
/* The page of a sleeping Space for those who crawl, and its robots.txt. */
void reply_bot_page(struct client *c, struct route *r);
void reply_robots(struct client *c);
/* Begins the event stream of the waiting page. */
void reply_events(struct client *c);
/* "200 OK" */
const char *reply_reason(int status);
