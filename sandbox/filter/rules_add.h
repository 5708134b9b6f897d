/* For those who add rules to a filter: rules.c and rules_shared.c. */
#pragma once

#include "common/err.h"

#include <seccomp.h>
#include <stdint.h>

#define LOW_32 0xffffffffu /* what the kernel looks at of an int argument (CVE-2019-10063) */

/* The filter under way. `arch` is the machine's that it is for, which need not be this one. */
struct rules {
    scmp_filter_ctx ctx;
    uint32_t arch;
    struct err *err;
    int failed; /* the first error, after which nothing is added */
};

/* A call that the machine does not have is left out. */
void add_rule(struct rules *ctx, uint32_t action, const char *name, unsigned n,
              const struct scmp_arg_cmp *args);
/* Lets the call through where argument `arg`, an int, is `value`. */
void allow_int(struct rules *ctx, const char *name, unsigned arg, uint64_t value);

/* Of the program's filter, what reaches beyond the sandbox by an argument (rules_shared.c). */
void rules_setsockopt(struct rules *ctx);
void rules_limits(struct rules *ctx);
void rules_memory(struct rules *ctx);
