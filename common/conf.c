/* The option table at work: defaults, setting one option by name, and the whole as a memfd. Reading
 * the file is conf_file.c, the sample and the manual's list are conf_doc.c. */
#include "conf.h"

#include "conf_table.h"

#include "buf.h"
#include "cleanup.h"
#include "flavours.h"
#include "gpus.h"
#include "hostlist.h"
#include "hub_url.h"
#include "listen.h"
#include "netrule.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define CONF_FD_MAX_BYTES (256 * 1024)

const struct conf_option conf_table[] = {
#define X(section, key, type, def, least, most, text)                                              \
    {#section, #key, CONF_##type, offsetof(struct conf, section##_##key), def, least, most, text},
    CONF_OPTIONS(X)
#undef X
        {NULL, NULL, CONF_STR, 0, NULL, 0, 0, NULL},
};

/* A value of the table's type as one writes it in the file. */
void conf_value_text(enum conf_type type, uint64_t v, char out[48])
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } sizes[] = {{"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}},
      times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    switch (type) {
    case CONF_BYTES:
        for (size_t i = 0; v > 0 && i < sizeof sizes / sizeof *sizes; i++)
            if (v % sizes[i].factor == 0) {
                snprintf(out, 48, "%" PRIu64 "%s", v / sizes[i].factor, sizes[i].suffix);
                return;
            }
        snprintf(out, 48, "%" PRIu64, v);
        return;
    case CONF_MS:
        if (v == CONF_NEVER) {
            snprintf(out, 48, "never");
            return;
        }
        for (size_t i = 0; v > 0 && i < sizeof times / sizeof *times; i++)
            if (v % times[i].factor == 0) {
                snprintf(out, 48, "%" PRIu64 "%s", v / times[i].factor, times[i].suffix);
                return;
            }
        snprintf(out, 48, "%" PRIu64 "ms", v);
        return;
    case CONF_MILLI:
        snprintf(out, 48, "%" PRIu64 ".%03" PRIu64, v / 1000, v % 1000);
        if (v % 1000 == 0)
            *strchr(out, '.') = '\0';
        else
            for (char *end = out + strlen(out) - 1; *end == '0'; end--)
                *end = '\0';
        return;
    case CONF_BOOL:
        snprintf(out, 48, "%s", v ? "true" : "false");
        return;
    default:
        snprintf(out, 48, "%" PRIu64, v);
    }
}

static int parse_count(const char *s, uint64_t *ret)
{
    char *end;
    if (*s < '0' || *s > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoull(s, &end, 10);
    return errno || *end ? -EINVAL : 0;
}

/* "1", "0.5", "1.125" -> thousandths. */
static int parse_milli(const char *s, uint64_t *ret)
{
    char whole[16];
    size_t n = strspn(s, "0123456789");
    if (n == 0 || n >= sizeof whole)
        return -EINVAL;
    memcpy(whole, s, n);
    whole[n] = '\0';
    uint64_t v = strtoull(whole, NULL, 10) * 1000;
    s += n;
    if (*s == '.') {
        uint64_t place = 100;
        if (!*++s)
            return -EINVAL;
        for (; *s >= '0' && *s <= '9' && place; s++, place /= 10)
            v += (uint64_t)(*s - '0') * place;
    }
    *ret = v;
    return *s ? -EINVAL : 0;
}

static int parse_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
            *ret = strcasecmp(s, yes[i]) == 0;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_number(enum conf_type type, const char *s, uint64_t *ret)
{
    switch (type) {
    case CONF_BYTES:
        return parse_bytes(s, ret);
    case CONF_MS:
        return parse_duration_ms(s, ret);
    case CONF_MILLI:
        return parse_milli(s, ret);
    default:
        return parse_count(s, ret);
    }
}

/* What a value of this option looks like, for error messages and documents. */
void conf_expected(const struct conf_option *o, char out[160])
{
    char least[48], most[48];
    conf_value_text(o->type, o->least, least);
    conf_value_text(o->type, o->most, most);
    switch (o->type) {
    case CONF_STR:
        snprintf(out, 160, "text");
        break;
    case CONF_BOOL:
        snprintf(out, 160, "true or false");
        break;
    case CONF_INT:
        snprintf(out, 160, "a whole number from %s to %s", least, most);
        break;
    case CONF_MILLI:
        snprintf(out, 160, "a number from %s to %s, such as 0.5", least, most);
        break;
    case CONF_BYTES:
        if (o->most == UINT64_MAX)
            snprintf(out, 160, "a size such as 512M, at least %s", least);
        else
            snprintf(out, 160, "a size such as 512M, from %s to %s", least, most);
        break;
    case CONF_MS:
        if (o->most == CONF_NEVER)
            snprintf(out, 160, "a duration such as 500ms, 3s, 10m, 48h or never, at least %s",
                     least);
        else
            snprintf(out, 160, "a duration such as 500ms, 3s, 10m, from %s to %s", least, most);
        break;
    }
}

static int wrong_value(const struct conf_option *o, const char *value, const char *where,
                       struct err *err)
{
    char expected[160];
    conf_expected(o, expected);
    return err_set(err, EINVAL, "%s: %s.%s = \"%.80s\": it must be %s", where, o->section, o->key,
                   value, expected);
}

static int set_option(struct conf *c, const struct conf_option *o, const char *value,
                      const char *where, struct err *err)
{
    void *field = (char *)c + o->offset;
    if (o->type == CONF_STR) {
        char *copy = strdup(value);
        if (!copy)
            return err_set(err, ENOMEM, "%s: no memory for %s.%s", where, o->section, o->key);
        free(*(char **)field);
        *(char **)field = copy;
        return 0;
    }
    if (o->type == CONF_BOOL)
        return parse_bool(value, field) < 0 ? wrong_value(o, value, where, err) : 0;
    uint64_t v;
    if (parse_number(o->type, value, &v) < 0 || v < o->least || v > o->most)
        return wrong_value(o, value, where, err);
    *(uint64_t *)field = v;
    return 0;
}

const struct conf_option *conf_find(const char *section, size_t section_len, const char *key)
{
    for (const struct conf_option *o = conf_table; o->key; o++)
        if (strlen(o->section) == section_len && strncmp(o->section, section, section_len) == 0 &&
            strcmp(o->key, key) == 0)
            return o;
    return NULL;
}

/* The section that has this key, for the message about a wrong one. */
static const struct conf_option *find_key(const char *key)
{
    for (const struct conf_option *o = conf_table; o->key; o++)
        if (strcmp(o->key, key) == 0)
            return o;
    return NULL;
}

int conf_set(struct conf *c, const char *key, const char *value, const char *where, struct err *err)
{
    const char *dot = strchr(key, '.');
    const char *name = dot ? dot + 1 : key;
    const struct conf_option *o = dot ? conf_find(key, (size_t)(dot - key), name) : NULL;
    if (o)
        return set_option(c, o, value, where, err);
    const struct conf_option *near = find_key(name);
    if (near)
        return err_set(err, EINVAL, "%s: unknown option %.80s = \"%.80s\": did you mean %s.%s?",
                       where, key, value, near->section, near->key);
    return err_set(err, EINVAL,
                   "%s: unknown option %.80s = \"%.80s\": the sample file lists all that there are",
                   where, key, value);
}

int conf_init(struct conf *c)
{
    memset(c, 0, sizeof *c);
    for (const struct conf_option *o = conf_table; o->key; o++) {
        int r = set_option(c, o, o->def, "default", NULL);
        if (r < 0) {
            conf_free(c);
            return r;
        }
    }
    return 0;
}

void conf_free(struct conf *c)
{
    for (const struct conf_option *o = conf_table; o->key; o++)
        if (o->type == CONF_STR)
            free(*(char **)((char *)c + o->offset));
    memset(c, 0, sizeof *c);
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static int check_one_listen(void *arg, const struct listen_entry *e, struct err *err)
{
    const struct conf *c = arg;
    bool loopback = true;
    int r =
        e->kind == LISTEN_TCP ? listen_address(e->where, "server.also_listen", &loopback, err) : 0;
    if (r == 0 && e->proxied && e->kind != LISTEN_UNIX && !*c->server_trusted_proxies)
        return err_set(err, EINVAL,
                       "server.also_listen: \"%.80s proxy\" takes connections from "
                       "server.trusted_proxies only, and there are none: name them",
                       e->where);
    bool only_redirects = *c->tls_listen && c->tls_redirect;
    if (r == 0 && !loopback && !e->proxied && !only_redirects && !c->server_allow_insecure_listen)
        return err_set(err, EINVAL,
                       "server.also_listen: \"%.80s\" is reachable from other machines and there "
                       "is no TLS: set server.allow_insecure_listen = true, or add the word proxy "
                       "where a proxy in front sends the PROXY protocol",
                       e->where);
    return r;
}

static int check_tls_listen(void *arg, const struct listen_entry *e, struct err *err)
{
    const struct conf *c = arg;
    bool loopback;
    if (e->proxied && e->kind != LISTEN_UNIX && !*c->server_trusted_proxies)
        return err_set(err, EINVAL,
                       "tls.listen: \"%.80s proxy\" takes connections from "
                       "server.trusted_proxies only, and there are none: name them",
                       e->where);
    return e->kind == LISTEN_TCP ? listen_address(e->where, "tls.listen", &loopback, err) : 0;
}

static int check_tls(const struct conf *c, struct err *err)
{
    static const char *const versions[] = {"1.2", "1.3", NULL};
    if (!is_one_of(c->tls_min_version, versions))
        return err_set(err, EINVAL, "tls.min_version = \"%.80s\": it must be 1.2 or 1.3",
                       c->tls_min_version);
    if (*c->tls_challenges && *c->tls_challenges != '/')
        return err_set(err, EINVAL,
                       "tls.challenges = \"%.80s\": it must be the absolute path of a folder",
                       c->tls_challenges);
    if (*c->tls_certificates && !*c->tls_listen)
        return err_set(err, EINVAL,
                       "tls.certificates is set and tls.listen is not: HTTPS needs an address to "
                       "listen on, such as 0.0.0.0:443");
    return listen_each(c->tls_listen, "tls.listen", check_tls_listen, (void *)(uintptr_t)c, err);
}

static int check_trusted(void *arg, const char *entry, const struct netrule *rule, struct err *err)
{
    (void)arg;
    if (rule->port)
        return err_set(err, EINVAL,
                       "server.trusted_proxies: \"%s\": a proxy is trusted whatever its port",
                       entry);
    return 0;
}

static int check_listeners(const struct conf *c, struct err *err)
{
    static const char *const headers[] = {"x-forwarded-for", "forwarded", NULL};
    if (!is_one_of(c->server_proxy_header, headers))
        return err_set(err, EINVAL,
                       "server.proxy_header = \"%.80s\": it must be x-forwarded-for or forwarded",
                       c->server_proxy_header);
    int r = netrule_list(c->server_trusted_proxies, "server.trusted_proxies", true, check_trusted,
                         NULL, err);
    return r < 0 ? r
                 : listen_each(c->server_also_listen, "server.also_listen", check_one_listen,
                               (void *)(uintptr_t)c, err);
}

/* A host name as DNS and cookies take it: labels of letters, digits and '-', at most 63 each. With
 * the longest Space label before it, it must still be a name. */
static int check_domain(const char *key, const char *name, struct err *err)
{
    size_t label = 0, len = strlen(name);
    bool ok = len > 0 && len <= 253 - 64;
    for (size_t i = 0; ok && i <= len; i++) {
        char c = name[i];
        if (c == '.' || c == '\0') {
            ok = label > 0 && label <= 63 && name[i - 1] != '-';
            label = 0;
        } else {
            ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label > 0);
            label++;
        }
    }
    if (ok)
        return 0;
    return err_set(err, EINVAL,
                   "%s = \"%.80s\": it must be a host name in lower case, without port, of at most "
                   "189 characters",
                   key, name);
}

unsigned conf_threads(const char *text)
{
    unsigned n = 0;
    if (strcmp(text, "auto") == 0)
        return 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > CONF_THREADS_MAX)
            return CONF_THREADS_MAX + 1;
        n = n * 10 + (unsigned)(*p - '0');
    }
    return n >= 1 && n <= CONF_THREADS_MAX ? n : CONF_THREADS_MAX + 1;
}

