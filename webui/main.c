/* vitrine-webui: the site. Gallery, Space pages, submission, admin, and the JSON API.
 *
 * It serves HTTP with libmicrohttpd on a Unix socket that `vitrine up` holds: the gateway in front
 * is its only client. Each connection has a thread, so a handler may simply wait: for a job, for a
 * command, for the next line of a log. The gateway bounds how many there are.
 *
 *   connection threads   http.c finds the route (routes.c), checks who asks (auth.c) before a byte
 *                        of the body is read, takes the body (upload.c, form.c), calls a handler
 *                        (api_*.c, page*.c). Endless answers are stream.c's.
 *   link.c's thread      owns the socket to the runner: answers, changes of Spaces (hub.c wakes the
 *                        streams that look at them) and numbers of workers (stats.c).
 *   this one             waits for messages of `up` and for SIGTERM.
 *
 * Before it serves anybody it confines itself (sandbox/service.h): site.db is open by then and
 * stays a few descriptors; what it can still open by name are life.db for reading and its uploads.
 * Its threads come afterwards.
 *
 * The site starts nothing and reads no bundle. What people submit is kept in a nameless file and
 * unpacked by a job sandbox of the runner's; what is to happen is a row in site.db's `commands`,
 * and what happened is read from life.db. So it can be killed at any moment: a submission that was
 * answered is in the database, one that was not leaves nothing (submit.c).
 *
 * The end of the file on descriptor 3 means that `up` is gone: then it ends as well. */
#include "common/cleanup.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/service.h"
#include "common/util.h"
#include "sandbox/service.h"
#include "webui/app.h"
#include "webui/auth.h"
#include "webui/http.h"
#include "webui/hub.h"
#include "webui/life.h"
#include "webui/link.h"
#include "webui/locks.h"
#include "webui/markdown.h"
#include "webui/resume.h"
#include "webui/site.h"
#include "webui/stats.h"
#include "webui/submit.h"
#include "webui/thumbnail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define CONNECTION_MEMORY (128 * 1024)
#define THREAD_STACK (1024 * 1024)
#define STOP_SECONDS 3
#define LOOK_MS 5000 /* whether life.db is still the one that it sees */

static void join_path(char out[4096], const char *folder, const char *name)
{
    snprintf(out, 4096, "%s/%s", folder, name);
}

/* What takes rights that it gives up then. */
static int open_own(struct app *app, struct err *err)
{
    const char *data = app->conf->server_data;
    char path[4096];
    int r = urls_init(&app->urls, app->conf, err);
    if (r < 0)
        return r;
    r = keys_read(data, "box.pub", app->box_pub, sizeof app->box_pub, err);
    if (r == -ENOENT) /* `up` has made it; without `up`, whoever comes first */
        r = keys_make(data, err);
    if (r == 0)
        r = keys_read(data, "box.pub", app->box_pub, sizeof app->box_pub, err);
    if (r == 0)
        r = keys_read(data, "visit.key", app->visit_key, sizeof app->visit_key, err);
    if (r < 0)
        return r;
    join_path(path, data, "site.db");
    if ((r = site_open(&app->site, path, err)) < 0)
        return r;
    join_path(path, data, "admin.token");
    return auth_new(&app->auth, app->site, path, err);
}

/* From here on its root holds life.db, which it cannot write, and the uploads (SECURITY.md says
 * what that leaves). */
static int confine(const struct conf *conf, struct err *err)
{
    struct service_paths paths;
    struct service_plan plan;
    service_plan_webui(&plan, &paths, conf->server_data);
    plan.uid_first = (uint32_t)conf->sandbox_uid_first;
    /* Confined in part it could not serve: it would be another uid and still need its files. */
    if (!conf->sandbox_require_services && service_try(&plan, err) < 0) {
        log_warn(NULL, "site.unconfined", "not in a sandbox of its own: %s", err->msg);
        return 0;
    }
    int r = service_confine(&plan, err);
    return r < 0 ? err_prefix(err, -r,
                              "cannot confine itself; `vitrine check` says what is missing, and "
                              "[sandbox] require_services = false serves without")
                 : 0;
}

static int open_rest(struct app *app, struct err *err)
{
    const char *data = app->conf->server_data;
    char path[4096];
    join_path(path, data, "uploads");
    app->uploads_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (app->uploads_fd < 0)
        return err_errno(err, "cannot open %s", path);
    join_path(path, data, "life.db");
    int r = life_open(&app->life, path, err);
    if (r < 0 || (r = hub_new(&app->hub, err)) < 0 || (r = stats_new(&app->stats, err)) < 0 ||
        (r = locks_new(&app->locks, err)) < 0 || (r = thumbnails_new(&app->thumbnails, err)) < 0 ||
        (r = resume_store_new(&app->resume, app, err)) < 0)
        return r;
    return link_start(&app->link, app, err);
}

