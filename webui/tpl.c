#include "webui/tpl.h"

#include "webui/statics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 64

struct render {
    struct buf *out;
    const char *name;
    const struct tpl_var *vars;
    struct err *err;
};

static int value_of(struct render *r, const char *key, const char **ret)
{
    for (const struct tpl_var *v = r->vars; v->key; v++)
        if (strcmp(v->key, key) == 0) {
            *ret = v->value ? v->value : "";
            return 0;
        }
    return err_set(r->err, EINVAL, "template %s: no value for \"%s\"", r->name, key);
}

static int full(struct render *r)
{
    return err_set(r->err, ENOBUFS, "template %s: the page becomes too large", r->name);
}

/* Renders up to "{{/until}}" (or the end where that is NULL); `skip`: writes nothing. Where it went
 * on is in *text. */
static int render_until(struct render *r, const char **text, const char *until, bool skip)
{
    for (;;) {
        const char *open = strstr(*text, "{{");
        size_t len = open ? (size_t)(open - *text) : strlen(*text);
        if (!skip && buf_append(r->out, *text, len) < 0)
            return full(r);
        if (!open) {
            *text += len;
            return until
                       ? err_set(r->err, EINVAL, "template %s: {{/%s}} is missing", r->name, until)
                       : 0;
        }
        char key[KEY_MAX];
        const char *close = strstr(open, "}}");
        if (!close || close - open - 2 >= KEY_MAX)
            return err_set(r->err, EINVAL, "template %s: a {{ without its }}", r->name);
        snprintf(key, sizeof key, "%.*s", (int)(close - open - 2), open + 2);
        *text = close + 2;

        const char *value;
        char address[256];
        int res = 0;
        switch (key[0]) {
        case '/':
            if (until && strcmp(key + 1, until) == 0)
                return 0;
            return err_set(r->err, EINVAL, "template %s: stray {{%s}}", r->name, key);
        case '?':
        case '!':
            res = value_of(r, key + 1, &value);
            if (res == 0)
                res = render_until(r, text, key + 1, skip || (*value != 0) != (key[0] == '?'));
            break;
        case '@':
            res = static_address(key + 1, address, sizeof address, r->err);
            if (res == 0 && !skip && buf_puts(r->out, address) < 0)
                res = full(r);
            break;
        case '&':
            res = value_of(r, key + 1, &value);
            if (res == 0 && !skip && buf_puts(r->out, value) < 0)
                res = full(r);
            break;
        default:
            res = value_of(r, key, &value);
            if (res == 0 && !skip && buf_html(r->out, value) < 0)
                res = full(r);
        }
        if (res < 0)
            return res;
    }
}

int tpl_render(struct buf *out, const char *name, const struct tpl_var *vars, struct err *err)
{
    const char *text = static_page(name);
    if (!text)
        return err_set(err, ENOENT, "there is no template %s", name);
    struct render r = {.out = out, .name = name, .vars = vars, .err = err};
    return render_until(&r, &text, NULL, false);
}
