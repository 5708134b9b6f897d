#include "proxyhead.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define V1_MAX 107 /* with its CRLF: section 2.1 */
#define V2_HEAD 16

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static void set_v4(struct proxyhead *h, const void *addr, uint16_t port_be)
{
    struct sockaddr_in *a = (struct sockaddr_in *)(void *)&h->from;
    a->sin_family = AF_INET;
    memcpy(&a->sin_addr, addr, 4);
    a->sin_port = port_be;
    h->known = true;
}

static void set_v6(struct proxyhead *h, const void *addr, uint16_t port_be)
{
    struct sockaddr_in6 *a = (struct sockaddr_in6 *)(void *)&h->from;
    a->sin6_family = AF_INET6;
    memcpy(&a->sin6_addr, addr, 16);
    a->sin6_port = port_be;
    h->known = true;
}

/* ---- version 2 ---- */

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Type, length and value, one after the other to the end: section 2.2. */
static bool tlvs_ok(const uint8_t *p, size_t len)
{
    while (len) {
        if (len < 3)
            return false;
        size_t n = 3u + u16_at(p + 1);
        if (n > len)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

static int parse_v2(struct proxyhead *h, const uint8_t *p, size_t len)
{
    if (len < V2_HEAD)
        return 0;
    size_t n = u16_at(p + 14);
    uint8_t command = p[12] & 0x0f;
    if (p[12] >> 4 != 2 || command > 1 || V2_HEAD + n > PROXYHEAD_MAX)
        return -1;
    if (len < V2_HEAD + n)
        return 0;
    const uint8_t *a = p + V2_HEAD;
    size_t takes = 0;
    uint16_t port;
    if (command == 1) { /* PROXY; of LOCAL nothing else counts */
        switch (p[13]) {
        case 0x00: /* UNSPEC: the rest says nothing that is known */
            return V2_HEAD + (int)n;
        case 0x11: /* TCP over IPv4 */
            takes = 12;
            break;
        case 0x21: /* TCP over IPv6 */
            takes = 36;
            break;
        case 0x31: /* Unix stream */
            takes = 216;
            break;
        default: /* datagrams, and what is reserved */
            return -1;
        }
        if (n < takes || !tlvs_ok(a + takes, n - takes))
            return -1;
        if (takes == 12) {
            memcpy(&port, a + 8, 2);
            set_v4(h, a, port);
        } else if (takes == 36) {
            memcpy(&port, a + 32, 2);
            set_v6(h, a, port);
        }
    }
    return V2_HEAD + (int)n;
}

/* ---- version 1 ---- */

/* The next word up to a blank or the end, with its NUL in `out`; what follows it, or NULL. */
static const char *word(const char *p, const char *end, char *out, size_t size)
{
    size_t n = 0;
    while (p + n < end && p[n] != ' ')
        n++;
    if (n == 0 || n >= size)
        return NULL;
    memcpy(out, p, n);
    out[n] = '\0';
    return p + n + (p + n < end);
}

/* A decimal port without zeros before it; -1. */
static int port_of(const char *s)
{
    int v = 0;
    if (s[0] == '0' && s[1])
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -1;
        v = v * 10 + *s - '0';
        if (v > 65535)
            return -1;
    }
    return v;
}

static bool tcp_words(struct proxyhead *h, const char *p, const char *end, int family)
{
    char from[48], to[48], from_port[8], to_port[8];
    uint8_t a[16], b[16];
    if (!(p = word(p, end, from, sizeof(from))) || !(p = word(p, end, to, sizeof(to))) ||
        !(p = word(p, end, from_port, sizeof(from_port))) ||
        !(p = word(p, end, to_port, sizeof(to_port))) || p != end || p[-1] == ' ' ||
        inet_pton(family, from, a) != 1 || inet_pton(family, to, b) != 1 ||
        port_of(from_port) < 0 || port_of(to_port) < 0)
        return false;
    uint16_t port = htons((uint16_t)port_of(from_port));
    if (family == AF_INET)
        set_v4(h, a, port);
    else
        set_v6(h, a, port);
    return true;
}

static int parse_v1(struct proxyhead *h, const char *p, size_t len)
{
    size_t line = 0; /* printable characters, then CR LF */
    while (line < len && line < V1_MAX - 2 && p[line] >= 0x20 && p[line] < 0x7f)
        line++;
    if (line == len)
        return 0;
    if (p[line] != '\r' || line < 6)
        return -1;
    if (line + 1 == len)
        return 0;
    if (p[line + 1] != '\n')
        return -1;
    const char *end = p + line;
    int n = (int)line + 2;
    size_t rest = (size_t)(end - p) - 6;
    p += 6; /* "PROXY " */
    if (rest >= 7 && memcmp(p, "UNKNOWN", 7) == 0 && (rest == 7 || p[7] == ' '))
        return n;
    if (rest > 5 && memcmp(p, "TCP4 ", 5) == 0)
        return tcp_words(h, p + 5, end, AF_INET) ? n : -1;
    if (rest > 5 && memcmp(p, "TCP6 ", 5) == 0)
        return tcp_words(h, p + 5, end, AF_INET6) ? n : -1;
    return -1;
}

static bool begins(const void *bytes, size_t len, const void *with, size_t n)
{
    return memcmp(bytes, with, len < n ? len : n) == 0;
}

int proxyhead_parse(struct proxyhead *h, const void *bytes, size_t len)
{
    *h = (struct proxyhead){0};
    if (len == 0)
        return 0;
    if (begins(bytes, len, signature, sizeof(signature)))
        return parse_v2(h, bytes, len);
    if (begins(bytes, len, "PROXY ", 6))
        return len < 8 ? 0 : parse_v1(h, bytes, len);
    return -1;
}