static void close_all(struct app *app)
{
    link_free(app->link);
    resume_store_free(app->resume);
    locks_free(app->locks);
    thumbnails_free(app->thumbnails);
    stats_free(app->stats);
    hub_free(app->hub);
    auth_free(app->auth);
    life_close(app->life);
    site_close(app->site);
    close_fd(&app->uploads_fd);
}

static void log_mhd(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = 0;
    log_debug(NULL, "http", "%s", line);
}

static struct MHD_Daemon *serve(struct app *app, int listener, struct err *err)
{
    int r = fd_set_nonblock(listener, true);
    if (r < 0) {
        err_set(err, -r, "the listening socket: %s", strerror(-r));
        return NULL;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, NULL, NULL, http_access, app, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, http_uri, app, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_NOTIFY_COMPLETED, http_completed, app, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_END);
    if (!daemon)
        err_set(err, EIO, "libmicrohttpd does not start");
    return daemon;
}

/* One message of `up`: 1 go on, 0 it is gone, negative errno. */
static int from_supervisor(struct service *s, struct app *app, struct MHD_Daemon **daemon,
                           struct proto_msg *m, struct err *err)
{
    int r = proto_recv(s->sup_fd, m, 0, err);
    if (r != 1)
        return r == -EAGAIN ? 1 : r;
    if (m->type == PROTO_SUP_PEER && m->n_fds == 1 && m->u.sup_peer.role == ROLE_RUNNER) {
        link_set_peer(app->link, steal_fd(&m->fds[0]));
    } else if (m->type == PROTO_SUP_LISTENER && m->n_fds == 1 &&
               m->u.sup_listener.role == ROLE_SITE && !*daemon) {
        *daemon = serve(app, m->fds[0], err);
        if (*daemon) {
            (void)steal_fd(&m->fds[0]); /* the daemon's, until it is asked back */
            r = service_ready(s, err);
            r = r < 0 ? r : 1;
        } else {
            r = -EIO;
        }
    } else {
        log_warn(NULL, "up.message", "unexpected %s", proto_type_name(m->type));
    }
    proto_msg_done(m);
    return r;
}

static int run(struct service *s, struct app *app, int signals, struct MHD_Daemon **daemon,
               struct err *err)
{
    _cleanup_free_ struct proto_msg *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, ENOMEM, "out of memory");
    int r = 1;
    while (r == 1) {
        struct pollfd p[2] = {{s->sup_fd, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(p, 2, LOOK_MS) < 0 && errno != EINTR)
            return err_errno(err, "poll");
        if (life_is_replaced(app->life))
            return err_set(
                err, ESTALE,
                "life.db is another file than before, or closed; webui starts again to see it");
        if (p[1].revents)
            return 0;
        if (p[0].revents)
            r = from_supervisor(s, app, daemon, m, err);
    }
    return r;
}

/* Those who wait are told, streams end, threads are joined. The listening socket is not ours: the
 * next one goes on with it. */
static void stop(struct app *app, struct MHD_Daemon *daemon)
{
    alarm(STOP_SECONDS); /* whatever hangs: this ends */
    app->stopping = true;
    if (app->link)
        link_stop(app->link);
    if (app->hub)
        hub_publish(app->hub, 0);
    if (!daemon)
        return;
    int listener = MHD_quiesce_daemon(daemon);
    MHD_stop_daemon(daemon);
    close_fd(&listener);
}

/* The first process of a pid namespace is not ended by a signal that it does not handle. */
static void on_alarm(int sig)
{
    (void)sig;
    _exit(1);
}

int main(void)
{
    struct err err = {0};
    struct service service;
    if (service_init(&service, "vitrine-webui", &err) < 0) {
        dprintf(2, "vitrine-webui: %s\n", err.msg);
        return 1;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    _cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGALRM, on_alarm);
    markdown_init();

    struct app app = {.conf = &service.conf, .uploads_fd = -1};
    struct MHD_Daemon *daemon = NULL;
    pthread_t leftovers;
    bool joinable = false;
    int r = sodium_init() < 0 ? err_set(&err, EIO, "libsodium does not start") : 0;
    if (r == 0)
        r = open_own(&app, &err);
    if (r == 0)
        r = confine(app.conf, &err);
    if (r == 0)
        r = open_rest(&app, &err);
    if (r == 0)
        r = submit_finish_leftovers(&app, &leftovers, &err);
    if (r == 0) {
        joinable = true;
        r = run(&service, &app, signals, &daemon, &err);
    }
    if (r < 0)
        log_error(NULL, "site.end", "%s", err.msg);
    stop(&app, daemon);
    if (joinable)
        pthread_join(leftovers, NULL);
    close_all(&app);
    conf_free(&service.conf);
    return r < 0;
}
