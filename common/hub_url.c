#include "common/hub_url.h"

#include "common/hostlist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int take(void *arg, const struct hostlist_entry *e)
{
    struct hub_url *u = arg;
    if (u->host[0] || e->host[0] == '*')
        return -EINVAL;
    snprintf(u->host, sizeof(u->host), "%s", e->host);
    u->port = e->port;
    return 0;
}

int hub_url_parse(const char *url, struct hub_url *ret, struct err *err)
{
    char authority[300];
    *ret = (struct hub_url){.secure = strncmp(url, "https://", 8) == 0};
    const char *host = ret->secure ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    size_t n = host ? strcspn(host, "/") : 0;
    if (n && n < sizeof(authority) && strcspn(host, " \t@,?#\\") == strlen(host)) {
        snprintf(authority, sizeof(authority), "%.*s", (int)n, host);
        if (hostlist_each(authority, "", take, ret, NULL) == 0 && ret->host[0]) {
            ret->port = ret->port ? ret->port : ret->secure ? 443 : 80;
            ret->path = host + n;
            ret->path_len = (int)strlen(ret->path);
            while (ret->path_len && ret->path[ret->path_len - 1] == '/')
                ret->path_len--;
            return 0;
        }
    }
    return err_set(err, EINVAL, "\"%.80s\" is no URL as http://HOST[:PORT][/PATH]", url);
}
