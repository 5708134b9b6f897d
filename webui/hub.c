#include "webui/hub.h"

#include "common/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

struct hub_sub {
    struct hub *hub;
    struct hub_sub *next, **link;
    int64_t space_id;
    int fd;
};

struct hub {
    pthread_mutex_t lock;
    struct hub_sub *subs;
};

int hub_new(struct hub **ret, struct err *err)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&h->lock, NULL);
    *ret = h;
    return 0;
}

void hub_free(struct hub *h)
{
    if (h)
        pthread_mutex_destroy(&h->lock);
    free(h);
}

int hub_subscribe(struct hub *h, int64_t space_id, struct hub_sub **ret, struct err *err)
{
    _cleanup_free_ struct hub_sub *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0)
        return err_errno(err, "eventfd");
    s->hub = h;
    s->space_id = space_id;
    pthread_mutex_lock(&h->lock);
    s->next = h->subs;
    s->link = &h->subs;
    if (s->next)
        s->next->link = &s->next;
    h->subs = s;
    pthread_mutex_unlock(&h->lock);
    *ret = steal_ptr(s);
    return 0;
}

void hub_unsubscribe(struct hub_sub *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->hub->lock);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    pthread_mutex_unlock(&s->hub->lock);
    close(s->fd);
    free(s);
}

int hub_fd(const struct hub_sub *s)
{
    return s->fd;
}

void hub_seen(struct hub_sub *s)
{
    eventfd_t n;
    (void)eventfd_read(s->fd, &n);
}

void hub_publish(struct hub *h, int64_t space_id)
{
    pthread_mutex_lock(&h->lock);
    for (struct hub_sub *s = h->subs; s; s = s->next)
        if (space_id == 0 || s->space_id == 0 || s->space_id == space_id)
            (void)eventfd_write(s->fd, 1);
    pthread_mutex_unlock(&h->lock);
}
