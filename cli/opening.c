#include "opening.h"

#include "client.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"
#include "listener.h"
#include "submit.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SITE_WAIT_MS 60000
#define ASK_EVERY_MS 20

/* The site's URL as this machine reaches it, and as it is told to people. */
static int make_urls(const struct conf *conf, char *local, char *people, size_t len,
                     char *connect_to, size_t connect_len, struct err *err)
{
    char addr[256], port[8];
    bool tls = *conf->tls_listen != 0;
    const char *scheme = tls ? "https" : "http";
    int r = listener_split(tls ? conf->tls_listen : conf->server_listen, addr, sizeof(addr), port,
                           sizeof(port), err);
    if (r < 0)
        return r;
    if (!strcmp(port, tls ? "443" : "80"))
        snprintf(local, len, "%s://%s", scheme, conf->server_domain);
    else
        snprintf(local, len, "%s://%s:%s", scheme, conf->server_domain, port);
    snprintf(people, len, "%s", *conf->server_public_url ? conf->server_public_url : local);
    bool any4 = !strcmp(addr, "0.0.0.0"), any6 = !strcmp(addr, "::");
    snprintf(connect_to, connect_len, strchr(addr, ':') ? "[%s]:%s" : "%s:%s",
             any4   ? "127.0.0.1"
             : any6 ? "::1"
                    : addr,
             port);
    return 0;
}

static int wait_for_site(struct client *c, struct err *err)
{
    uint64_t deadline = mono_ms() + SITE_WAIT_MS;
    for (;;) {
        struct client_request rq = {.method = "GET",
                                    .path = "/healthz",
                                    .accept = "text/plain",
                                    .body_fd = -1,
                                    .timeout_ms = 5000};
        _cleanup_answer_ struct client_answer ans = {0};
        int r = client_send(c, &rq, &ans, err);
        if (r == 0 && ans.status == 200)
            return 0;
        if (mono_ms() > deadline)
            return r < 0 ? r : err_set(err, EIO, "the site answers with status %ld", ans.status);
        poll(NULL, 0, ASK_EVERY_MS);
    }
}

static int is_example(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Whether something has to be fetched for it. */
static bool needs_a_build(const char *path)
{
    static const char *const lists[] = {"requirements.txt", "packages.txt"};
    char file[4500];
    for (size_t i = 0; i < 2; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, lists[i]);
        if (access(file, F_OK) == 0)
            return true;
    }
    return false;
}

/* Those that need a build, or the others. One that does not come in is said; the others and the
 * system are not held up by it. */
static void bring_examples(struct client *c, const char *dir, bool with_build)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_example, alphasort);
    if (n < 0)
        log_warn(NULL, "up.examples", "cannot read %s: %m", dir);
    for (int i = 0; i < n; i++) {
        char path[4400], id[300];
        struct spacename name;
        struct err err = {0};
        struct progress p;
        _cleanup_json_ json_t *answer = NULL;
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        snprintf(id, sizeof(id), "examples/%s", names[i]->d_name);
        free(names[i]);
        if (needs_a_build(path) != with_build)
            continue;
        progress_begin_silent(&p);
        int r = spacename_parse(&name, id, &err);
        if (r == 0)
            r = submit(c, path, &name, true, &p, &answer, &err);
        if (r < 0)
            log_warn(NULL, "up.example", "%s: %s", id, err.msg);
        else
            log_info(NULL, "up.example", "%s is at %s", id, json_str(answer, "url"));
    }
    free(names);
}

static int print_login_link(struct client *c, struct err *err)
{
    struct client_request rq = {
        .method = "POST", .path = "/api/admin/login-link", .body_fd = -1, .timeout_ms = 10000};
    _cleanup_json_ json_t *answer = NULL;
    int r = client_json(c, &rq, &answer, err);
    if (r == 0)
        printf("admin: %s\n", json_str(answer, "url"));
    return r;
}

int opening_run(void *arg)
{
    const struct opening *o = arg;
    char local[600], people[600], connect_to[300];
    _cleanup_client_ struct client *c = NULL;
    struct err err = {0};
    int r = make_urls(o->conf, local, people, sizeof(local), connect_to, sizeof(connect_to), &err);
    if (r == 0)
        r = client_open_at(&c, local, o->data->token, connect_to, &err);
    if (r == 0)
        client_take_any_certificate(c);
    if (r == 0)
        r = wait_for_site(c, &err);
    if (r < 0) {
        log_error(NULL, "up.no_answer", "the site does not answer: %s", err.msg);
        return 1;
    }
    if (o->examples)
        bring_examples(c, o->examples_dir, false);
    if (o->data->first_start && print_login_link(c, &err) < 0)
        log_warn(NULL, "up.login_link", "no login link: %s; log in with the token of admin.token",
                 err.msg);
    size_t len = strlen(people);
    printf("ready: %s%s\n", people, len && people[len - 1] == '/' ? "" : "/");
    if (fflush(stdout) != 0)
        return 1;
    /* What these need comes from the internet, if it does: nobody waits for that. */
    if (o->examples)
        bring_examples(c, o->examples_dir, true);
    return 0;
}
