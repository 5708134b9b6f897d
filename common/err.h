/* Errors: every function that can fail returns 0 or a negative errno and, last argument, fills a
 * struct err with a sentence for people: the thing, the value, the remedy.
 *
 * `err` may be NULL where the caller does not want the words. Library code never logs and never
 * exits. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

struct err {
    int code;      /* positive errno, 0 while nothing failed */
    bool internal; /* the sentence is for the operator's log: it shows paths, or how things are made
                    */
    char msg[512]; /* one line, no newline at its end */
};

/* Sets the message (truncated to fit) and returns -code. `code` is a positive errno. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set with errno's value, ": " and strerror(errno) appended. Returns -errno (-EIO if it is
 * 0). */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message that is there; returns -err->code (or `fallback_code` negated
 * if err is NULL). */
int err_prefix(struct err *err, int fallback_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What an analyzer cannot see from another file: these never return 0 or more. */
#ifdef __clang_analyzer__
#define err_set(...) ((void)(err_set)(__VA_ARGS__), -1)
#define err_errno(...) ((void)(err_errno)(__VA_ARGS__), -1)
#define err_prefix(...) ((void)(err_prefix)(__VA_ARGS__), -1)
#endif
