/* See indexes.h. */
#include "runner/indexes.h"

#include "common/assets.h"
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/hostlist.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/util.h"
#include "runner/egress.h"
#include "runner/runner.h"
#include "runner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define FRESH_MS 60000
#define WAIT_MS 5000
#define MAX_ANSWER (256 * 1024)
#define LINKS "/run/vitrine/links/" /* as static/indexes.py has it */
#define CA_PLACE "/run/vitrine/ca.pem"
#define CA_FOLDER "/etc/ssl/certs/" /* sandboxes have it */

extern const struct asset runner_assets[];

struct indexes {
    uint64_t read_ms; /* when it was begun; 0: never */
    int pidfd, answer;
    struct buf text; /* the lines of the last good reading */
};

static struct indexes *of(struct runner *r)
{
    if (!r->indexes && (r->indexes = calloc(1, sizeof(*r->indexes))))
        *r->indexes = (struct indexes){.pidfd = -1, .answer = -1, .text = BUF_INIT(MAX_ANSWER)};
    return r->indexes;
}

static int spawn(struct runner *r, struct indexes *x, char *script)
{
    char *argv[] = {"python3", "-I", "-c", script, NULL}, *env[512], own[4200], links[4200];
    size_t n = 0;
    const char *index = conf_of(r)->build_index, *folder = conf_of(r)->build_find_links;
    for (char **e = environ; *e && n < 500; e++)
        env[n++] = *e;
    if (index[0] && strcmp(index, "none") != 0) {
        snprintf(own, sizeof(own), "VITRINE_BUILD_INDEX=%s", index);
        env[n++] = own;
    }
    if (folder[0]) {
        snprintf(links, sizeof(links), "VITRINE_BUILD_LINKS=%s", folder);
        env[n++] = links;
    }
    env[n] = NULL;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, x->answer, 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int pidfd = spawn_program(conf_of(r)->sandbox_python, &files, argv, env, NULL);
    if (pidfd < 0)
        return pidfd;
    x->pidfd = pidfd;
    return 0;
}

void indexes_begin(struct runner *r)
{
    struct indexes *x = of(r);
    const struct asset *script = asset_find(runner_assets, "static/indexes.py");
    if (!x || !script || x->pidfd >= 0 || (x->read_ms && mono_ms() - x->read_ms < FRESH_MS))
        return;
    x->read_ms = mono_ms();
    close_fd(&x->answer);
    x->answer = memfd_create("vitrine-indexes", MFD_CLOEXEC);
    int code = x->answer < 0 ? -errno : spawn(r, x, (char *)script->data);
    if (code < 0)
        log_warn(NULL, "build.indexes",
                 "cannot start %s: %s; the defaults of pip and npm are taken",
                 conf_of(r)->sandbox_python, strerror(-code));
}

static void take_warnings(const struct buf *text)
{
    const char *at = text->data;
    for (const char *nl; at && (nl = strchr(at, '\n')); at = nl + 1)
        if (strncmp(at, "warning ", 8) == 0)
            log_warn(NULL, "build.indexes", "%.*s", (int)(nl - at - 8), at + 8);
}

/* The answer, once it is there. Usually it is: a build begins with other work. */
static const struct buf *text_of(struct runner *r)
{
    static const struct buf empty;
    struct indexes *x = of(r);
    siginfo_t info = {0};
    if (!x)
        return &empty;
    if (!x->read_ms)
        indexes_begin(r);
    if (x->pidfd < 0)
        return &x->text;
    struct pollfd p = {.fd = x->pidfd, .events = POLLIN};
    if (poll(&p, 1, WAIT_MS) <= 0)
        pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)x->pidfd, &info, WEXITED);
    close_fd(&x->pidfd);
    struct buf fresh = BUF_INIT(MAX_ANSWER);
    if (info.si_code != CLD_EXITED || info.si_status || lseek(x->answer, 0, SEEK_SET) < 0 ||
        buf_read_fd(&fresh, x->answer) < 0) {
        log_warn(NULL, "build.indexes", "the configuration of pip, uv and npm could not be read");
        buf_free(&fresh);
    } else {
        buf_free(&x->text);
        x->text = fresh;
        take_warnings(&x->text);
    }
    close_fd(&x->answer);
    return &x->text;
}

bool indexes_are_ready(struct runner *r)
{
    const struct indexes *x = of(r);
    if (!x || (x->read_ms && x->pidfd < 0) || (x->read_ms && mono_ms() - x->read_ms > WAIT_MS))
        return true;
    struct pollfd p = {.fd = x->pidfd, .events = POLLIN};
    return x->pidfd >= 0 && poll(&p, 1, 0) > 0;
}

/* The next line that begins with that word: its rest in `out`; false at the end. */
static bool next_line(const char **at, const char *word, char *out, size_t size)
{
    size_t n = strlen(word);
    for (const char *nl; *at && (nl = strchr(*at, '\n'));) {
        const char *line = *at;
        *at = nl + 1;
        if (strncmp(line, word, n) == 0 && line[n] == ' ' && (size_t)(nl - line) - n < size) {
            snprintf(out, size, "%.*s", (int)(nl - line - (ptrdiff_t)n - 1), line + n + 1);
            return true;
        }
    }
    return false;
}

struct hosts {
    struct buf *out;
    const char *more;
};