int conf_check(const struct conf *c, struct err *err)
{
    static const char *const formats[] = {"text", "json", NULL};
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    if (!is_one_of(c->log_format, formats))
        return err_set(err, EINVAL, "log.format = \"%.80s\": it must be text or json",
                       c->log_format);
    if (!is_one_of(c->log_level, levels))
        return err_set(err, EINVAL, "log.level = \"%.80s\": it must be debug, info, warn or error",
                       c->log_level);
    if (conf_threads(c->gateway_threads) > CONF_THREADS_MAX)
        return err_set(err, EINVAL, "gateway.threads = \"%.80s\": it must be auto or 1 to %d",
                       c->gateway_threads, CONF_THREADS_MAX);
    static const char *const readers[] = {"admin", "loopback", NULL};
    if (!is_one_of(c->server_metrics, readers))
        return err_set(err, EINVAL, "server.metrics = \"%.80s\": it must be admin or loopback",
                       c->server_metrics);
    if (strcmp(c->server_metrics, "loopback") == 0 && *c->server_public_url &&
        !*c->server_trusted_proxies)
        return err_set(err, EINVAL,
                       "server.metrics = loopback: whoever comes by the proxy in front "
                       "(server.public_url) would be taken for this machine: name it in "
                       "server.trusted_proxies");
    static const char *const accesses[] = {"off", "combined", "json", NULL};
    if (!is_one_of(c->log_access, accesses))
        return err_set(err, EINVAL, "log.access = \"%.80s\": it must be off, combined or json",
                       c->log_access);
    bool loopback = false;
    int r = listen_address(c->server_listen, "server.listen", &loopback, err);
    if (r == 0)
        r = check_tls(c, err);
    if (r < 0)
        return r;
    bool only_redirects = *c->tls_listen && c->tls_redirect;
    if (!loopback && !only_redirects && !c->server_allow_insecure_listen)
        return err_set(err, EINVAL,
                       "server.listen = \"%.80s\" is reachable from other machines and there is no "
                       "TLS: set tls.listen (man vitrine.ini), listen on 127.0.0.1 behind a proxy, "
                       "or set server.allow_insecure_listen = true",
                       c->server_listen);
    r = check_listeners(c, err);
    if (r == 0)
        r = check_domain("server.domain", c->server_domain, err);
    if (r == 0 && *c->server_demo_domain)
        r = check_domain("server.demo_domain", c->server_demo_domain, err);
    if (r < 0)
        return r;
    if (*c->server_public_url && strncmp(c->server_public_url, "http://", 7) != 0 &&
        strncmp(c->server_public_url, "https://", 8) != 0)
        return err_set(err, EINVAL,
                       "server.public_url = \"%.80s\": it must begin with http:// or https://",
                       c->server_public_url);
    if (!*c->server_data)
        return err_set(err, EINVAL, "server.data is empty: name a folder");
    if (strcmp(c->sandbox_root, "host") != 0 && c->sandbox_root[0] != '/')
        return err_set(err, EINVAL,
                       "sandbox.root = \"%.80s\": it must be host or the absolute path of a folder",
                       c->sandbox_root);
    if (c->sandbox_python[0] != '/')
        return err_set(err, EINVAL, "sandbox.python = \"%.80s\": it must be an absolute path",
                       c->sandbox_python);
    static const char *const policies[] = {"none", "internet", NULL};
    if (!is_one_of(c->network_policy, policies))
        return err_set(err, EINVAL, "network.policy = \"%.80s\": it must be none or internet",
                       c->network_policy);
    if ((r = netrule_list(c->network_deny, "network.deny", false, NULL, NULL, err)) < 0 ||
        (r = netrule_list(c->network_allow, "network.allow", true, NULL, NULL, err)) < 0 ||
        (r = flavours_each(c->hardware_flavours, NULL, NULL, err)) < 0 ||
        (r = gpus_check(c->hardware_gpus, "hardware.gpus", err)) < 0 ||
        (r = gpus_check(c->hardware_gpu_common, "hardware.gpu_common", err)) < 0 ||
        (r = hostlist_each(c->build_hosts, "build.hosts", NULL, NULL, err)) < 0 ||
        (r = hostlist_each(c->build_inside_hosts, "build.inside_hosts", NULL, NULL, err)) < 0)
        return r;
    struct hub_url hub;
    if (*c->build_hub && hub_url_parse(c->build_hub, &hub, err) < 0)
        return err_prefix(err, EINVAL, "build.hub");
    if (*c->build_hub_token_file && *c->build_hub_token_file != '/')
        return err_set(err, EINVAL, "build.hub_token_file = \"%.80s\": it must be an absolute path",
                       c->build_hub_token_file);
    if (c->lifecycle_backoff_first > c->lifecycle_backoff_max)
        return err_set(err, EINVAL,
                       "lifecycle.backoff_first is longer than lifecycle.backoff_max: make it "
                       "shorter");
    return 0;
}

