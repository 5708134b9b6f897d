#include "flavours.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"
#define VALUE_MAX 64

bool flavour_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < FLAVOUR_NAME && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* "memory=1G", of n bytes */
static int take_limit(struct flavour *f, const char *p, size_t n, struct err *err)
{
    char text[VALUE_MAX];
    if (n >= sizeof text)
        return err_set(err, EINVAL, "hardware.flavours: \"%.20s...\" is too long", p);
    snprintf(text, sizeof text, "%.*s", (int)n, p);
    char *value = strchr(text, '=');
    if (!value)
        return err_set(err, EINVAL, "hardware.flavours: \"%s\" of %s is not LIMIT=VALUE", text,
                       f->name);
    *value++ = 0;
    if (strcmp(text, "gpu") == 0)
        return err_set(err, EINVAL,
                       "hardware.flavours: %s asks for a GPU, which no worker can be given by this "
                       "version",
                       f->name);
    enum space_limit which = space_limit_find(text);
    if (which == LIMIT_COUNT || which == LIMIT_NETWORK)
        return err_set(err, EINVAL, "hardware.flavours: \"%s\" of %s is none of the [limits]", text,
                       f->name);
    f->has[which] = true;
    int r = space_limit_parse(which, value, &f->own.v[which], err);
    return r < 0 ? err_prefix(err, EINVAL, "hardware.flavours: %s", f->name) : 0;
}

/* One "NAME: LIMIT=VALUE ..." of n bytes. */
static int take_flavour(struct flavour *f, const char *p, size_t n, struct err *err)
{
    const char *end = p + n, *colon = memchr(p, ':', n);
    *f = (struct flavour){0};
    if (!colon)
        return err_set(err, EINVAL,
                       "hardware.flavours: \"%.*s\" is not NAME: LIMIT=VALUE LIMIT=VALUE",
                       n < 60 ? (int)n : 60, p);
    size_t len = (size_t)(colon - p);
    while (len && strchr(BLANKS, p[len - 1]))
        len--;
    if (len < FLAVOUR_NAME)
        snprintf(f->name, sizeof f->name, "%.*s", (int)len, p);
    if (!flavour_name_ok(f->name))
        return err_set(err, EINVAL,
                       "hardware.flavours: \"%.*s\" is no name: use up to 32 of a to z, 0 to 9 and "
                       "'-'",
                       len < 60 ? (int)len : 60, p);
    for (p = colon + 1; p < end;) {
        p += strspn(p, BLANKS);
        size_t word = 0;
        while (p + word < end && !strchr(BLANKS, p[word]))
            word++;
        int r = word ? take_limit(f, p, word, err) : 0;
        if (r < 0)
            return r;
        p += word ? word : 1;
    }
    return 0;
}

/* All that the list has, in its order. */
static int each_listed(const char *list, int (*each)(void *arg, const struct flavour *f), void *arg,
                       struct err *err)
{
    int r = 0;
    while (r == 0 && list && *list) {
        list += strspn(list, BLANKS ";");
        size_t n = strcspn(list, ";");
        struct flavour f;
        if (n && (r = take_flavour(&f, list, n, err)) == 0)
            r = each(arg, &f);
        list += n;
    }
    return r;
}

struct search {
    const char *name;
    struct flavour *ret;
};

static int compare(void *arg, const struct flavour *f)
{
    struct search *s = arg;
    if (strcmp(f->name, s->name) != 0)
        return 0;
    *s->ret = *f;
    return 1;
}

static bool find(const char *list, const char *name, struct flavour *ret)
{
    *ret = (struct flavour){0};
    snprintf(ret->name, sizeof ret->name, "%s", FLAVOUR_DEFAULT);
    struct search s = {name, ret};
    return each_listed(list, compare, &s, NULL) == 1;
}

struct others {
    int (*each)(void *arg, const struct flavour *f);
    void *arg;
};

static int one_of_others(void *arg, const struct flavour *f)
{
    const struct others *o = arg;
    bool skip = !o->each || strcmp(f->name, FLAVOUR_DEFAULT) == 0;
    return skip ? 0 : o->each(o->arg, f);
}

int flavours_each(const char *list, int (*each)(void *arg, const struct flavour *f), void *arg,
                  struct err *err)
{
    struct flavour first;
    struct others others = {each, arg};
    (void)find(list, FLAVOUR_DEFAULT, &first);
    int r = each ? each(arg, &first) : 0;
    return r ? r : each_listed(list, one_of_others, &others, err);
}

/* What their names mean there (huggingface.co/docs/hub/spaces-gpus). ZeroGPU's are not told: those
 * of one A10G stand for them. */
static const struct {
    const char *name;
    unsigned gib, cpu;
} hub[] = {
    {"cpu-upgrade", 32, 8},    {"zero-a10g", 15, 4},    {"t4-small", 15, 4},
    {"t4-medium", 30, 8},      {"l4x1", 30, 8},         {"l4x4", 186, 48},
    {"l40sx1", 62, 8},         {"l40sx4", 382, 48},     {"l40sx8", 1534, 192},
    {"a10g-small", 15, 4},     {"a10g-large", 46, 12},  {"a10g-largex2", 92, 24},
    {"a10g-largex4", 184, 48}, {"a100-large", 142, 12}, {"a100x4", 568, 48},
    {"a100x8", 1136, 96},
};

struct nearest {
    const struct conf *c;
    uint64_t memory, cpu; /* wanted */
    uint64_t best_memory, best_cpu;
    bool best_fits;
    struct flavour *ret;
};

static int compare_size(void *arg, const struct flavour *f)
{
    struct nearest *n = arg;
    struct space_limits l;
    space_limits_default(&l, n->c);
    flavour_apply(f, &l);
    uint64_t memory = l.v[LIMIT_MEMORY], cpu = l.v[LIMIT_CPU];
    bool fits = memory >= n->memory && cpu >= n->cpu;
    bool larger = memory != n->best_memory ? memory > n->best_memory : cpu > n->best_cpu;
    bool smaller = memory != n->best_memory ? memory < n->best_memory : cpu < n->best_cpu;
    if (*n->ret->name && (fits != n->best_fits ? !fits : fits ? !smaller : !larger))
        return 0;
    *n->ret = *f;
    n->best_memory = memory;
    n->best_cpu = cpu;
    n->best_fits = fits;
    return 0;
}

bool flavour_find(const struct conf *c, const char *name, struct flavour *ret)
{
    if (find(c->hardware_flavours, name, ret))
        return true;
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++)
        if (strcmp(hub[i].name, name) == 0) {
            struct nearest n = {.c = c,
                                .memory = (uint64_t)hub[i].gib << 30,
                                .cpu = hub[i].cpu * 1000ull,
                                .ret = ret};
            ret->name[0] = 0;
            (void)flavours_each(c->hardware_flavours, compare_size, &n, NULL);
            return false;
        }
    (void)find(c->hardware_flavours, FLAVOUR_DEFAULT, ret);
    return strcmp(name, FLAVOUR_DEFAULT) == 0;
}

void flavour_apply(const struct flavour *f, struct space_limits *l)
{
    for (int i = 0; i < LIMIT_COUNT; i++)
        if (f->has[i])
            l->v[i] = f->own.v[i];
}
