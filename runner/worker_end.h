/* The end of a worker: its last word, and what people read of it. */
#pragma once

#include "common/proto.h"
#include "common/space_limits.h"

#include <stdint.h>

struct worker_end {
    enum proto_exit_reason reason; /* 0: no last word, it was killed */
    int status, signal;
    uint32_t met;      /* limits that it ran into (limits_met.h) */
    char message[512]; /* it never began, or was ended by us: why */
    int code;          /* ... and the positive errno, 0 where none is known */
};

/* From the exit file that its PID 1 wrote; where there is none nothing is changed. */
void worker_end_read(const char *path, struct worker_end *end);
/* "exited with status 3", "killed by SIGSEGV", "out of memory: 512 MiB; ask the operator ..." */
void worker_end_text(const struct space_limits *l, const struct worker_end *end, char *out,
                     size_t size);
