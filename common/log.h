/* Logging: one line an event on stderr, as text or JSON, with the Space and the worker it is about.
 * Only programs log (their main and modules); common/ itself does not. Not for visitors' eyes. */
#pragma once

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* What an event is about; either part may be absent (NULL, 0). */
struct log_ctx {
    const char *space; /* "owner/name" */
    uint64_t worker_id;
};

/* `program` is kept by pointer. Writes to `fd` (2 usually), which it does not own. */
void log_init(const char *program, enum log_format format, enum log_level level, int fd);

/* One event: `event` is a dotted name ("worker.ready"), the rest a sentence. `ctx` may be NULL.
 * The line goes out in one write(2) of at most 4 KiB; control characters are escaped. errno is
 * kept. */
void log_event(enum log_level level, const struct log_ctx *ctx, const char *event, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

#define log_debug(ctx, event, ...) log_event(LOG_LEVEL_DEBUG, ctx, event, __VA_ARGS__)
#define log_info(ctx, event, ...) log_event(LOG_LEVEL_INFO, ctx, event, __VA_ARGS__)
#define log_warn(ctx, event, ...) log_event(LOG_LEVEL_WARN, ctx, event, __VA_ARGS__)
#define log_error(ctx, event, ...) log_event(LOG_LEVEL_ERROR, ctx, event, __VA_ARGS__)
