#include "common/tlsname.h"

#include <string.h>
#include <strings.h>

bool tls_name_fits(const char *pattern, size_t len, const char *host)
{
    size_t host_len = strlen(host);
    if (host_len && host[host_len - 1] == '.')
        host_len--;
    if (len > 2 && pattern[0] == '*' && pattern[1] == '.') {
        const char *dot = memchr(host, '.', host_len);
        if (!dot || dot == host)
            return false;
        host_len -= (size_t)(dot - host);
        host = dot;
        pattern++;
        len--;
    }
    return len == host_len && strncasecmp(pattern, host, len) == 0;
}
