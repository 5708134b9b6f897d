#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The analyzer's names for them (err.h). */
#undef err_set
#undef err_errno
#undef err_prefix

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        err->internal = false;
        vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return -code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
    int code = errno ? errno : EIO;
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        err->internal = false;
        int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof err->msg)
            snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", strerror(code));
    }
    return -code;
}

int err_prefix(struct err *err, int fallback_code, const char *fmt, ...)
{
    if (!err)
        return -fallback_code;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    if (!err->code)
        err->code = fallback_code;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", old);
    return -err->code;
}
