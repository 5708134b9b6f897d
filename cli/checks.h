/* What `vitrine check` tries by itself, and the list that it prints. */
#pragma once

#include "common/conf.h"

#include <stdbool.h>
#include <stddef.h>

enum check_state { CHECK_OK, CHECK_WEAK, CHECK_MISSING };

struct check {
    enum check_state state;
    bool needed; /* no worker can run without it */
    char name[48];
    char detail[400];
    char remedy[400]; /* "" where there is nothing to do */
};

struct checks {
    struct check *list;
    size_t count;
};

void checks_free(struct checks *k);
void checks_add(struct checks *k, enum check_state state, bool needed, const char *name,
                const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
bool checks_can_run(const struct checks *k);

/* The programs beside this one. */
void checks_programs(struct checks *k);
/* The data folder: writable, space left. It is not made. */
void checks_data(struct checks *k, const char *data);
/* How the quota of /data would be enforced. */
void checks_quota(struct checks *k, const char *data);
/* What installs the requirements of Spaces: `uv` as build.uv has it. */
void checks_installer(struct checks *k, const char *uv);
/* Whether server.listen and each place of also_listen and tls.listen can be listened on, or who
 * seems to have it. */
void checks_listen(struct checks *k, const struct conf *conf);
/* The GPUs that there are, and whether workers can be given them (checks_gpu.c). */
void checks_gpus(struct checks *k, const struct conf *conf);
/* HTTPS, where it is configured: what is wrong with certificates. */
void checks_tls(struct checks *k, const struct conf *conf);
/* Whether names below `domain` lead here, as for a client that asks the system's resolver. */
void checks_names(struct checks *k, const char *domain);
