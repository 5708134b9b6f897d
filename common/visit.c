#include "visit.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define MARK "vitrine visit 1\n"
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* What is signed: the mark and the text before the signature's dot. */
static size_t signed_text(char out[sizeof(MARK) + VISIT_TEXT], const char *text, size_t len)
{
    memcpy(out, MARK, sizeof(MARK) - 1);
    memcpy(out + sizeof(MARK) - 1, text, len);
    return sizeof(MARK) - 1 + len;
}

int visit_make(const unsigned char key[KEYS_VISIT_KEY], uint64_t space_id, uint64_t now_s,
               char out[VISIT_TEXT], struct err *err)
{
    unsigned char sig[crypto_sign_BYTES];
    char message[sizeof(MARK) + VISIT_TEXT];
    int n = snprintf(out, VISIT_TEXT, "v1.%" PRIu64 ".%" PRIu64 ".%" PRIu64, space_id,
                     now_s + VISIT_ENTER_S, now_s + VISIT_S);
    size_t len = signed_text(message, out, (size_t)n);
    if (crypto_sign_detached(sig, NULL, (const unsigned char *)message, len, key) != 0)
        return err_set(err, EIO, "a visit cannot be signed");
    out[n] = '.';
    sodium_bin2base64(out + n + 1, VISIT_TEXT - (size_t)n - 1, sig, sizeof(sig), VARIANT);
    return 0;
}

/* A plain decimal number and the dot behind it. */
static bool number(const char **p, const char *end, uint64_t *ret)
{
    const char *from = *p;
    *ret = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)(**p - '0'), ret))
            return false;
    if (*p == from || *p == end || **p != '.' || (*from == '0' && *p - from > 1))
        return false;
    ++*p;
    return true;
}

enum visit_verdict visit_check(const unsigned char pub[KEYS_VISIT_PUB], uint64_t space_id,
                               const char *text, size_t len, uint64_t now_s, bool entering,
                               uint64_t *end_s)
{
    unsigned char sig[crypto_sign_BYTES];
    char message[sizeof(MARK) + VISIT_TEXT];
    const char *p = text + 3, *end = text + len;
    uint64_t space, enter, until;
    size_t got = 0;
    if (len < 4 || len >= VISIT_TEXT || memcmp(text, "v1.", 3) != 0 || !number(&p, end, &space) ||
        !number(&p, end, &enter) || !number(&p, end, &until))
        return VISIT_BAD;
    if (sodium_base642bin(sig, sizeof(sig), p, (size_t)(end - p), NULL, &got, NULL, VARIANT) != 0 ||
        got != sizeof(sig))
        return VISIT_BAD;
    size_t n = signed_text(message, text, (size_t)(p - 1 - text));
    if (space != space_id || !space_id ||
        crypto_sign_verify_detached(sig, (const unsigned char *)message, n, pub) != 0)
        return VISIT_BAD;
    if (now_s >= until || (entering && now_s >= enter))
        return VISIT_OVER;
    *end_s = until;
    return VISIT_GOOD;
}
