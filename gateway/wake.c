#include "wake.h"

#include "crew.h"
#include "limits.h"
#include "proxy.h"
#include "reply.h"
#include "request.h"
#include "runner.h"
#include "visit.h"
#include "worker.h"
#include "common/buf.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_PING_MS 15000
#define EVENTS_OUT_MAX (16 * 1024) /* a page that does not read gets no more lines */
#define CATCH_UP_MAX (8 * 1024)    /* of that, for the lines that a new page has missed */
#define EVENT_MAX 8192             /* the longest line or message, with all of it escaped */
#define WATCHERS_MAX 1000          /* of one Space */

static void reply_stage(struct client *c, const struct route *r)
{
    struct reply reply = {.status = 503,
                          .stage = proto_stage_name(r->stage),
                          .text = r->message[0] ? r->message : NULL};

    switch ((enum proto_stage)r->stage) {
    case STAGE_NONE:
        if ((r->flags & ROUTE_MOVED) && c->navigation && c->head_kept)
            reply_to_site(c, r);
        else
            reply_nothing(c, r);
        return;
    case STAGE_RUNTIME_ERROR:
        reply.title = "This Space has crashed";
        break;
    case STAGE_BUILD_ERROR:
        reply.title = "This Space could not be built";
        break;
    case STAGE_CONFIG_ERROR:
        reply.title = "This Space is not configured properly";
        break;
    case STAGE_NO_APP_FILE:
        reply.title = "This Space has no application yet";
        break;
    case STAGE_PAUSED:
        reply.title = "This Space is paused";
        break;
    case STAGE_STOPPED:
        reply.title = "This Space is stopped";
        break;
    case STAGE_DELETING:
        reply.title = "This Space is being deleted";
        break;
    default:
        reply.title = "This Space is not available";
        reply.retry_after_s = 5;
        break;
    }
    reply_send(c, &reply);
}

void wake_hold(struct client *c, struct route *r)
{
    struct loop *l = c->loop;
    const struct conf *conf = l->conf;

    struct limits_address *waits =
        crew_total(l, CREW_HELD) < conf->gateway_waiting_total
            ? limits_enter_named(l->limits, 'h', r->label, conf->gateway_waiting_per_space)
            : NULL;
    if (!waits) {
        reply_send(c, &(struct reply){
                          .status = 503,
                          .title = "Too many are waiting for this Space",
                          .stage = r->known ? proto_stage_name(r->stage) : NULL,
                          .retry_after_s = 5,
                      });
        return;
    }
    if (r->known)
        c->account.cold = true;
    if (!c->held_since_ms)
        c->held_since_ms = l->now_ms;
    c->state = CLIENT_HELD;
    c->route = r;
    list_push_back(&r->held, &c->wait);
    r->n_held++;
    r->held_in_all = waits;
    crew_set(l, CREW_HELD, ++l->n_held);
    uint64_t end =
        c->held_since_ms + (c->navigation ? conf->gateway_wait_page_after : conf->gateway_hold);
    client_set_deadline(c, end > l->now_ms ? end - l->now_ms : 0);
    route_want(r);
}

void wake_unhold(struct route *r)
{
    r->n_held--;
    crew_set(r->loop, CREW_HELD, --r->loop->n_held);
    limits_leave(r->held_in_all);
}

void wake_unwatch(struct route *r)
{
    r->n_watchers--;
    limits_leave(r->watchers_in_all);
}

void wake_give_up(struct client *c)
{
    struct route *r = c->route;

    client_unwait(c);
    if (c->navigation) {
        reply_wait_page(c, r);
        return;
    }
    reply_send(c, &(struct reply){
                      .status = 503,
                      .title = "The Space did not wake up in time",
                      .text = r->known && r->message[0]
                                  ? r->message
                                  : "It is still starting. Try again in a moment.",
                      .stage = r->known ? proto_stage_name(r->stage) : NULL,
                      .retry_after_s = 5,
                  });
}

void wake_release(struct route *r)
{
    struct link held;

    /* also where there is still nobody to forward to: now that it is known to sleep, some of them
     * (robots) do not wait for it; the others are held again, with the time they have left */
    list_move_all(&held, &r->held);
    while (!list_empty(&held)) {
        struct client *c = container_of(held.next, struct client, wait);
        list_remove(&c->wait);
        wake_unhold(r);
        request_dispatch(c);
        client_step(c);
    }
}

/* ---- the event stream ---- */

/* May what is awaited still come by itself? */
static bool is_waiting(const struct route *r)
{
    return !r->worker && (!r->known || r->wakes);
}

/* False where the page has not read what it was told before. */
static bool send_event(struct client *c, const struct buf *b)
{
    struct loop *l = c->loop;
    if (!b->data || gbuf_len(c->conn.out) + b->len > EVENTS_OUT_MAX)
        return false;
    if (gbuf_need(&l->bufs, &c->conn.out, b->len) < 0)
        return false;
    memcpy(c->conn.out->data + c->conn.out->tail, b->data, b->len);
    c->conn.out->tail += (uint32_t)b->len;
    c->down.bytes += b->len;
    return true;
}