static int add_host(void *arg, const struct hostlist_entry *e)
{
    const struct hosts *h = arg;
    return e->port ? buf_printf(h->out, "allow %s %u%s\n", e->host, e->port, h->more)
                   : buf_printf(h->out, "allow %s 443,80%s\n", e->host, h->more);
}

static bool find_ca(const struct buf *text, char *out, size_t size)
{
    const char *at = text->data;
    return next_line(&at, "ca", out, size);
}

/* The first line about a host counts: those that may be inside before those that may not. */
static int add_operators(struct runner *r, struct buf *out)
{
    const struct conf *c = conf_of(r);
    char line[4096];
    int n = find_ca(text_of(r), line, sizeof(line)) ? buf_printf(out, "ca %s\n", line) : 0;
    if (n == 0)
        n = hostlist_each(c->build_inside_hosts, "", add_host, &(struct hosts){out, " inside"},
                          NULL);
    if (n == 0)
        n = hostlist_each(c->build_hosts, "", add_host, &(struct hosts){out, ""}, NULL);
    return n ? n
             : buf_printf(out, "connections %llu\nbytes %llu\n",
                          (unsigned long long)c->build_connections,
                          (unsigned long long)c->build_max_transfer);
}

int indexes_policy(struct runner *r, struct buf *out)
{
    char line[4096];
    int n = 0;
    const char *at = text_of(r)->data;
    while (n == 0 && next_line(&at, "policy", line, sizeof(line)))
        n = buf_printf(out, "%s\n", line);
    return n ? n : add_operators(r, out);
}

int indexes_policy_hosts(struct runner *r, struct buf *out)
{
    char line[4096];
    int n = 0;
    const char *at = text_of(r)->data;
    while (n == 0 && next_line(&at, "policy", line, sizeof(line)))
        if (strncmp(line, "proxy ", 6) == 0 || strncmp(line, "no_proxy ", 9) == 0)
            n = buf_printf(out, "%s\n", line);
    return n ? n : add_operators(r, out);
}

int indexes_fill(struct runner *r, struct proto_start *start)
{
    static const char *const fixed[] = {
        "http_proxy=" EGRESS_URL,
        "https_proxy=" EGRESS_URL,
        "HTTP_PROXY=" EGRESS_URL,
        "HTTPS_PROXY=" EGRESS_URL,
        "no_proxy=127.0.0.1,::1",
        "NO_PROXY=127.0.0.1,::1",
        "PIP_RETRIES=3",
        "PIP_NO_INPUT=1",
        "PIP_DISABLE_PIP_VERSION_CHECK=1",
        "npm_config_update_notifier=false",
        "npm_config_fund=false",
        "npm_config_audit=false",
    };
    const struct buf *text = text_of(r);
    char line[4096], more[4200];
    int n = 0;
    for (size_t i = 0; n == 0 && i < sizeof(fixed) / sizeof(*fixed); i++)
        n = proto_list_add(start->env, &start->env_len, sizeof(start->env), fixed[i]);
    const char *at = text->data;
    while (n == 0 && next_line(&at, "env", line, sizeof(line)))
        n = proto_list_add(start->env, &start->env_len, sizeof(start->env), line);
    at = text->data;
    for (unsigned i = 0; n == 0 && next_line(&at, "links", line, sizeof(line)); i++) {
        snprintf(more, sizeof(more), "ro:%s:" LINKS "%u", line, i);
        n = proto_list_add(start->mounts, &start->mounts_len, sizeof(start->mounts), more);
    }
    return n ? n : indexes_fill_trust(r, start);
}

int indexes_fill_trust(struct runner *r, struct proto_start *start)
{
    static const char *const trusting[] = {"SSL_CERT_FILE",       "PIP_CERT",
                                           "REQUESTS_CA_BUNDLE",  "CURL_CA_BUNDLE",
                                           "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"};
    char line[4096], more[4200];
    int n = 0;
    if (!find_ca(text_of(r), line, sizeof(line)))
        return 0;
    bool there = strncmp(line, CA_FOLDER, strlen(CA_FOLDER)) == 0;
    if (!there) {
        snprintf(more, sizeof(more), "ro:%s:" CA_PLACE, line);
        n = proto_list_add(start->mounts, &start->mounts_len, sizeof(start->mounts), more);
    }
    for (size_t i = 0; n == 0 && i < sizeof(trusting) / sizeof(*trusting); i++) {
        snprintf(more, sizeof(more), "%s=%s", trusting[i], there ? line : CA_PLACE);
        n = proto_list_add(start->env, &start->env_len, sizeof(start->env), more);
    }
    return n;
}

void indexes_identity(struct runner *r, struct buf *out)
{
    const char *at = text_of(r)->data;
    char line[4096];
    while (next_line(&at, "env", line, sizeof(line)))
        (void)buf_printf(out, "%s\n", line);
}

void indexes_free(struct runner *r)
{
    struct indexes *x = r->indexes;
    if (!x)
        return;
    if (x->pidfd >= 0) {
        pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
        waitid(P_PIDFD, (id_t)x->pidfd, NULL, WEXITED);
        close_fd(&x->pidfd);
    }
    close_fd(&x->answer);
    if (x->text.data)
        explicit_bzero(x->text.data, x->text.len);
    buf_free(&x->text);
    free(x);
    r->indexes = NULL;
}
