#include "runner/public.h"

#include <errno.h>
#include <string.h>

const char *public_reason(int code, const char *message)
{
    if (code == ENOSPC || code == EDQUOT)
        return "there is no space left on the server's disk";
    if (strchr(message, '/'))
        return "the server could not do it; the server's log says why";
    return message;
}
