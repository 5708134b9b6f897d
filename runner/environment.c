#include "runner/environment.h"

#include "common/cleanup.h"
#include "common/sealed.h"
#include "common/space_env.h"
#include "common/util.h"
#include "runner/runner.h"
#include "runner/site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int environment_open(struct runner *r, struct err *err)
{
    int n = keys_make(r->data, err);
    if (n == 0)
        n = keys_read(r->data, "box.pub", r->box_pub, sizeof(r->box_pub), err);
    return n < 0 ? n : keys_read(r->data, "box.key", r->box_key, sizeof(r->box_key), err);
}

/* What is set already must not be there twice: which one counts would be the program's guess. */
static void take_out(char *list, uint32_t *len, const char *name)
{
    size_t name_len = strlen(name);
    for (char *p = list, *end = list + *len; p < end;) {
        size_t n = strlen(p) + 1;
        if (strncmp(p, name, name_len) == 0 && p[name_len] == '=') {
            memmove(p, p + n, (size_t)(end - p) - n);
            *len -= (uint32_t)n;
            return;
        }
        p += n;
    }
}

static bool is_set(const struct proto_start *start, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t at = 0; at < start->env_len; at += (uint32_t)strlen(start->env + at) + 1)
        if (strncmp(start->env + at, name, len) == 0 && start->env[at + len] == '=')
            return true;
    return false;
}

struct adding {
    struct runner *r;
    uint64_t space_id;
    bool secrets;
    bool builds; /* it is a build's */
    struct proto_start *start;
    uint32_t count;
};

static int add_one(void *arg, const char *name, const char *value, struct err *err)
{
    struct adding *a = arg;
    _cleanup_secret_ char *opened = NULL;
    if (space_env_check_name(name, NULL) < 0) /* nobody could have set it on the site */
        return 0;
    if (a->secrets &&
        sealed_open(a->r->box_pub, a->r->box_key, a->space_id, name, value, &opened, err) < 0) {
        if (err && err->code == EBADMSG)
            err_set(err, EBADMSG,
                    "its secret %s cannot be opened: it was sealed to another server's key or for "
                    "another Space; set it anew",
                    name);
        return err ? -err->code : -EBADMSG;
    }
    if (a->builds && (!space_env_is_for_builds(name) || is_set(a->start, name)))
        return 0;
    take_out(a->start->env, &a->start->env_len, name);
    const char *text_value = a->secrets ? opened : value;
    size_t size = space_env_bytes(name, strlen(text_value));
    _cleanup_secret_ char *text = malloc(size); /* by ourselves: asprintf leaves copies behind */
    if (!text)
        return err_set(err, ENOMEM, "no memory for the environment");
    snprintf(text, size, "%s=%s", name, text_value);
    int n = proto_list_add(a->start->env, &a->start->env_len, sizeof(a->start->env), text);
    a->count += n == 0;
    return n < 0 ? err_set(err, EMSGSIZE, "its secrets and variables are too large together") : 0;
}

static int add_all(struct proto_start *start, struct runner *r, uint64_t space_id, bool secrets,
                   bool builds, struct err *err)
{
    struct adding a = {
        .r = r, .space_id = space_id, .secrets = secrets, .builds = builds, .start = start};
    int n = site_env_each(r, space_id, secrets, add_one, &a, err);
    if (secrets)
        start->secrets = a.count;
    return n;
}

int environment_add_variables(struct proto_start *start, struct runner *r, uint64_t space_id,
                              struct err *err)
{
    return add_all(start, r, space_id, false, true, err);
}

struct listing {
    struct buf all; /* NAME=VALUE and a NUL, of each */
    struct buf *given, *left_out;
};

static int list_one(void *arg, const char *name, const char *value, struct err *err)
{
    struct listing *l = arg;
    if (space_env_check_name(name, NULL) < 0)
        return 0;
    bool given = space_env_is_for_builds(name);
    struct buf *names = given ? l->given : l->left_out;
    int n = buf_printf(names, "%s%s", names->len ? ", " : "", name);
    if (n >= 0 && given)
        n = buf_printf(&l->all, "%s=%s", name, value) < 0 ? -ENOMEM : buf_append(&l->all, "", 1);
    return n < 0 ? err_set(err, ENOMEM, "no memory for the environment") : 0;
}

int environment_of_build(struct runner *r, uint64_t space_id, char digest[65], struct buf *given,
                         struct buf *left_out, struct err *err)
{
    struct listing l = {.all = BUF_INIT(2 * SPACE_ENV_BYTES), .given = given, .left_out = left_out};
    digest[0] = 0;
    int n = site_env_each(r, space_id, false, list_one, &l, err);
    if (n == 0 && l.all.len)
        sha256_hex(l.all.data, l.all.len, digest);
    buf_free(&l.all);
    return n;
}

int environment_add(struct proto_start *start, struct runner *r, uint64_t space_id, struct err *err)
{
    int n = add_all(start, r, space_id, false, false, err);
    return n < 0 ? n : add_all(start, r, space_id, true, false, err);
}

void environment_forget(struct proto_start *start)
{
    explicit_bzero(start->env, start->env_len);
    start->env_len = start->secrets = 0;
}
