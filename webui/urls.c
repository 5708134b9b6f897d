#include "webui/urls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The port of "ADDR:PORT" or "[ADDR]:PORT"; "" where it is the scheme's own. */
static const char *port_suffix(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    return !colon || strcmp(colon, ":80") == 0 ? "" : colon;
}

static int copy(char *out, struct err *err, const char *a, const char *b, const char *c)
{
    int n = snprintf(out, URL_BASE_MAX, "%s%s%s", a, b, c);
    return n >= URL_BASE_MAX ? err_set(err, ENAMETOOLONG, "server.domain or public_url is too long")
                             : 0;
}

int urls_init(struct urls *u, const struct conf *conf, struct err *err)
{
    *u = (struct urls){.scheme = "http"};
    const char *demo = *conf->server_demo_domain ? conf->server_demo_domain : conf->server_domain;
    const char *public_url = conf->server_public_url;
    if (!*public_url) {
        const char *port = port_suffix(conf->server_listen);
        const char *domain = conf->server_domain;
        size_t len = strlen(domain);
        u->cookies_work = strcmp(domain, "localhost") == 0 ||
                          (len > 10 && strcmp(domain + len - 10, ".localhost") == 0);
        int r = copy(u->site, err, "http://", domain, port);
        return r < 0 ? r : copy(u->demo_suffix, err, ".", demo, port);
    }

    const char *host = strstr(public_url, "://");
    if (!host ||
        (strncmp(public_url, "http://", 7) != 0 && strncmp(public_url, "https://", 8) != 0))
        return err_set(err, EINVAL,
                       "server.public_url is \"%s\": write http://NAME or https://NAME",
                       public_url);
    snprintf(u->scheme, sizeof u->scheme, "%.*s", (int)(host - public_url), public_url);
    host += 3;
    size_t host_len = strcspn(host, "/");
    int r = copy(u->site, err, public_url, "", "");
    if (r < 0)
        return r;
    u->site[(size_t)(host - public_url) + host_len] = 0;
    const char *site_host = u->site + (host - public_url);
    const char *port = strrchr(site_host, ':');
    if (port && strchr(port, ']'))
        port = NULL;
    u->cookies_work = strcmp(u->scheme, "https") == 0 || strncmp(site_host, "localhost", 9) == 0;
    return copy(u->demo_suffix, err, ".", demo, port ? port : "");
}

void urls_demo(const struct urls *u, const char *label, char out[URL_MAX])
{
    snprintf(out, URL_MAX, "%s://%.63s%s", u->scheme, label, u->demo_suffix);
}

void urls_page(const struct urls *u, const char *owner, const char *name, char out[URL_MAX])
{
    snprintf(out, URL_MAX, "%s/spaces/%.96s/%.96s", u->site, owner, name);
}

bool urls_own_origin(const struct urls *u, const char *origin, const char *host)
{
    if (strcasecmp(origin, u->site) == 0)
        return true;
    /* The site under another of its names (127.0.0.1): the browser itself says both. Under its own
     * the scheme counts: who is between can make any page of http://NAME. */
    const char *name = strstr(origin, "://"), *own = strstr(u->site, "://") + 3;
    if (!name || !host || !*host || strcasecmp(name + 3, host) != 0)
        return false;
    size_t len = strcspn(own, ":");
    bool by_own_name = strncasecmp(host, own, len) == 0 && (host[len] == ':' || host[len] == '\0');
    return !by_own_name || ((size_t)(name - origin) == strlen(u->scheme) &&
                            strncasecmp(origin, u->scheme, strlen(u->scheme)) == 0);
}
