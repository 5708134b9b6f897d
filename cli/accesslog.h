/* The file of the access log: opened here, because the gateway opens no path, and opened again when
 * it was moved or removed (logrotate). One that was cut to nothing goes on by itself (O_APPEND). */
#pragma once

#include "common/conf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct accesslog {
    char path[4096];
    int fd; /* -1: the configuration wants none, or it cannot be opened just now */
    dev_t dev;
    ino_t ino;
    uint64_t look_ms; /* mono_ms: when to look next; UINT64_MAX: never */
    bool said;        /* that it cannot be opened */
};

/* 0, also where none is wanted. The message names the path and the remedy. */
int accesslog_open(struct accesslog *a, const struct conf *conf, struct err *err);
/* True where it is another file now, which the gateway must get. */
bool accesslog_look(struct accesslog *a, uint64_t now_ms);
void accesslog_close(struct accesslog *a);
