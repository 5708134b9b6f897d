#include "webui/stats.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "webui/timedwait.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define FORGET_MS 60000

struct entry {
    struct entry *next;
    struct stats_worker now;
    uint64_t at_ms;
};

struct stats {
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct entry *entries;
};

int stats_new(struct stats **ret, struct err *err)
{
    struct stats *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    timedwait_init(&s->news);
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return 0;
}

void stats_free(struct stats *s)
{
    if (!s)
        return;
    while (s->entries) {
        struct entry *e = s->entries;
        s->entries = e->next;
        free(e);
    }
    pthread_cond_destroy(&s->news);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The worker's entry; those of workers that are long gone are dropped on the way. */
static struct entry *find(struct stats *s, uint64_t worker_id, uint64_t now)
{
    struct entry *found = NULL;
    for (struct entry **p = &s->entries; *p;) {
        struct entry *e = *p;
        if (e->now.worker_id == worker_id)
            found = e;
        else if (now - e->at_ms > FORGET_MS) {
            *p = e->next;
            free(e);
            continue;
        }
        p = &e->next;
    }
    return found;
}

void stats_add(struct stats *s, const struct proto_worker_stat *m)
{
    uint64_t now = mono_ms();
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(s, m->worker_id, now);
    double percent = 0;
    if (!e) {
        e = calloc(1, sizeof *e);
        if (e) {
            e->next = s->entries;
            s->entries = e;
        }
    } else if (now > e->at_ms && m->cpu_us >= e->now.cpu_us) {
        percent = (double)(m->cpu_us - e->now.cpu_us) / (double)(now - e->at_ms) / 10;
    }
    if (e) {
        e->at_ms = now;
        e->now = (struct stats_worker){.worker_id = m->worker_id,
                                       .memory_bytes = m->memory_bytes,
                                       .memory_limit_bytes = m->memory_limit_bytes,
                                       .cpu_us = m->cpu_us,
                                       .requests = m->requests,
                                       .pids = m->pids,
                                       .refs = m->refs,
                                       .cpu_percent = percent};
        pthread_cond_broadcast(&s->news);
    }
    pthread_mutex_unlock(&s->lock);
}

static bool get(struct stats *s, uint64_t worker_id, unsigned max_age_ms, struct stats_worker *ret)
{
    uint64_t now = mono_ms();
    struct entry *e = find(s, worker_id, now);
    if (!e || now - e->at_ms > max_age_ms)
        return false;
    *ret = e->now;
    return true;
}

bool stats_get(struct stats *s, uint64_t worker_id, unsigned max_age_ms, struct stats_worker *ret)
{
    pthread_mutex_lock(&s->lock);
    bool found = get(s, worker_id, max_age_ms, ret);
    pthread_mutex_unlock(&s->lock);
    return found;
}

void stats_await(struct stats *s, uint64_t worker_id, unsigned max_age_ms, unsigned timeout_ms)
{
    struct timespec end = timedwait_end(timeout_ms);
    struct stats_worker ignored;
    pthread_mutex_lock(&s->lock);
    while (!get(s, worker_id, max_age_ms, &ignored))
        if (pthread_cond_timedwait(&s->news, &s->lock, &end) != 0)
            break;
    pthread_mutex_unlock(&s->lock);
}
