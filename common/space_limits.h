/* The limits that one Space may have of its own. Each is an option of [limits], whose value is the
 * default; type, bounds and spelling come from there. Values are in the option's unit. */
#pragma once

#include "conf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define SPACE_LIMITS(X)                                                                            \
    X(MEMORY, memory)                                                                              \
    X(CPU, cpu)                                                                                    \
    X(PIDS, pids)                                                                                  \
    X(IO_WEIGHT, io_weight)                                                                        \
    X(OPEN_FILES, open_files)                                                                      \
    X(FILE_SIZE, file_size)                                                                        \
    X(TMP_SIZE, tmp_size)                                                                          \
    X(TMP_INODES, tmp_inodes)                                                                      \
    X(HOME_SIZE, home_size)                                                                        \
    X(HOME_INODES, home_inodes)                                                                    \
    X(DATA_SIZE, data_size)                                                                        \
    X(DATA_INODES, data_inodes)                                                                    \
    X(LOG_RATE, log_rate)

enum space_limit {
#define X(NAME, name) LIMIT_##NAME,
    SPACE_LIMITS(X)
#undef X
        LIMIT_NETWORK, /* [network] policy: 0 none, 1 internet */
    LIMIT_COUNT
};

struct space_limits {
    uint64_t v[LIMIT_COUNT];
};

/* The configuration's. */
void space_limits_default(struct space_limits *l, const struct conf *c);
const char *space_limit_name(enum space_limit which);
/* What it limits, in words. */
const char *space_limit_about(enum space_limit which);
/* LIMIT_COUNT where there is none of that name. */
enum space_limit space_limit_find(const char *name);
/* "512M", "0.5": -EINVAL with the name, the value and what is right. */
int space_limit_parse(enum space_limit which, const char *value, uint64_t *ret, struct err *err);
/* Within the option's bounds. */
bool space_limit_is_valid(enum space_limit which, uint64_t value);
/* As one writes it. */
void space_limit_text(enum space_limit which, uint64_t value, char out[48]);
