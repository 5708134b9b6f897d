#include "limits_met.h"

#include "util.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A core's quota is given out in tenths of a second: one that was used up in a fourth of those that
 * the program ran in, over 5 s of them, was felt. */
#define CPU_PERIODS_LEAST 50
#define CPU_PERIODS_SHARE 4

static const char *const names[] = {
#define X(NAME, name) #name,
    SPACE_LIMITS(X)
#undef X
};
#define NAMED (sizeof(names) / sizeof(*names))

void limit_met_text(enum space_limit which, uint64_t value, char out[80])
{
    char size[32];
    format_bytes(value, size);
    out[0] = '\0';
    switch (which) {
    case LIMIT_MEMORY:
        snprintf(out, 80, "out of memory: %s", size);
        break;
    case LIMIT_CPU:
        snprintf(out, 80, "held back by its CPU limit: %g core%s", (double)value / 1000,
                 value == 1000 ? "" : "s");
        break;
    case LIMIT_PIDS:
        snprintf(out, 80, "out of processes: %" PRIu64, value);
        break;
    case LIMIT_OPEN_FILES:
        snprintf(out, 80, "too many open files: %" PRIu64 " in a process", value);
        break;
    case LIMIT_FILE_SIZE:
        snprintf(out, 80, "a file grew beyond the limit: %s", size);
        break;
    case LIMIT_TMP_SIZE:
        snprintf(out, 80, "/tmp is full: %s", size);
        break;
    case LIMIT_TMP_INODES:
        snprintf(out, 80, "/tmp is full: %" PRIu64 " files and folders", value);
        break;
    case LIMIT_HOME_SIZE:
        snprintf(out, 80, "/home/user is full: %s", size);
        break;
    case LIMIT_HOME_INODES:
        snprintf(out, 80, "/home/user is full: %" PRIu64 " files and folders", value);
        break;
    case LIMIT_DATA_SIZE:
        snprintf(out, 80, "/data is full: %s", size);
        break;
    case LIMIT_DATA_INODES:
        snprintf(out, 80, "/data is full: %" PRIu64 " files and folders", value);
        break;
    case LIMIT_LOG_RATE:
        snprintf(out, 80, "lines of its log were dropped: %s a second", size);
        break;
    case LIMIT_IO_WEIGHT:
    case LIMIT_NETWORK:
    case LIMIT_COUNT:
        break;
    }
}

void limits_met_text(uint32_t met, const struct space_limits *l, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < LIMIT_COUNT && at < size; i++) {
        char text[80];
        if (!(met & LIMIT_BIT(i)))
            continue;
        limit_met_text((enum space_limit)i, l->v[i], text);
        if (*text)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "; " : "", text);
    }
}

void limits_met_names(uint32_t met, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < NAMED && at < size; i++)
        if (met & LIMIT_BIT(i))
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "," : "", names[i]);
}

uint32_t limits_met_of_names(const char *list)
{
    uint32_t met = 0;
    while (*list) {
        size_t len = strcspn(list, ",");
        for (size_t i = 0; i < NAMED; i++)
            if (strlen(names[i]) == len && memcmp(names[i], list, len) == 0)
                met |= LIMIT_BIT(i);
        list += len + (list[len] == ',');
    }
    return met;
}

uint32_t limits_met_of_group(uint64_t oom_kills, uint64_t pids_refused, uint64_t cpu_periods,
                             uint64_t cpu_throttled)
{
    uint32_t met = 0;
    if (oom_kills)
        met |= LIMIT_BIT(LIMIT_MEMORY);
    if (pids_refused)
        met |= LIMIT_BIT(LIMIT_PIDS);
    if (cpu_periods >= CPU_PERIODS_LEAST && cpu_throttled * CPU_PERIODS_SHARE >= cpu_periods)
        met |= LIMIT_BIT(LIMIT_CPU);
    return met;
}

uint32_t limits_met_of_end(int status, int signal)
{
    bool too_large = signal ? signal == SIGXFSZ : status == 128 + SIGXFSZ;
    return too_large ? LIMIT_BIT(LIMIT_FILE_SIZE) : 0;
}
