/* The filters: which system calls the program, and PID 1, may make. They are made while Vitrine is
 * built (filter/generate.c, by libseccomp, as binary trees); a sandbox only loads them. */
#pragma once

#include "common/err.h"

#include <linux/filter.h>

struct filter_program {
    const struct sock_filter *code;
    unsigned short len;
};

/* For the program: what demos use, argument by argument where that matters. What libraries probe
 * for (clone3, io_uring, whatever is newer than the list) fails with ENOSYS, what only an attacker
 * would use fails with EPERM, another architecture's calls kill. */
extern const struct filter_program filter_user;
/* For PID 1: its own loop and nothing else. */
extern const struct filter_program filter_init;

/* Puts the calling process under it, for good. no_new_privs must be set. */
int filter_load(const struct filter_program *p, struct err *err);
