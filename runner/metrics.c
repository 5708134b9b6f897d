#include "runner/metrics.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/tally.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SPACES_MAX 1000 /* that something was counted of last; an earlier one begins anew */
#define TEXT_MAX (32u << 20)

/* What is under way in one gateway. */
struct share {
    struct share *next;
    const void *from;
    uint32_t in_flight, websockets, streams;
};

struct entry {
    struct entry *next; /* last counted first */
    uint64_t space_id;
    char space[200];
    struct tally_counts counts;
    struct share *shares;
};

/* A gateway that is there. */
struct gate {
    struct gate *next;
    const void *from;
    uint32_t connections, held;
};

struct metrics {
    struct entry *first;
    unsigned n;
    struct gate *gates;
    uint64_t accepted, turned_away;
};

static struct metrics *of(struct runner *r)
{
    if (!r->metrics)
        r->metrics = calloc(1, sizeof(*r->metrics));
    return r->metrics;
}

static void free_entry(struct entry *e)
{
    while (e->shares) {
        struct share *s = e->shares;
        e->shares = s->next;
        free(s);
    }
    free(e);
}

/* Out of the list; NULL where it is not there. The site and nobody have no id, but names. */
static struct entry *take(struct metrics *m, uint64_t space_id, const char *space)
{
    for (struct entry **p = &m->first; *p; p = &(*p)->next) {
        struct entry *e = *p;
        if (e->space_id != space_id || (!space_id && strcmp(e->space, space) != 0))
            continue;
        *p = e->next;
        m->n--;
        return e;
    }
    return NULL;
}

static void make_room(struct metrics *m)
{
    struct entry **p = &m->first;
    if (m->n < SPACES_MAX)
        return;
    while ((*p)->next)
        p = &(*p)->next;
    free_entry(steal_ptr(*p));
    m->n--;
}

static struct share *share_of(struct entry *e, const void *from)
{
    struct share *s = e->shares;
    while (s && s->from != from)
        s = s->next;
    if (!s && (s = calloc(1, sizeof(*s)))) {
        s->from = from;
        s->next = e->shares;
        e->shares = s;
    }
    return s;
}

void metrics_tally(struct runner *r, const void *from, const struct proto_tally *t)
{
    struct metrics *m = of(r);
    if (!m)
        return;
    struct entry *e = take(m, t->space_id, t->space);
    if (!e) {
        make_room(m);
        e = calloc(1, sizeof(*e));
        if (!e)
            return;
        e->space_id = t->space_id;
    }
    memcpy(e->space, t->space, sizeof(e->space));
    e->next = m->first;
    m->first = e;
    m->n++;
    tally_add(&e->counts, t->counts, t->counts_len);
    struct share *s = share_of(e, from);
    if (s) {
        s->in_flight = t->in_flight;
        s->websockets = t->websockets;
        s->streams = t->streams;
    }
}

void metrics_gateway_stat(struct runner *r, const void *from, const struct proto_gateway_stat *s)
{
    struct metrics *m = of(r);
    struct gate *g = m ? m->gates : NULL;
    while (g && g->from != from)
        g = g->next;
    if (!g) {
        g = m ? calloc(1, sizeof(*g)) : NULL;
        if (!g)
            return;
        g->from = from;
        g->next = m->gates;
        m->gates = g;
    }
    g->connections = s->connections;
    g->held = s->held;
    m->accepted += s->accepted;
    m->turned_away += s->turned_away;
}

static void drop_gate(struct metrics *m, const void *from)
{
    struct gate **p = &m->gates;
    while (*p && (*p)->from != from)
        p = &(*p)->next;
    if (*p) {
        struct gate *g = *p;
        *p = g->next;
        free(g);
    }
}

void metrics_gateway_gone(struct runner *r, const void *from)
{
    if (r->metrics)
        drop_gate(r->metrics, from);
    for (struct entry *e = r->metrics ? r->metrics->first : NULL; e; e = e->next) {
        struct share **p = &e->shares;
        while (*p && (*p)->from != from)
            p = &(*p)->next;
        if (*p) {
            struct share *s = *p;
            *p = s->next;
            free(s);
        }
    }
}

void metrics_deleted(struct runner *r, uint64_t space_id)
{
    struct entry *e = r->metrics ? take(r->metrics, space_id, "") : NULL;
    if (e)
        free_entry(e);
}

void metrics_free(struct runner *r)
{
    while (r->metrics && r->metrics->first) {
        struct entry *e = r->metrics->first;
        r->metrics->first = e->next;
        free_entry(e);
    }
    while (r->metrics && r->metrics->gates)
        drop_gate(r->metrics, r->metrics->gates->from);
    free(steal_ptr(r->metrics));
}

/* ---- the text: https://prometheus.io/docs/instrumenting/exposition_formats/ ---- */

