/* `vitrine config`: the effective configuration, or the commented sample. */
#include "cmd.h"
#include "client.h"
#include "common/conf.h"
#include "serveropts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* As one writes it in the file, in the largest unit that divides it. */
static void write_bytes(uint64_t v, char *out, size_t len)
{
    static const char units[] = "BKMGT";
    int u = 0;
    for (; v && v % 1024 == 0 && u < 4; u++)
        v /= 1024;
    snprintf(out, len, "%" PRIu64 "%.*s", v, u > 0, units + u);
}

static void write_ms(uint64_t v, char *out, size_t len)
{
    if (v == CONF_NEVER)
        snprintf(out, len, "never");
    else if (v && v % 3600000 == 0)
        snprintf(out, len, "%" PRIu64 "h", v / 3600000);
    else if (v && v % 60000 == 0)
        snprintf(out, len, "%" PRIu64 "m", v / 60000);
    else if (v && v % 1000 == 0)
        snprintf(out, len, "%" PRIu64 "s", v / 1000);
    else
        snprintf(out, len, "%" PRIu64 "ms", v);
}

static void write_milli(uint64_t v, char *out, size_t len)
{
    if (v % 1000 == 0)
        snprintf(out, len, "%" PRIu64, v / 1000);
    else
        snprintf(out, len, "%" PRIu64 ".%03u", v / 1000, (unsigned)(v % 1000));
}

#define TEXT_STR(v) snprintf(text, sizeof(text), "%s", v)
#define TEXT_BOOL(v) snprintf(text, sizeof(text), "%s", (v) ? "true" : "false")
#define TEXT_INT(v) snprintf(text, sizeof(text), "%" PRIu64, v)
#define TEXT_BYTES(v) write_bytes(v, text, sizeof(text))
#define TEXT_MS(v) write_ms(v, text, sizeof(text))
#define TEXT_MILLI(v) write_milli(v, text, sizeof(text))

static void print_ini(const struct conf *c)
{
    char text[4200];
    const char *open = "";
#define X(section, key, type, def, min, max, help)                                                 \
    if (strcmp(open, #section))                                                                    \
        printf("%s[%s]\n", *open ? "\n" : "", #section);                                           \
    open = #section;                                                                               \
    TEXT_##type(c->section##_##key);                                                               \
    printf(*text ? "%s = %s\n" : "%s =\n", #key, text);
    CONF_OPTIONS(X)
#undef X
}

static json_t *to_json(const struct conf *c)
{
    char text[4200];
    json_t *all = json_object();
#define X(section, key, type, def, min, max, help)                                                 \
    if (!json_object_get(all, #section))                                                           \
        json_object_set_new(all, #section, json_object());                                         \
    TEXT_##type(c->section##_##key);                                                               \
    json_object_set_new(json_object_get(all, #section), #key, json_string(text));
    CONF_OPTIONS(X)
#undef X
    return all;
}

int cmd_config(int argc, char **argv)
{
    static const struct option longs[] = {SERVEROPTS_LONG,
                                          {"sample", no_argument, NULL, 's'},
                                          {"man", no_argument, NULL, 'm'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    struct serveropts opts = {0};
    struct conf conf;
    struct err err = {0};
    bool sample = false, man = false, json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        sample |= o == 's';
        man |= o == 'm';
        json |= o == 'j';
        serveropts_take(&opts, o, optarg);
    }
    if (optind < argc)
        return cmd_usage(argv[0], "takes no argument");
    if (sample || man) {
        (sample ? conf_write_sample : conf_write_man)(stdout);
        return CMD_DONE;
    }
    int r = serveropts_conf(&opts, &conf, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    if (json) {
        _cleanup_json_ json_t *j = to_json(&conf);
        r = json_print(j, &err);
    } else {
        print_ini(&conf);
    }
    conf_free(&conf);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
