#include "supervise_own.h"

#include "accesslog.h"
#include "become.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "publics.h"
#include "tlskeep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum proto_role role;
} program_table[N_PROGRAMS] = {
    [GATEWAY] = {"vitrine-gateway", ROLE_GATEWAY},
    [RUNNER] = {"vitrine-runner", ROLE_RUNNER},
    [WEBUI] = {"vitrine-webui", ROLE_WEBUI},
};

/* Who talks to whom. */
static const struct {
    int a, b;
} peers[] = {{GATEWAY, RUNNER}, {WEBUI, RUNNER}};

int program_kind(int place)
{
    return place < N_PROGRAMS ? place : GATEWAY;
}

const char *program_name(int place)
{
    return program_table[program_kind(place)].name;
}

enum proto_role program_role(int place)
{
    return program_table[program_kind(place)].role;
}

void program_clear(struct program *p)
{
    *p = (struct program){.sup_fd = -1};
    for (int i = 0; i < CONF_THREADS_MAX; i++)
        p->site_dials[i] = -1;
}

void program_terminate(struct supervisor *v, int place)
{
    struct program *p = &v->programs[place];
    if (p->pid && !p->term_sent) {
        kill(p->pid, SIGTERM);
        p->term_sent = true;
    }
}

static int send_fd(struct supervisor *v, int program, enum proto_type type, enum proto_role role,
                   int fd, struct err *err)
{
    struct program *p = &v->programs[program];
    if (type == PROTO_SUP_LOG)
        return proto_send(p->sup_fd, type, NULL, &fd, 1, err);
    struct proto_sup_listener body = {.role = role};
    return proto_send(p->sup_fd, type, &body, &fd, 1, err);
}

/* One end of `n` pairs each; none where it fails. */
static int make_pairs(int *ours, int *theirs, unsigned n, struct err *err)
{
    int r = 0;
    unsigned made = 0;
    for (; made < n; made++) {
        int pair[2];
        r = proto_pair(pair, err);
        if (r < 0)
            break;
        ours[made] = pair[0];
        theirs[made] = pair[1];
    }
    for (; r < 0 && made > 0; made--) {
        close_fd(&ours[made - 1]);
        close_fd(&theirs[made - 1]);
    }
    return r;
}

static int send_peers(struct supervisor *v, int place, enum proto_role role, int *fds, unsigned n,
                      struct err *err)
{
    struct proto_sup_peer body = {.role = role};
    return proto_send(v->programs[place].sup_fd, PROTO_SUP_PEER, &body, fds, (int)n, err);
}

void program_close_site_dials(struct program *p)
{
    for (int i = 0; i < CONF_THREADS_MAX; i++)
        close_fd(&p->site_dials[i]);
}

int program_site_dial(struct supervisor *v, int place, struct err *err)
{
    struct program *p = &v->programs[place];
    int theirs[CONF_THREADS_MAX];
    program_close_site_dials(p);
    int r = make_pairs(p->site_dials, theirs, v->loops, err);
    if (r < 0)
        return r;
    r = send_peers(v, place, ROLE_SITE_DIAL, theirs, v->loops, err);
    for (unsigned i = 0; i < v->loops; i++)
        close_fd(&theirs[i]);
    return r;
}

int program_listen(struct supervisor *v, int place, struct err *err)
{
    const struct publics *all = v->s->publics;
    int r = 0;
    for (unsigned k = 0; r == 0 && k < all->n; k++) {
        struct proto_sup_listener body = {
            .role = ROLE_PUBLIC, .number = k, .flags = all->sockets[k].flags};
        r = proto_send(v->programs[place].sup_fd, PROTO_SUP_LISTENER, &body, &all->sockets[k].fd, 1,
                       err);
    }
    return r;
}

int program_certificates(struct supervisor *v, int place, struct err *err)
{
    if (!v->s->tls)
        return 0;
    _cleanup_close_ int fd = tlskeep_fd(v->s->tls, err);
    if (fd < 0)
        return fd;
    return proto_send(v->programs[place].sup_fd, PROTO_SUP_TLS, NULL, &fd, 1, err);
}

int program_log(struct supervisor *v, int place, struct err *err)
{
    int fd = v->s->access->fd;
    return fd < 0 ? 0 : send_fd(v, place, PROTO_SUP_LOG, ROLE_NONE, fd, err);
}