static void put_label(struct buf *b, const char *space)
{
    buf_puts(b, "space=\"");
    for (const char *p = space; *p; p++)
        if (*p == '\n')
            buf_puts(b, "\\n");
        else
            buf_printf(b, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    buf_puts(b, "\"");
}

static void put_help(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP vitrine_%s %s\n# TYPE vitrine_%s %s\n", name, help, name, type);
}

static void put_sample(struct buf *b, const char *name, const struct entry *e, const char *more,
                       uint64_t v)
{
    buf_printf(b, "vitrine_%s{", name);
    put_label(b, e->space);
    buf_printf(b, "%s} %" PRIu64 "\n", more, v);
}

static void put_requests(struct buf *b, const struct metrics *m)
{
    static const char *const classes[TALLY_CLASSES] = {",code=\"none\"", ",code=\"1xx\"",
                                                       ",code=\"2xx\"",  ",code=\"3xx\"",
                                                       ",code=\"4xx\"",  ",code=\"5xx\""};
    put_help(b, "requests_total", "counter",
             "Requests by Space and class of status; none: ended without an answer.");
    for (const struct entry *e = m->first; e; e = e->next)
        for (int i = 0; i < TALLY_CLASSES; i++)
            put_sample(b, "requests_total", e, classes[i], e->counts.requests[i]);
}

static void put_histogram(struct buf *b, const struct metrics *m, const char *name,
                          const char *help, size_t buckets, size_t sum)
{
    char part[64];
    put_help(b, name, "histogram", help);
    for (const struct entry *e = m->first; e; e = e->next) {
        const uint64_t *n = (const void *)((const char *)&e->counts + buckets);
        uint64_t us = *(const uint64_t *)(const void *)((const char *)&e->counts + sum), total = 0;
        snprintf(part, sizeof(part), "%s_bucket", name);
        for (int i = 0; i < TALLY_BUCKETS; i++) {
            char le[24];
            snprintf(le, sizeof(le), ",le=\"%s\"", tally_bounds_s[i]);
            total += n[i];
            put_sample(b, part, e, le, total);
        }
        buf_printf(b, "vitrine_%s_sum{", name);
        put_label(b, e->space);
        buf_printf(b, "} %" PRIu64 ".%06u\n", us / 1000000, (unsigned)(us % 1000000));
        snprintf(part, sizeof(part), "%s_count", name);
        put_sample(b, part, e, "", total);
    }
}

static void put_counter(struct buf *b, const struct metrics *m, const char *name, const char *help,
                        size_t field)
{
    put_help(b, name, "counter", help);
    for (const struct entry *e = m->first; e; e = e->next)
        put_sample(b, name, e, "",
                   *(const uint64_t *)(const void *)((const char *)&e->counts + field));
}

static void put_gauge(struct buf *b, const struct metrics *m, const char *name, const char *help,
                      size_t field)
{
    put_help(b, name, "gauge", help);
    for (const struct entry *e = m->first; e; e = e->next) {
        uint64_t sum = 0;
        for (const struct share *s = e->shares; s; s = s->next)
            sum += *(const uint32_t *)(const void *)((const char *)s + field);
        put_sample(b, name, e, "", sum);
    }
}

static void put_one(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    put_help(b, name, type, help);
    buf_printf(b, "vitrine_%s %" PRIu64 "\n", name, v);
}

static void put_gateways(struct buf *b, const struct metrics *m)
{
    uint64_t connections = 0, held = 0;
    for (const struct gate *g = m->gates; g; g = g->next) {
        connections += g->connections;
        held += g->held;
    }
    put_one(b, "connections_total", "counter", "Visitors' connections that were accepted.",
            m->accepted);
    put_one(b, "connections_turned_away_total", "counter",
            "Connections beyond a limit, or of a proxy that is not trusted.", m->turned_away);
    put_one(b, "connections", "gauge", "Visitors' connections that are open.", connections);
    put_one(b, "requests_held", "gauge", "Requests that wait for a Space.", held);
}

static void put_workers(struct buf *b, const struct runner *r)
{
    unsigned n = 0;
    for (const struct worker *w = r->workers; w; w = w->next)
        n += w->space != NULL;
    put_one(b, "workers", "gauge", "Workers that run, start or stop.", n);
    put_one(b, "gpus", "gauge", "GPUs that workers may be given.", r->gpus.n);
    put_one(b, "gpus_taken", "gauge", "GPUs that workers have, or are about to.",
            r->gpu_line.taken);
}

int metrics_text(struct runner *r, struct err *err)
{
    static const struct metrics none;
    const struct metrics *m = r->metrics ? r->metrics : &none;
    _cleanup_buf_ struct buf b = BUF_INIT(TEXT_MAX);
    put_requests(&b, m);
    put_counter(&b, m, "received_bytes_total", "Content of requests.",
                offsetof(struct tally_counts, bytes_in));
    put_counter(&b, m, "sent_bytes_total", "Content of answers.",
                offsetof(struct tally_counts, bytes_out));
    put_counter(&b, m, "cold_starts_total", "Times that visitors woke the Space.",
                offsetof(struct tally_counts, cold_starts));
    put_histogram(&b, m, "request_duration_seconds",
                  "From a request's head to the end of its answer; without WebSockets and event "
                  "streams.",
                  offsetof(struct tally_counts, duration),
                  offsetof(struct tally_counts, duration_us));
    put_histogram(
        &b, m, "first_byte_seconds", "From a request's head to the beginning of its answer.",
        offsetof(struct tally_counts, first_byte), offsetof(struct tally_counts, first_byte_us));
    put_gauge(&b, m, "requests_in_flight", "Requests, streams and WebSockets under way.",
              offsetof(struct share, in_flight));
    put_gauge(&b, m, "websockets", "WebSockets that are open.", offsetof(struct share, websockets));
    put_gauge(&b, m, "event_streams", "Event streams that are open.",
              offsetof(struct share, streams));
    put_gateways(&b, m);
    put_workers(&b, r);
    _cleanup_close_ int fd = memfd_create("vitrine-metrics", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a memfd for the counters");
    int w = write_all(fd, b.data, b.len);
    if (w < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_set(err, w < 0 ? -w : errno, "cannot write the counters");
    return steal_fd(&fd);
}