static void put_stage(struct buf *b, const struct route *r)
{
    buf_puts(b, "event: stage\ndata: {\"stage\":");
    buf_json(b, r->known ? proto_stage_name(r->stage) : "NONE");
    buf_puts(b, ",\"message\":");
    buf_json(b, r->known ? r->message : "");
    buf_printf(b, ",\"ready\":%s,\"waiting\":%s}\n\n", r->worker ? "true" : "false",
               is_waiting(r) ? "true" : "false");
}

static void put_line(struct buf *b, const char *line, size_t len)
{
    char copy[1024];
    if (len >= sizeof(copy))
        len = sizeof(copy) - 1;
    memcpy(copy, line, len);
    copy[len] = '\0';
    buf_puts(b, "event: line\ndata: ");
    buf_json(b, copy);
    buf_puts(b, "\n\n");
}

/* Where the line begins that ends before `end` (which is behind its \n). */
static const char *line_before(const char *lines, const char *end)
{
    const char *nl = end - 1 > lines ? memrchr(lines, '\n', (size_t)(end - 1 - lines)) : NULL;
    return nl ? nl + 1 : lines;
}

/* A new watcher: the stage as it is, and as many of the last lines as there is room for. */
static void catch_up(struct client *c)
{
    const struct route *r = c->route;
    const char *end = r->lines + r->lines_len, *from = end;
    _cleanup_buf_ struct buf b = BUF_INIT(EVENT_MAX);
    size_t room = CATCH_UP_MAX;

    put_stage(&b, r);
    send_event(c, &b);
    while (r->lines && from > r->lines) { /* how many fit */
        const char *p = line_before(r->lines, from);
        buf_clear(&b);
        put_line(&b, p, (size_t)(from - 1 - p));
        if (b.len > room)
            break;
        room -= b.len;
        from = p;
    }
    while (from < end) {
        const char *nl = memchr(from, '\n', (size_t)(end - from));
        buf_clear(&b);
        put_line(&b, from, (size_t)(nl - from));
        send_event(c, &b);
        from = nl + 1;
    }
}

/* The last event is out, or on its way: the stream ends, and holds nothing of the Space any more.
 */
static void end_watch(struct client *c)
{
    client_unwait(c);
    c->state = CLIENT_REPLY;
    client_again(c);
}

/* `/.vitrine/wait`: what happens to the Space, as server-sent events. */
static void watch(struct client *c, struct route *r)
{
    if (r->known && r->stage == STAGE_NONE) { /* there is nothing to wait for */
        reply_stage(c, r);
        return;
    }
    struct limits_address *watches =
        limits_enter_named(c->loop->limits, 'w', r->label, WATCHERS_MAX);
    if (!watches) {
        reply_send(c, &(struct reply){.status = 503, .title = "Too many wait", .retry_after_s = 5});
        return;
    }
    reply_events(c);
    if (c->conn.io.fd < 0 || c->state != CLIENT_WATCH) {
        limits_leave(watches);
        return;
    }
    c->route = r;
    r->watchers_in_all = watches;
    list_push_back(&r->watchers, &c->wait);
    r->n_watchers++;
    client_set_deadline(c, EVENTS_PING_MS);
    catch_up(c);
    if (!is_waiting(r))
        end_watch(c);
    else
        route_want(r);
}

void wake_tell_stage(struct route *r)
{
    struct link *at, *next;

    if (list_empty(&r->watchers))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(EVENT_MAX);
    put_stage(&b, r);
    for (at = r->watchers.next; at != &r->watchers; at = next) {
        struct client *c = container_of(at, struct client, wait);
        next = at->next;
        if (!send_event(c, &b)) { /* it must not miss this: it comes again and is told anew */
            client_close(c, true);
            continue;
        }
        if (!is_waiting(r))
            end_watch(c);
        client_step(c);
    }
}

void wake_end_watches(struct route *r)
{
    struct link *at, *next;
    for (at = r->watchers.next; at != &r->watchers; at = next) {
        next = at->next;
        client_close(container_of(at, struct client, wait), true);
    }
}

void wake_tell_line(struct route *r, const char *line)
{
    struct link *at, *next;

    if (list_empty(&r->watchers))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(EVENT_MAX);
    put_line(&b, line, strlen(line));
    for (at = r->watchers.next; at != &r->watchers; at = next) {
        struct client *c = container_of(at, struct client, wait);
        next = at->next;
        send_event(c, &b);
        client_step(c);
    }
}

void wake_ping(struct client *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16);
    buf_puts(&b, ": \n\n");
    send_event(c, &b);
    client_set_deadline(c, EVENTS_PING_MS);
}

/* ---- which of these ---- */

void wake_dispatch(struct client *c, struct route *r)
{
    if (visit_enter(c, r))
        return;
    /* Whether it is private is not known before the Space is. */
    if (!r->known && !r->worker) {
        wake_hold(c, r);
        return;
    }
    if (!visit_may(c, r))
        return;
    if (c->wait_path) {
        watch(c, r);
        return;
    }
    if (r->worker) {
        proxy_request(c, r->worker);
        return;
    }
    if (r->known && !r->wakes) {
        reply_stage(c, r);
        return;
    }
    if (r->known && c->robots) {
        reply_robots(c);
        return;
    }
    if (r->known && c->bot) {
        reply_bot_page(c, r);
        return;
    }
    wake_hold(c, r);
}
