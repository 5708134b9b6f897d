#include "loop.h"

#include "access.h"
#include "client.h"
#include "crew.h"
#include "runner.h"
#include "tally.h"
#include "tlsserver.h"
#include "trust.h"
#include "visit.h"
#include "worker.h"
#include "common/cleanup.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#define BATCH 128

static void lower_copy(char *out, size_t size, const char *s)
{
    size_t i = 0;
    for (; s[i] && i + 1 < size; i++)
        out[i] = (char)tolower((unsigned char)s[i]);
    out[i] = '\0';
}

/* Of the site, as browsers write it. */
static void set_origin(struct loop *l)
{
    const char *url = l->conf->server_public_url, *port = strrchr(l->conf->server_listen, ':');
    const char *host = strstr(url, "://");
    if (host)
        snprintf(l->site_origin, sizeof(l->site_origin), "%.*s",
                 (int)(host - url + 3) + (int)strcspn(host + 3, "/"), url);
    else
        snprintf(l->site_origin, sizeof(l->site_origin), "http://%s%s", l->domain,
                 port && strcmp(port, ":80") != 0 ? port : "");
}

/* Where the site has an https: URL, its port is the one that visitors know. */
static void set_https(struct loop *l)
{
    const struct conf *conf = l->conf;
    const char *origin = l->site_origin, *port = strrchr(conf->tls_listen, ':');

    if (!port)
        return;
    l->to_https = conf->tls_redirect;
    if (strncmp(origin, "https://", 8) == 0)
        port = strrchr(origin + 8, ':');
    if (port && strcmp(port, ":443") != 0)
        snprintf(l->https_port, sizeof(l->https_port), "%.6s", port);
    if (conf->tls_hsts >= 1000)
        snprintf(l->hsts, sizeof(l->hsts), "Strict-Transport-Security: max-age=%llu\r\n",
                 (unsigned long long)(conf->tls_hsts / 1000));
}

static void on_alarm(struct loop *l, struct io *io, uint32_t events)
{
    (void)io;
    (void)events;
    l->alarm_ms = UINT64_MAX; /* the round that runs now fires what is due */
}

static int alarm_new(struct loop *l, struct err *err)
{
    l->alarm_ms = UINT64_MAX;
    l->alarm.on_event = on_alarm;
    l->alarm.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->alarm.fd < 0)
        return err_errno(err, "cannot make a timer descriptor");
    /* edge-triggered: to set it anew takes away what it had to say */
    int r = loop_add_level(l, &l->alarm, EPOLLIN | EPOLLET);
    return r < 0 ? err_set(err, -r, "cannot watch a timer descriptor") : 0;
}

/* A time limit for epoll_wait would be a timer in the kernel for each sleep, begun and cancelled:
 * deadlines are seconds away, and sleeps are microseconds. One that comes too early, since what it
 * was for was cancelled, does no harm. */
static void set_alarm(struct loop *l)
{
    uint64_t due_ms = timer_due_ms(l->wheel);
    if (due_ms >= l->alarm_ms)
        return;
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due_ms / 1000),
                                         .tv_nsec = (long)(due_ms % 1000) * 1000000}};
    if (timerfd_settime(l->alarm.fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
        l->alarm_ms = due_ms;
}

int loop_new(struct loop **ret, const struct conf *conf, struct crew *crew, unsigned number,
             struct err *err)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(err, ENOMEM, "no memory for the event loop");
    l->conf = conf;
    l->crew = crew;
    l->number = number;
    l->limits = crew->limits;
    l->inbox.fd = l->alarm.fd = -1;
    gbuf_pool_init(&l->bufs, crew->n);
    l->idle_max = ((uint32_t)conf->gateway_upstream_idle + crew->n - 1) / crew->n;
    for (int i = 0; i < PROTO_LISTENERS; i++)
        l->listeners[i].io.fd = -1;
    l->now_us = mono_us();
    l->now_ms = l->now_us / 1000;
    list_init(&l->ready);
    list_init(&l->clients);
    acme_init(&l->challenges, (uint64_t)number << LOOP_ID_SHIFT);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        int r = err_errno(err, "cannot make an epoll descriptor");
        loop_free(l);
        return r;
    }
    l->wheel = malloc(sizeof(*l->wheel));
    if (!l->wheel) {
        loop_free(l);
        return err_set(err, ENOMEM, "no memory for the event loop");
    }
    timer_wheel_init(l->wheel, l->now_ms);

    const char *demos =
        conf->server_demo_domain[0] ? conf->server_demo_domain : conf->server_domain;
    lower_copy(l->domain, sizeof(l->domain), conf->server_domain);
    l->demo_suffix[0] = '.';
    lower_copy(l->demo_suffix + 1, sizeof(l->demo_suffix) - 1, demos);
    l->domain_len = strlen(l->domain);
    l->demo_suffix_len = strlen(l->demo_suffix);
    set_origin(l);
    set_https(l);

    int r = alarm_new(l, err);
    if (r == 0)
        r = tallies_new(l, err);
    if (r == 0)
        r = routes_new(l, err);
    if (r == 0)
        r = workers_new(l, err);
    if (r == 0)
        r = runner_new(l, err);
    if (r == 0)
        r = visits_new(l, err);
    if (r == 0)
        r = access_new(l, err);
    if (r == 0)
        r = trust_new(l, err);
    if (r == 0 && conf->tls_listen[0])
        r = tlsserver_new(&l->tls, conf, err);
    if (r < 0) {
        loop_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

static void free_buried(struct loop *l)
{
    while (l->buried) {
        struct io *io = l->buried;
        l->buried = io->next_buried;
        io->on_free(l, io);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    while (!list_empty(&l->clients))
        client_close(container_of(l->clients.next, struct client, all), false);
    if (l->tallies)
        tallies_flush(l);
    if (l->workers)
        workers_free(l);
    if (l->routes)
        routes_free(l);
    if (l->runner)
        runner_free(l);
    visits_free(l);
    access_free(l);
    tallies_free(l);
    trust_free(l);
    free_buried(l);
    while (l->free_clients) {
        struct client *c = l->free_clients;
        l->free_clients = c->next_free;
        free(c);
    }
    gbuf_pool_free(&l->bufs);
    for (int i = 0; i < PROTO_LISTENERS; i++)
        loop_close(l, &l->listeners[i].io);
    close_fd(&l->inbox.fd);
    close_fd(&l->alarm.fd);
    tlsserver_free(l->tls);
    close_fd(&l->epoll_fd);
    free(l->wheel);
    free(l);
}

int loop_add(struct loop *l, struct io *io)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = io};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) < 0 ? -errno : 0;
}

