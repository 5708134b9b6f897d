#include "flavours.h"

#include "gpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"
#define VALUE_MAX 64

bool flavour_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < FLAVOUR_NAME && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int take_gpus(struct flavour *f, const char *value, struct err *err)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || n > GPUS_PER_WORKER)
        return err_set(err, EINVAL,
                       "hardware.flavours: %s: gpu=%.20s: it must be a whole number of GPUs, up to "
                       "%d",
                       f->name, value, GPUS_PER_WORKER);
    f->gpus = (unsigned)n;
    return 0;
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
        return take_gpus(f, value, err);
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

/* What their names mean there (huggingface.co/docs/hub/spaces-gpus). Of ZeroGPU, and of those whose
 * size is not told, the nearest that is told stands for them. */
static const struct {
    const char *name;
    unsigned gib, cpu, gpus;
} hub[] = {
    {"cpu-upgrade", 32, 8, 0},
    {"zero-a10g", 15, 4, 1},
    {"t4-small", 15, 4, 1},
    {"t4-medium", 30, 8, 1},
    {"l4x1", 30, 8, 1},
    {"l4x4", 186, 48, 4},
    {"l40sx1", 62, 8, 1},
    {"l40sx4", 382, 48, 4},
    {"l40sx8", 1534, 192, 8},
    {"a10g-small", 15, 4, 1},
    {"a10g-large", 46, 12, 1},
    {"a10g-largex2", 92, 24, 2},
    {"a10g-largex4", 184, 48, 4},
    {"a100-large", 142, 12, 1},
    {"a100x4", 568, 48, 4},
    {"a100x8", 1136, 96, 8},
    {"h100", 142, 12, 1},
    {"h200", 142, 12, 1},
    {"rtx-pro-6000", 142, 12, 1},
    {"rtx-pro-6000x2", 284, 24, 2},
    {"rtx-pro-6000x4", 568, 48, 4},
    {"rtx-pro-6000x8", 1136, 96, 8},
};

struct size {
    uint64_t memory, cpu;
    unsigned gpus;
};

struct nearest {
    const struct conf *c;
    struct size want, best;
    bool with_gpu; /* among those that have one, or among those that have none */
    struct flavour *ret;
};

static bool fits(const struct size *a, const struct size *want)
{
    return a->memory >= want->memory && a->cpu >= want->cpu && a->gpus >= want->gpus;
}

static bool is_nearer(const struct size *a, const struct size *b, const struct size *want)
{
    bool fit = fits(a, want), enough = a->gpus >= want->gpus;
    if (fit != fits(b, want))
        return fit;
    if (enough != (b->gpus >= want->gpus))
        return enough;
    if (a->gpus != b->gpus)
        return enough ? a->gpus < b->gpus : a->gpus > b->gpus;
    if (a->memory != b->memory)
        return fit ? a->memory < b->memory : a->memory > b->memory;
    return fit ? a->cpu < b->cpu : a->cpu > b->cpu;
}

static int compare_size(void *arg, const struct flavour *f)
{
    struct nearest *n = arg;
    struct space_limits l;
    if ((f->gpus > 0) != n->with_gpu)
        return 0;
    space_limits_default(&l, n->c);
    flavour_apply(f, &l);
    struct size size = {l.v[LIMIT_MEMORY], l.v[LIMIT_CPU], f->gpus};
    if (*n->ret->name && !is_nearer(&size, &n->best, &n->want))
        return 0;
    *n->ret = *f;
    n->best = size;
    return 0;
}

static int has_gpu(void *arg, const struct flavour *f)
{
    (void)arg;
    return f->gpus > 0;
}

bool flavours_have_gpu(const struct conf *c)
{
    return flavours_each(c->hardware_flavours, has_gpu, NULL, NULL) == 1;
}

unsigned flavour_hub_gpus(const char *name)
{
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++)
        if (strcmp(hub[i].name, name) == 0)
            return hub[i].gpus;
    return 0;
}

bool flavour_find(const struct conf *c, const char *name, struct flavour *ret)
{
    if (find(c->hardware_flavours, name, ret))
        return true;
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++)
        if (strcmp(hub[i].name, name) == 0) {
            struct nearest n = {
                .c = c,
                .want = {(uint64_t)hub[i].gib << 30, hub[i].cpu * 1000ull, hub[i].gpus},
                .with_gpu = hub[i].gpus > 0 && flavours_have_gpu(c),
                .ret = ret};
            if (!n.with_gpu)
                n.want.gpus = 0;
            ret->name[0] = 0;
            (void)flavours_each(c->hardware_flavours, compare_size, &n, NULL);
            if (*ret->name)
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
