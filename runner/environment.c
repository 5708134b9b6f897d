#include "runner/environment.h"

#include "common/cleanup.h"
#include "common/sealed.h"
#include "common/space_env.h"
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

struct adding {
    struct runner *r;
    uint64_t space_id;
    bool secrets;
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
                   struct err *err)
{
    struct adding a = {.r = r, .space_id = space_id, .secrets = secrets, .start = start};
    int n = site_env_each(r, space_id, secrets, add_one, &a, err);
    if (secrets)
        start->secrets = a.count;
    return n;
}

int environment_add_variables(struct proto_start *start, struct runner *r, uint64_t space_id,
                              struct err *err)
{
    return add_all(start, r, space_id, false, err);
}

int environment_add(struct proto_start *start, struct runner *r, uint64_t space_id, struct err *err)
{
    int n = add_all(start, r, space_id, false, err);
    return n < 0 ? n : add_all(start, r, space_id, true, err);
}

void environment_forget(struct proto_start *start)
{
    explicit_bzero(start->env, start->env_len);
    start->env_len = start->secrets = 0;
}
