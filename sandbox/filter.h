/* The filters: which system calls the program, and PID 1, may make. Compiled once (libseccomp, as
 * a binary tree) in the starter; a sandbox only loads the result. */
#pragma once

#include "common/err.h"

#include <linux/filter.h>

struct filter_program {
    struct sock_filter *code; /* owned */
    unsigned short len;
};

/* For the program: what demos use, argument by argument where that matters. What libraries probe
 * for (clone3, io_uring, whatever is newer than the list) fails with ENOSYS, what only an attacker
 * would use fails with EPERM, another architecture's calls kill. */
int filter_compile_user(struct filter_program *ret, struct err *err);
/* For PID 1: its own loop and nothing else. */
int filter_compile_init(struct filter_program *ret, struct err *err);
void filter_free(struct filter_program *p);

/* Puts the calling process under it, for good. no_new_privs must be set. */
int filter_load(const struct filter_program *p, struct err *err);
