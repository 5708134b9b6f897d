#include "http1_names.h"

#include "http1_scan.h"

/* Of a token of `n` bytes: are they these, without case? `n` is known where this is compiled. What
 * becomes a lower case letter or '-' by 0x20 is no other byte that a token may have. */
static inline __attribute__((always_inline)) bool is_name(const char *p, const char *lit, size_t n)
{
    uint64_t differ = 0;
    size_t i = 0;
    if (n < 8) {
        for (; i < n; i++)
            differ |= (uint64_t)((uint8_t)(p[i] | 0x20) ^ (uint8_t)lit[i]);
        return differ == 0;
    }
    for (; i + 8 <= n; i += 8)
        differ |= (scan_load(p + i) | SCAN_ALL(0x20u)) ^ scan_load(lit + i);
    if (i < n)
        differ |= (scan_load(p + n - 8) | SCAN_ALL(0x20u)) ^ scan_load(lit + n - 8);
    return differ == 0;
}

/* Told apart by length first: almost every name of a real request ends here without a compare. */
enum http1_field_id http1_field_of(const char *p, size_t len)
{
#define IS(lit, id)                                                                                \
    if (is_name(p, lit, sizeof(lit) - 1))                                                          \
    return id
    switch (len) {
    case 2:
        IS("te", FIELD_HOP);
        break;
    case 4:
        IS("host", FIELD_HOST);
        IS("date", FIELD_DATE);
        break;
    case 5:
        IS("range", FIELD_END_TO_END);
        IS("proxy", FIELD_FORWARDING);
        break;
    case 6:
        IS("accept", FIELD_ACCEPT);
        IS("expect", FIELD_EXPECT);
        IS("cookie", FIELD_COOKIE);
        break;
    case 7:
        IS("upgrade", FIELD_UPGRADE);
        IS("alt-svc", FIELD_SITE_WIDE);
        break;
    case 9:
        IS("forwarded", FIELD_FORWARDING);
        IS("x-real-ip", FIELD_FORWARDING);
        break;
    case 10:
        IS("connection", FIELD_CONNECTION);
        IS("user-agent", FIELD_USER_AGENT);
        IS("set-cookie", FIELD_SET_COOKIE);
        IS("keep-alive", FIELD_HOP);
        break;
    case 12:
        IS("content-type", FIELD_END_TO_END);
        IS("max-forwards", FIELD_MAX_FORWARDS);
        break;
    case 13:
        IS("authorization", FIELD_AUTHORIZATION);
        IS("cache-control", FIELD_END_TO_END);
        IS("content-range", FIELD_END_TO_END);
        break;
    case 14:
        IS("content-length", FIELD_CONTENT_LENGTH);
        IS("sec-fetch-mode", FIELD_SEC_FETCH_MODE);
        break;
    case 15:
        IS("clear-site-data", FIELD_SITE_WIDE);
        break;
    case 16:
        IS("content-encoding", FIELD_END_TO_END);
        IS("proxy-connection", FIELD_HOP);
        break;
    case 17:
        IS("transfer-encoding", FIELD_TRANSFER_ENCODING);
        break;
    case 18:
        IS("x-hf-authorization", FIELD_OURS);
        IS("proxy-authenticate", FIELD_HOP);
        break;
    case 19:
        IS("proxy-authorization", FIELD_HOP);
        break;
    case 25:
        IS("strict-transport-security", FIELD_SITE_WIDE);
        break;
    }
    if (len > 12 && is_name(p, "x-forwarded-", 12))
        return FIELD_FORWARDING;
    return FIELD_OTHER;
#undef IS
}

enum http1_field_id http1_spoofed_field(const char *p, size_t len)
{
    char name[64];
    if (len > sizeof(name))
        len = sizeof(name);
    for (size_t i = 0; i < len; i++)
        name[i] = http1_token_char[(uint8_t)p[i]] == 2 ? '-' : p[i];
    return http1_field_of(name, len) == FIELD_OTHER ? FIELD_OTHER : FIELD_SPOOF;
}

bool http1_named_hop(const struct http1_head *h, const char *p, const struct http1_field *f)
{
    char name[256];
    if (!h->has_named_hops || f->name_len >= sizeof(name))
        return false;
    for (size_t i = 0; i < f->name_len; i++)
        name[i] = lower(p[f->name + i]);
    name[f->name_len] = '\0';
    for (size_t i = 0; i < h->n_fields; i++)
        if (h->fields[i].id == FIELD_CONNECTION &&
            http1_list_has(p + h->fields[i].value, h->fields[i].value_len, name))
            return true;
    return false;
}
