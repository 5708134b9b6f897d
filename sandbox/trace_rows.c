/* See trace.h: the counts, and how they are shown. */
#include "trace.h"

#include "sandbox/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

static const char *call_name(int nr, char out[32])
{
    if (nr >= 0 && nr < FILTER_CALLS && filter_calls[nr].name)
        return filter_calls[nr].name;
    if (nr >= TRACE_FOREIGN)
        snprintf(out, 32, "call %d, foreign", nr % TRACE_FOREIGN);
    else
        snprintf(out, 32, "call %d", nr);
    return out;
}

/* Names and numbers of the asker: only for rows that are new. */
static void who_asked(pid_t tid, struct trace_row *row)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", tid);
    FILE *f = fopen(path, "re");
    row->pid = tid;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Name: %15[^\n]", row->comm) == 1)
            continue;
        if (strncmp(line, "NSpid:", 6) == 0) {
            const char *last = strrchr(line, '\t'); /* the innermost namespace's */
            row->pid = last ? (pid_t)strtol(last, NULL, 10) : tid;
            break;
        }
    }
    if (f)
        fclose(f);
    for (char *c = row->comm; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

struct trace_row *trace_count(struct trace *t, pid_t tid, int nr, uint32_t verdict, int error,
                              const char *what)
{
    for (int i = 0; i < t->n; i++) {
        struct trace_row *r = &t->rows[i];
        if (r->nr == nr && r->verdict == verdict && r->error == error &&
            strcmp(r->what, what) == 0) {
            r->count++;
            return r;
        }
    }
    if (t->n == TRACE_ROWS) {
        t->lost++;
        return NULL;
    }
    struct trace_row *r = &t->rows[t->n++];
    *r = (struct trace_row){.nr = nr, .verdict = verdict, .error = error, .count = 1};
    snprintf(r->what, sizeof(r->what), "%s", what);
    who_asked(tid, r);
    return r;
}

/* Of the errors that are noted (trace.c), and those that a filter gives. */
static const char *error_name(int error)
{
#define NAMED(e) [e] = #e
    static const char *const names[] = {
        NAMED(EPERM),       NAMED(EAGAIN),       NAMED(ENOMEM),       NAMED(EACCES),
        NAMED(ENFILE),      NAMED(EMFILE),       NAMED(EFBIG),        NAMED(ENOSPC),
        NAMED(EROFS),       NAMED(ENOSYS),       NAMED(EDQUOT),       NAMED(EINVAL),
        NAMED(ENETUNREACH), NAMED(EHOSTUNREACH), NAMED(EADDRNOTAVAIL)};
#undef NAMED
    size_t n = sizeof(names) / sizeof(*names);
    return error >= 0 && (size_t)error < n && names[error] ? names[error] : strerror(error);
}

/* "killed", "EPERM" and the like, "ignored" (the program is told that it was done): the filter's;
 * "failed EROFS": the kernel's, in spite of it */
static void verdict_name(const struct trace_row *r, char out[32])
{
    uint32_t action = r->verdict & SECCOMP_RET_ACTION_FULL;
    if (action == SECCOMP_RET_ERRNO)
        snprintf(out, 32, "%.31s",
                 r->verdict & SECCOMP_RET_DATA ? error_name((int)(r->verdict & SECCOMP_RET_DATA))
                                               : "ignored");
    else if (action != SECCOMP_RET_ALLOW)
        snprintf(out, 32, "killed");
    else if (r->error)
        snprintf(out, 32, "failed %.20s", error_name(r->error));
    else
        snprintf(out, 32, "allowed");
}

static bool is_refused(const struct trace_row *r)
{
    return r->verdict != SECCOMP_RET_ALLOW;
}

static const char *reason_of(const struct trace_row *r)
{
    const char *reason =
        is_refused(r) && r->nr >= 0 && r->nr < FILTER_CALLS ? filter_calls[r->nr].reason : NULL;
    return reason ? reason : "";
}

void trace_print_row(FILE *out, const struct trace_row *r)
{
    char name[32], verdict[32];
    verdict_name(r, verdict);
    fprintf(out, "%8llu  %-22s %-18s %s%s%s  [%s %d]%s%s\n", (unsigned long long)r->count,
            call_name(r->nr, name), verdict, r->what[0] ? "(" : "", r->what, r->what[0] ? ")" : "",
            r->comm, r->pid, *reason_of(r) ? "  -- " : "", reason_of(r));
}

/* What an operator looks for stands last, next to the prompt: failures, then refusals. */
static int weight(const struct trace_row *r)
{
    if (is_refused(r))
        return (r->verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO ? 2 : 3;
    return r->error ? 1 : 0;
}

static int compare(const void *a, const void *b)
{
    const struct trace_row *x = a, *y = b;
    if (weight(x) != weight(y))
        return weight(x) - weight(y);
    return x->count < y->count ? -1 : x->count > y->count;
}

static void sort(struct trace *t, int *refused, int *failed)
{
    qsort(t->rows, (size_t)t->n, sizeof(t->rows[0]), compare);
    *refused = *failed = 0;
    for (int i = 0; i < t->n; i++) {
        *refused += is_refused(&t->rows[i]);
        *failed += t->rows[i].error != 0;
    }
}

void trace_print(FILE *out, struct trace *t, const char *limits)
{
    int refused, failed;
    sort(t, &refused, &failed);
    fprintf(out, "%8s  %-22s %-18s %s\n", "COUNT", "CALL", "VERDICT",
            "ARGUMENTS  [FIRST ASKED BY]");
    for (int i = 0; i < t->n; i++)
        trace_print_row(out, &t->rows[i]);
    if (t->lost)
        fprintf(out, "%8llu  calls more, for which the table had no room\n",
                (unsigned long long)t->lost);
    fprintf(out, "vitrine-sandbox: %llu calls; %d kinds refused by the filter, %d failed%s%s\n",
            (unsigned long long)t->calls, refused, failed, *limits ? "; " : "", limits);
}

/* Strings are printable already. */
static void put_string(FILE *out, const char *s)
{
    putc('"', out);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putc('\\', out);
        putc(*s, out);
    }
    putc('"', out);
}

static void put_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, ",\"%s\":", name);
    put_string(out, value);
}

void trace_print_json(FILE *out, struct trace *t, const char *limits, int status)
{
    int refused, failed;
    sort(t, &refused, &failed);
    fprintf(out, "{\"status\":%d,\"calls\":%llu,\"lost\":%llu", status,
            (unsigned long long)t->calls, (unsigned long long)t->lost);
    put_field(out, "limits", limits);
    fputs(",\"rows\":[", out);
    for (int i = 0; i < t->n; i++) {
        const struct trace_row *r = &t->rows[i];
        char name[32], verdict[32];
        verdict_name(r, verdict);
        fprintf(out, "%s\n{\"count\":%llu,\"pid\":%d", i ? "," : "", (unsigned long long)r->count,
                r->pid);
        put_field(out, "call", call_name(r->nr, name));
        put_field(out, "verdict", verdict);
        put_field(out, "arguments", r->what);
        put_field(out, "program", r->comm);
        put_field(out, "reason", reason_of(r));
        putc('}', out);
    }
    fputs("]}\n", out);
}
