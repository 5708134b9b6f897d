#include "serveropts.h"

#include <errno.h>
#include <string.h>

void serveropts_take(struct serveropts *o, int option, const char *value)
{
    switch (option) {
    case 'c':
        o->config = value;
        break;
    case 'd':
        o->data = value;
        break;
    case 'l':
        o->listen = value;
        break;
    case 'D':
        o->domain = value;
        break;
    default:
        break;
    }
}

int serveropts_conf(const struct serveropts *o, struct conf *conf, struct err *err)
{
    int r = conf_init(conf);
    if (r < 0)
        return err_set(err, -r, "out of memory");
    if (o->config)
        r = conf_load(conf, o->config, err);
    if (r == 0 && o->data)
        r = conf_set(conf, "server.data", o->data, "--data", err);
    if (r == 0 && o->listen)
        r = conf_set(conf, "server.listen", o->listen, "--listen", err);
    if (r == 0 && o->domain)
        r = conf_set(conf, "server.domain", o->domain, "--domain", err);
    if (r == 0)
        r = conf_check(conf, err);
    if (r < 0)
        conf_free(conf);
    return r;
}

enum log_format serveropts_log_format(const struct conf *conf)
{
    return !strcmp(conf->log_format, "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

enum log_level serveropts_log_level(const struct conf *conf)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(conf->log_level, names[i]))
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}
