/* conf.h: the sample file and the manual's list of options, both made from the table. */
#include "conf.h"

#include "conf_table.h"

#include <string.h>

static bool opens_section(const struct conf_option *o)
{
    return o == conf_table || strcmp(o->section, (o - 1)->section) != 0;
}

void conf_write_sample(FILE *f)
{
    fputs(
        "# Vitrine's configuration: every option with its default. Take the # away from what you\n"
        "# change. Sizes: 512M, 2G. Durations: 500ms, 3s, 10m, 48h, never.\n",
        f);
    for (const struct conf_option *o = conf_table; o->key; o++) {
        char expected[160];
        conf_expected(o, expected);
        if (opens_section(o))
            fprintf(f, "\n[%s]\n", o->section);
        if (o->type == CONF_STR)
            fprintf(f, "# %s\n", o->text);
        else
            fprintf(f, "# %s (%s)\n", o->text, expected);
        fprintf(f, "#%s =%s%s\n", o->key, *o->def ? " " : "", o->def);
    }
}

/* In roff a backslash, and a dot or quote at the start of a line, mean something. */
static void put_roff(FILE *f, const char *s)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", f);
    for (; *s; s++) {
        if (*s == '\\')
            fputs("\\e", f);
        else if (*s == '-')
            fputs("\\-", f);
        else
            fputc(*s, f);
    }
}

void conf_write_man(FILE *f)
{
    for (const struct conf_option *o = conf_table; o->key; o++) {
        char expected[160];
        conf_expected(o, expected);
        if (opens_section(o))
            fprintf(f, ".SS [%s]\n", o->section);
        fprintf(f, ".TP\n.B %s\n", o->key);
        put_roff(f, o->text);
        fputs(".\n", f);
        if (o->type != CONF_STR) {
            fputs("It is ", f);
            put_roff(f, expected);
            fputs(".\n", f);
        }
        if (*o->def) {
            fputs("Default: ", f);
            put_roff(f, o->def);
            fputs(".\n", f);
        }
    }
}
