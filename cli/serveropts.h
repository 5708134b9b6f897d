/* What `up`, `check` and `config` share: the options that say which server is meant, and the
 * configuration that comes of them. */
#pragma once

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"

#include <getopt.h>

struct serveropts {
    const char *config; /* --config FILE, or NULL */
    const char *data, *listen, *domain;
};

#define SERVEROPTS_LONG                                                                            \
    {"config", required_argument, NULL, 'c'}, {"data", required_argument, NULL, 'd'},              \
        {"listen", required_argument, NULL, 'l'},                                                  \
    {                                                                                              \
        "domain", required_argument, NULL, 'D'                                                     \
    }

/* Takes one option that getopt found ('c', 'd', 'l' or 'D'). */
void serveropts_take(struct serveropts *o, int option, const char *value);

/* Defaults, the file, the command line, in this order, checked as a whole. On failure nothing has
 * to be freed. */
int serveropts_conf(const struct serveropts *o, struct conf *conf, struct err *err);

enum log_format serveropts_log_format(const struct conf *conf);
enum log_level serveropts_log_level(const struct conf *conf);