int loop_add_level(struct loop *l, struct io *io, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) < 0 ? -errno : 0;
}

int loop_mod_level(struct loop *l, struct io *io, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) < 0 ? -errno : 0;
}

int loop_watch(struct loop *l, struct listener *listener)
{
    return loop_add_level(l, &listener->io, EPOLLIN | EPOLLEXCLUSIVE);
}

void loop_unwatch(struct loop *l, struct listener *listener)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, listener->io.fd, NULL);
}

void loop_close(struct loop *l, struct io *io)
{
    if (io->fd < 0)
        return;
    /* close() alone does not unregister a socket of which somebody holds a duplicate */
    if (io->shared)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    close_fd(&io->fd);
}

void loop_bury(struct loop *l, struct io *io, void (*on_free)(struct loop *, struct io *))
{
    io->on_free = on_free;
    io->next_buried = l->buried;
    l->buried = io;
}

static void run_ready(struct loop *l)
{
    struct link turn;
    list_move_all(&turn, &l->ready);
    while (!list_empty(&turn)) {
        struct client *c = container_of(turn.next, struct client, ready);
        list_remove(&c->ready);
        client_step(c);
    }
}

/* An idle connection that has ended, or that speaks, must be known as such before somebody else's
 * event gives it a request. */
static void end_idle(struct loop *l, struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct io *io = events[i].data.ptr;
        if (io->idle && io->fd >= 0) {
            io->on_event(l, io, events[i].events);
            events[i].events = 0;
        }
    }
}

int loop_run(struct loop *l, struct err *err)
{
    struct epoll_event events[BATCH];

    while (!l->over) {
        set_alarm(l);
        int n = epoll_wait(l->epoll_fd, events, BATCH, list_empty(&l->ready) ? -1 : 0);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "epoll_wait failed");
        l->now_us = mono_us();
        l->now_ms = l->now_us / 1000;
        l->all_told = n < BATCH;
        if (n > 1)
            end_idle(l, events, n);
        for (int i = 0; i < n; i++) {
            struct io *io = events[i].data.ptr;
            if (io->fd >= 0 && events[i].events)
                io->on_event(l, io, events[i].events);
        }
        run_ready(l);
        timer_run(l->wheel, l->now_ms);
        free_buried(l);
    }
    return 0;
}

/* A clock that is set meanwhile is heeded within a second. */
const char *loop_date(struct loop *l)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct timespec ts;
    struct tm tm;

    if (l->now_us < l->date_until_us)
        return l->date;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    snprintf(l->date, sizeof(l->date), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
             tm.tm_mday % 100, months[tm.tm_mon], (tm.tm_year + 1900) % 10000, tm.tm_hour % 100,
             tm.tm_min % 100, tm.tm_sec % 100);
    l->date_until_us = l->now_us + (uint64_t)(1000000 - ts.tv_nsec / 1000);
    return l->date;
}
