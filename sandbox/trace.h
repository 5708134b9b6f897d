/* `vitrine-sandbox trace`: what the program of a sandbox asks the kernel for, and what it does not
 * get. The sandbox is the very same as without: a process outside of it (the tracer) follows the
 * program by ptrace and is told of each call before the filter sees it and after the kernel has
 * answered; what the filter says it works out from the filter's own instructions. So nothing is
 * loosened in order to look, and nothing is loaded into the program. The price is time: each call
 * stops the program twice. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define TRACE_ROWS 1024
#define TRACE_FOREIGN 0x20000000 /* added to the number of a call by another machine's table */

struct filter_program;

/* One call with one verdict; of those that failed, with what they asked for. */
struct trace_row {
    int nr;
    uint32_t verdict; /* SECCOMP_RET_... of the filter */
    int error;        /* what the kernel answered to a call that the filter let through; 0: fine */
    uint64_t count;
    pid_t pid; /* who asked first, as the sandbox numbers it */
    char comm[16];
    char what[160]; /* arguments, printable; "" where they do not matter */
};

/* Lies in memory that the tracer and its parent share. */
struct trace {
    bool follow;                         /* each new refusal as a line, at once */
    const struct filter_program *filter; /* the program's */
    struct trace_row rows[TRACE_ROWS];
    int n;
    uint64_t calls, lost; /* all; and those that found no free row */
    struct err err;       /* why the tracer could not follow; code 0: it could */
};

/* Memory for one; NULL where there is none. `filter` is the one that the program gets. */
struct trace *trace_new(bool follow, const struct filter_program *filter);
/* Starts the tracer of what `init` (a sandbox's PID 1, not yet told to go) will fork; lines go to
 * `out`. When it returns, nothing of the program can be missed. The tracer ends when all that it
 * follows has ended, and with the caller. */
int trace_start(struct trace *t, pid_t init, int out, pid_t *tracer, struct err *err);
/* Waits for the tracer's end: the rows are complete then. */
void trace_wait(pid_t tracer);

/* Counts a call (trace_rows.c). */
struct trace_row *trace_count(struct trace *t, pid_t tid, int nr, uint32_t verdict, int error,
                              const char *what);
void trace_print_row(FILE *out, const struct trace_row *row);
void trace_print(FILE *out, struct trace *t, const char *limits);
void trace_print_json(FILE *out, struct trace *t, const char *limits, int status);

/* The arguments of a call that are looked at, in words (trace_args.c); reads the process's memory,
 * of which nothing is believed. */
void trace_describe(pid_t tid, int nr, const uint64_t args[6], char out[160]);
