#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_MAX 512

int listen_address(const char *text, const char *what, bool *loopback, struct err *err)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof host || digits == 0 ||
        digits > 5 || colon[1 + digits] || atoi(colon + 1) > 65535)
        return err_set(err, EINVAL,
                       "%s = \"%.80s\": it must be ADDRESS:PORT, such as 127.0.0.1:8080 "
                       "or [::1]:8080",
                       what, text);
    size_t len = (size_t)(colon - text);
    bool brackets = text[0] == '[' && colon[-1] == ']';
    memcpy(host, text + brackets, len - 2 * brackets);
    host[len - 2 * brackets] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (!brackets && inet_pton(AF_INET, host, &v4) == 1)
        *loopback = ntohl(v4.s_addr) >> 24 == 127;
    else if (brackets && inet_pton(AF_INET6, host, &v6) == 1)
        *loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    else
        return err_set(err, EINVAL,
                       "%s = \"%.80s\": \"%s\" is no address; write a numeric one "
                       "(IPv6 in brackets)",
                       what, text, host);
    return 0;
}

static int take_word(struct listen_entry *e, const char *word, const char *what, struct err *err)
{
    if (strcmp(word, "proxy") == 0) {
        e->proxied = true;
        return 0;
    }
    if (e->kind == LISTEN_UNIX && strncmp(word, "mode=", 5) == 0) {
        char *end;
        unsigned long v = strtoul(word + 5, &end, 8);
        if (word[5] < '0' || word[5] > '7' || *end || v > 0777)
            return err_set(err, EINVAL, "%s: \"%.80s\": it must be octal, such as mode=0660", what,
                           word);
        e->mode = (mode_t)v;
        return 0;
    }
    if (e->kind == LISTEN_UNIX && strncmp(word, "owner=", 6) == 0) {
        size_t user = strcspn(word + 6, ":");
        const char *group = word[6 + user] ? word + 6 + user + 1 : "";
        if (user == 0 || user >= sizeof(e->user) || strlen(group) >= sizeof(e->group))
            return err_set(err, EINVAL, "%s: \"%.80s\": it must be owner=USER or USER:GROUP", what,
                           word);
        memcpy(e->user, word + 6, user);
        e->user[user] = '\0';
        snprintf(e->group, sizeof(e->group), "%s", group);
        return 0;
    }
    return err_set(err, EINVAL,
                   "%s: \"%.80s\" is no word for \"%.80s\": there is proxy, and for unix:PATH "
                   "mode=OCTAL and owner=USER:GROUP",
                   what, word, e->where);
}

static int parse(struct listen_entry *e, char *text, const char *what, struct err *err)
{
    char *save = NULL, *word = strtok_r(text, " \t", &save);
    const char *where = word;
    bool loopback;
    int r = 0;
    *e = (struct listen_entry){.kind = LISTEN_TCP, .mode = 0600};
    if (strncmp(word, "unix:", 5) == 0) {
        e->kind = LISTEN_UNIX;
        where += 5;
        if (*where != '/')
            return err_set(err, EINVAL, "%s: \"%.80s\": the path must be absolute", what, word);
    } else if (strncmp(word, "fd:", 3) == 0) {
        e->kind = LISTEN_FD;
        where += 3;
    } else {
        r = listen_address(word, what, &loopback, err);
    }
    if (r == 0 && (*where == '\0' || strlen(where) >= sizeof(e->where)))
        r = err_set(err, EINVAL, "%s: \"%.80s\" names nothing, or is too long", what, word);
    if (r < 0)
        return r;
    snprintf(e->where, sizeof(e->where), "%s", where);
    while (r == 0 && (word = strtok_r(NULL, " \t", &save)))
        r = take_word(e, word, what, err);
    return r;
}

int listen_each(const char *list, const char *what,
                int (*each)(void *arg, const struct listen_entry *e, struct err *err), void *arg,
                struct err *err)
{
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        char text[ENTRY_MAX];
        struct listen_entry e;
        if (len >= sizeof(text))
            return err_set(err, EINVAL, "%s: \"%.40s...\" is too long", what, p);
        memcpy(text, p, len);
        text[len] = '\0';
        p += len + (p[len] == ',');
        if (!text[strspn(text, " \t")])
            continue;
        int r = parse(&e, text, what, err);
        if (r == 0 && each)
            r = each(arg, &e, err);
        if (r < 0)
            return r;
    }
    return 0;
}
