#include "space_limits.h"

#include "conf_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[LIMIT_COUNT] = {
#define X(NAME, name) #name,
    SPACE_LIMITS(X)
#undef X
        "network",
};

void space_limits_default(struct space_limits *l, const struct conf *c)
{
    *l = (struct space_limits){{
#define X(NAME, name) c->limits_##name,
        SPACE_LIMITS(X)
#undef X
    }};
    l->v[LIMIT_NETWORK] = c->network_policy && strcmp(c->network_policy, "internet") == 0;
}

static const struct conf_option *option_of(enum space_limit which)
{
    if (which == LIMIT_NETWORK)
        return conf_find("network", strlen("network"), "policy");
    return conf_find("limits", strlen("limits"), names[which]);
}

const char *space_limit_name(enum space_limit which)
{
    return names[which];
}

const char *space_limit_about(enum space_limit which)
{
    return option_of(which)->text;
}

enum space_limit space_limit_find(const char *name)
{
    int i = 0;
    while (i < LIMIT_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum space_limit)i;
}

int space_limit_parse(enum space_limit which, const char *value, uint64_t *ret, struct err *err)
{
    if (which == LIMIT_NETWORK) {
        *ret = strcmp(value, "internet") == 0;
        return *ret || strcmp(value, "none") == 0
                   ? 0
                   : err_set(err, EINVAL, "network = \"%.80s\": it must be none or internet",
                             value);
    }
    struct conf c = {0}; /* numbers only: nothing in it is owned */
    struct space_limits parsed;
    char key[48];
    snprintf(key, sizeof(key), "limits.%s", names[which]);
    int r = conf_set(&c, key, value, "a Space's limit", err);
    if (r < 0)
        return r;
    space_limits_default(&parsed, &c);
    *ret = parsed.v[which];
    return 0;
}

bool space_limit_is_valid(enum space_limit which, uint64_t value)
{
    const struct conf_option *o = option_of(which);
    return which == LIMIT_NETWORK ? value <= 1 : value >= o->least && value <= o->most;
}

void space_limit_text(enum space_limit which, uint64_t value, char out[48])
{
    if (which == LIMIT_NETWORK)
        snprintf(out, 48, "%s", value == 1 ? "internet" : "none");
    else
        conf_value_text(option_of(which)->type, value, out);
}
