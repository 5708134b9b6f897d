#include "webui/locks.h"

#include "common/cleanup.h"
#include "webui/timedwait.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct locks_held {
    struct locks *locks;
    struct locks_held *next;
    char name[200];
};

struct locks {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    struct locks_held *held;
};

int locks_new(struct locks **ret, struct err *err)
{
    struct locks *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    timedwait_init(&l->released);
    pthread_mutex_init(&l->mutex, NULL);
    *ret = l;
    return 0;
}

void locks_free(struct locks *l)
{
    if (!l)
        return;
    pthread_cond_destroy(&l->released);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

static struct locks_held *find(struct locks *l, const char *name)
{
    struct locks_held *h = l->held;
    while (h && strcasecmp(h->name, name) != 0)
        h = h->next;
    return h;
}

int locks_take(struct locks *l, const char *name, unsigned timeout_ms, struct locks_held **ret,
               struct err *err)
{
    _cleanup_free_ struct locks_held *h = calloc(1, sizeof *h);
    if (!h || strlen(name) >= sizeof h->name)
        return err_set(err, ENOMEM, "out of memory");
    h->locks = l;
    snprintf(h->name, sizeof h->name, "%s", name);

    struct timespec end = timedwait_end(timeout_ms);
    int late = 0;
    pthread_mutex_lock(&l->mutex);
    while (find(l, name) && late == 0)
        late = pthread_cond_timedwait(&l->released, &l->mutex, &end);
    bool busy = find(l, name) != NULL;
    if (!busy) {
        h->next = l->held;
        l->held = h;
    }
    pthread_mutex_unlock(&l->mutex);
    if (busy)
        return err_set(err, EBUSY, "another submission to %s is still at work: try again later",
                       name);
    *ret = steal_ptr(h);
    return 0;
}

void locks_release(struct locks_held *h)
{
    if (!h)
        return;
    struct locks *l = h->locks;
    pthread_mutex_lock(&l->mutex);
    struct locks_held **p = &l->held;
    while (*p != h)
        p = &(*p)->next;
    *p = h->next;
    pthread_cond_broadcast(&l->released);
    pthread_mutex_unlock(&l->mutex);
    free(h);
}
