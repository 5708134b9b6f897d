/* The rules of the filters: lists.h by groups, and those that look at arguments, made into BPF by
 * libseccomp. Used while Vitrine is built (generate.c) and by the test that asks for the verdicts
 * of every group, for this machine's calls and for others'; no program of Vitrine links it. */
#pragma once

#include "common/err.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

enum rules_for {
    RULES_USER,
    RULES_USER_GPU,
    RULES_INIT,
    RULES_GATEWAY,
    RULES_GATEWAY_SANITIZED,
    RULES_WEBUI,
    RULES_WEBUI_SANITIZED,
    RULES_EGRESS,
    RULES_EGRESS_SANITIZED,
};

/* The program for that machine (AUDIT_ARCH_..., 0: this one's): its length, at most max - 1. */
int rules_make(enum rules_for who, uint32_t arch, struct sock_filter *out, size_t max,
               struct err *err);
/* ... as libseccomp makes it, before it is made small (compact.h). */
int rules_make_plain(enum rules_for who, uint32_t arch, struct sock_filter *out, size_t max,
                     struct err *err);
/* Why a call is refused or absent: its group's reason; NULL where it stands in none of these. */
const char *rules_reason(const char *name);
/* -ENOENT where the machine (0: this one), or the library, has none of that number or name. */
int rules_call_name(uint32_t arch, int nr, char out[48]);
int rules_call_number(uint32_t arch, const char *name);
/* -EEXIST where a call stands in two lists. */
int rules_check(struct err *err);
