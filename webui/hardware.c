#include "webui/hardware.h"

#include "common/buf.h"
#include "common/util.h"
#include "webui/api.h"
#include "webui/body.h"
#include "webui/env.h"
#include "webui/reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool hardware_of(struct app *app, const struct space *space, struct flavour *ret,
                 struct space_limits *limits)
{
    bool known = flavour_find(app->conf, space->hardware, ret);
    space_limits_default(limits, app->conf);
    flavour_apply(ret, limits);
    return known || !*space->hardware;
}

void hardware_cpu_text(const struct space_limits *l, char out[32])
{
    uint64_t milli = l->v[LIMIT_CPU];
    if (milli % 1000 == 0)
        snprintf(out, 32, "%llu vCPU", (unsigned long long)(milli / 1000));
    else
        snprintf(out, 32, "%llu.%llu vCPU", (unsigned long long)(milli / 1000),
                 (unsigned long long)(milli % 1000 / 100));
}

void hardware_ram_text(const struct space_limits *l, char out[32])
{
    uint64_t mib = l->v[LIMIT_MEMORY] >> 20;
    if (mib % 1024 == 0)
        snprintf(out, 32, "%llu GB", (unsigned long long)(mib / 1024));
    else
        snprintf(out, 32, "%llu MB", (unsigned long long)mib);
}

void hardware_gpu_text(unsigned gpus, char out[32])
{
    out[0] = 0;
    if (gpus)
        snprintf(out, 32, "%u GPU%s", gpus, gpus == 1 ? "" : "s");
}

struct listing {
    struct app *app;
    json_t *out;
};

/* "cpu-upgrade" -> "CPU upgrade" */
static void pretty(const char *name, char out[48])
{
    snprintf(out, 48, "%s", name);
    bool cpu = strncmp(name, "cpu-", 4) == 0;
    for (char *p = out; *p; p++) {
        if (*p == '-')
            *p = ' ';
        else if ((cpu && p < out + 3) || (!cpu && p == out && *p >= 'a' && *p <= 'z'))
            *p = (char)(*p - 'a' + 'A');
    }
}

/* What the client's list says of one; which make it is, a server that only hands it on cannot say.
 */
static json_t *accelerator(const struct flavour *f)
{
    char quantity[16];
    snprintf(quantity, sizeof quantity, "%u", f->gpus);
    return f->gpus ? json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "gpu", "model", "GPU",
                               "quantity", quantity, "vram", "N/A", "manufacturer", "N/A")
                   : json_null();
}

static int add(void *arg, const struct flavour *f)
{
    struct listing *l = arg;
    struct space_limits limits;
    char name[48], cpu[32], ram[32];
    space_limits_default(&limits, l->app->conf);
    flavour_apply(f, &limits);
    pretty(f->name, name);
    hardware_cpu_text(&limits, cpu);
    hardware_ram_text(&limits, ram);
    /* The client's list has a price in it. */
    json_array_append_new(l->out, json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:n, s:i, s:f, s:s}",
                                            "name", f->name, "prettyName", name, "cpu", cpu, "ram",
                                            ram, "accelerator", accelerator(f), "ephemeralStorage",
                                            "N/A", "storage", "unitCostMicroUSD", 0, "unitCostUSD",
                                            0.0, "unitLabel", "hour"));
    return 0;
}

enum MHD_Result api_hardware(struct req *r)
{
    struct listing l = {r->app, json_array()};
    (void)flavours_each(r->app->conf->hardware_flavours, add, &l, NULL);
    return req_json(r, 200, l.out);
}

static int add_name(void *arg, const struct flavour *f)
{
    struct buf *b = arg;
    return buf_printf(b, "%s%s", b->len ? ", " : "", f->name) < 0 ? -ENOMEM : 0;
}

int hardware_check(const struct app *app, const char *flavour, struct err *err)
{
    struct flavour found;
    _cleanup_buf_ struct buf names = BUF_INIT(400);
    if (flavour_find(app->conf, flavour, &found) || (flavour_hub_gpus(flavour) && found.gpus))
        return 0;
    (void)flavours_each(app->conf->hardware_flavours, add_name, &names, NULL);
    return err_set(
        err, EINVAL,
        "CONFIG_ERROR: there is no hardware \"%.40s\" here%s: choose one of %s, %s being "
        "the nearest, or ask the operator for it ([hardware] flavours)",
        flavour, flavours_have_gpu(app->conf) ? "" : " (and no GPU)",
        names.data ? names.data : FLAVOUR_DEFAULT, found.name);
}

int hardware_set(struct app *app, const struct space *space, const char *flavour, struct err *err)
{
    int r = hardware_check(app, flavour, err);
    if (r == 0)
        r = site_set_hardware(app->site, space->id, flavour, err);
    if (r == 0)
        env_changed(app, space, false);
    return r;
}

/* POST P/hardware {flavor, sleepTimeSeconds?} */
enum MHD_Result api_space_hardware(struct req *r)
{
    _cleanup_body_ json_t *body = NULL;
    enum MHD_Result answer;
    struct err err = {0};
    struct view v;
    if (!reach_space(r, &v, &answer) || !body_object(r, &body, &answer))
        return answer;
    if (hardware_set(r->app, &v.space, body_text(body, "flavor"), &err) < 0)
        return req_fail(r, &err);
    const json_t *seconds = json_object_get(body, "sleepTimeSeconds");
    int64_t s = json_integer_value(seconds);
    if (json_is_integer(seconds) && (s > 0 || s == -1) &&
        site_set_sleep(r->app->site, v.space.id, s < 0 ? -1 : s * 1000, &err) < 0)
        return req_fail(r, &err);
    return api_space_runtime(r);
}