/* The memfd holds "section.key" NUL "value" NUL for every option: no quoting, no line limits. */
int conf_to_fd(const struct conf *c, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CONF_FD_MAX_BYTES);
    for (const struct conf_option *o = conf_table; o->key; o++) {
        char number[48];
        const void *field = (const char *)c + o->offset;
        const char *value = number;
        if (o->type == CONF_STR)
            value = *(char *const *)field;
        else if (o->type == CONF_BOOL)
            conf_value_text(o->type, *(const bool *)field, number);
        else
            conf_value_text(o->type, *(const uint64_t *)field, number);
        int r = buf_printf(&b, "%s.%s", o->section, o->key);
        if (r == 0)
            r = buf_append(&b, "", 1);
        if (r == 0)
            r = buf_append(&b, value, strlen(value) + 1);
        if (r < 0)
            return err_set(err, -r, "the configuration is too large at %s.%s", o->section, o->key);
    }
    _cleanup_close_ int fd = memfd_create("vitrine-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, "cannot make a memfd for the configuration");
    int r = write_all(fd, b.data, b.len);
    if (r < 0)
        return err_set(err, -r, "cannot write the configuration: %s", strerror(-r));
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_errno(err, "cannot seal the configuration");
    return steal_fd(&fd);
}

int conf_from_fd(struct conf *c, int fd, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CONF_FD_MAX_BYTES);
    /* From the start, whoever read it before: every program inherits the same open file. */
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, "cannot read the configuration handed over");
    int r = buf_read_fd(&b, fd);
    if (r < 0)
        return err_set(err, -r, "cannot read the configuration handed over: %s", strerror(-r));
    if (b.len == 0 || b.data[b.len - 1] != '\0')
        return err_set(err, EPROTO, "the configuration handed over is cut off");
    for (const char *p = b.data, *end = b.data + b.len; p < end;) {
        const char *value = p + strlen(p) + 1;
        if (value >= end)
            return err_set(err, EPROTO, "the configuration handed over is cut off at %.80s", p);
        r = conf_set(c, p, value, "configuration handed over", err);
        if (r < 0)
            return r;
        p = value + strlen(value) + 1;
    }
    return 0;
}