static int join_peers(struct supervisor *v, int a, int b, struct err *err)
{
    int of_a[CONF_THREADS_MAX], of_b[CONF_THREADS_MAX];
    unsigned n = program_kind(a) == GATEWAY ? v->loops : 1;
    int r = make_pairs(of_a, of_b, n, err);
    if (r < 0)
        return r;
    r = send_peers(v, a, program_role(b), of_a, n, err);
    if (r == 0)
        r = send_peers(v, b, program_role(a), of_b, n, err);
    for (unsigned i = 0; i < n; i++) {
        close_fd(&of_a[i]);
        close_fd(&of_b[i]);
    }
    return r;
}

static bool are_peers(int a, int b)
{
    for (size_t k = 0; k < sizeof(peers) / sizeof(*peers); k++)
        if (program_kind(a) == peers[k].a && program_kind(b) == peers[k].b)
            return true;
    return false;
}

/* Everything that the program in this place needs from us, and its peers because of it. One that
 * is to follow another gets the listening socket when it is ready (gateways.c). */
static void hand_over(struct supervisor *v, int place)
{
    struct err err = {0};
    int r = 0;
    if (program_kind(place) == GATEWAY)
        r = program_log(v, place, &err);
    if (r == 0 && program_kind(place) == GATEWAY)
        r = program_certificates(v, place, &err);
    if (r == 0 && place == GATEWAY)
        r = program_listen(v, place, &err);
    if (r == 0 && program_kind(place) == GATEWAY)
        r = program_site_dial(v, place, &err);
    if (place == WEBUI)
        r = send_fd(v, place, PROTO_SUP_LISTENER, ROLE_SITE, v->s->site_fd, &err);
    for (int other = 0; r == 0 && other < N_PLACES; other++) {
        if (v->programs[other].sup_fd < 0)
            continue;
        if (are_peers(place, other))
            r = join_peers(v, place, other, &err);
        else if (are_peers(other, place))
            r = join_peers(v, other, place, &err);
    }
    /* Whoever did not take it is dying; its successor gets all of it anew. */
    if (r < 0)
        log_warn(NULL, "up.hand_over", "%s: %s", program_name(place), err.msg);
}

/* Not one of those that run, or are just being looked into. */
static unsigned free_group(const struct supervisor *v, int place)
{
    unsigned group = 0;
    for (int other = 0; other < N_PLACES; other++) {
        const struct program *p = &v->programs[other];
        if (other != place && p->pid && p->group == group) {
            group++;
            other = -1;
        }
    }
    return group;
}

/* Gateway and webui begin pid namespaces, the one part of their sandboxes that they cannot make for
 * themselves (sandbox/service.h): where that fails, they go without. The sanitizers' runtime finds
 * itself in /proc by its own idea of its pid, so not there. */
static pid_t start_process(int place)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    if (program_kind(place) != RUNNER) {
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        if (pid >= 0)
            return pid;
        log_warn(NULL, "up.pid_namespace", "%s has no pid namespace of its own: %s",
                 program_name(place), strerror(errno));
    }
#else
    (void)place;
#endif
    return fork();
}

int program_start(struct supervisor *v, int place, struct err *err)
{
    struct program *p = &v->programs[place];
    unsigned group = free_group(v, place);
    int pair[2];
    /* A file of its own each time: the offset of a shared one would be shared too. */
    _cleanup_close_ int conf_fd = conf_to_fd(v->s->conf, err);
    if (conf_fd < 0)
        return conf_fd;
    int r = proto_pair(pair, err);
    if (r < 0)
        return r;
    bounds_make(v->bounds, program_role(place), group);
    pid_t pid = start_process(place);
    if (pid == 0) {
        bounds_join(v->bounds, program_role(place), group);
        become_program(v->s->program_dir, program_name(place), pair[1], conf_fd, &v->old_mask);
    }
    close_fd(&pair[1]);
    if (pid < 0) {
        r = err_errno(err, "cannot start %s", program_name(place));
        close_fd(&pair[0]);
        return r;
    }
    unsigned quick_deaths = p->quick_deaths;
    program_clear(p);
    p->pid = pid;
    p->sup_fd = pair[0];
    p->group = group;
    p->started_ms = mono_ms();
    p->quick_deaths = quick_deaths;
    log_info(NULL, "up.started", "%s is process %d", program_name(place), (int)pid);
    hand_over(v, place);
    return 0;
}
