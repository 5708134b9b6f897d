/* The filters: which system calls the program, and PID 1, may make. They are made while Vitrine is
 * built (filter/generate.c, by libseccomp; filter/compact.c makes them small); a sandbox loads
 * them. */
#pragma once

#include "common/err.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

struct filter_program {
    const struct sock_filter *code;
    unsigned short len;
};

/* For the program: what demos use, argument by argument where that matters. What libraries probe
 * for (clone3, io_uring, whatever is newer than the list) fails with ENOSYS, what only an attacker
 * would use fails with EPERM, another architecture's calls kill. */
extern const struct filter_program filter_user;
/* ... and the requests (ioctl) of GPUs' drivers, for a program that has devices. */
extern const struct filter_program filter_user_gpu;
/* For PID 1: its own loop and nothing else. */
extern const struct filter_program filter_init;
/* For the platform's own (filter/services.h), and for those that are built with sanitizers. */
extern const struct filter_program filter_gateway;
extern const struct filter_program filter_gateway_sanitized;
extern const struct filter_program filter_webui;
extern const struct filter_program filter_webui_sanitized;
extern const struct filter_program filter_egress;
extern const struct filter_program filter_egress_sanitized;

/* The machine's calls by number, and why a call is refused (NULL: no list says). The name is NULL
 * where there is none, or it is newer than the library that the build had. */
#define FILTER_CALLS 512
struct filter_call {
    const char *name, *reason;
};
extern const struct filter_call filter_calls[FILTER_CALLS];

/* What a filter answers to a call: SECCOMP_RET_... with its data, as the kernel would run it. 0,
 * which is the action that kills, where the program is none that the kernel would take. */
uint32_t filter_verdict(const struct filter_program *p, const struct seccomp_data *call);

/* Puts the calling process under it, all of its threads, for good. no_new_privs must be set. */
int filter_load(const struct filter_program *p, struct err *err);
