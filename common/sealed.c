#include "sealed.h"

#include "cleanup.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL_NO_PADDING
#define MARK "vitrine secret 1"
#define SPACE_AT sizeof(MARK)
#define NAME_AT (SPACE_AT + 8)

/* What is sealed: the mark, the Space (64 bits, little-endian), the name and the value, each text
 * with its NUL, but for the value. */
static size_t head_len(const char *name)
{
    return NAME_AT + strlen(name) + 1;
}

static void write_head(unsigned char *out, uint64_t space_id, const char *name)
{
    memcpy(out, MARK, sizeof(MARK));
    for (int i = 0; i < 8; i++)
        out[SPACE_AT + (size_t)i] = (unsigned char)(space_id >> (8 * i));
    memcpy(out + NAME_AT, name, strlen(name) + 1);
}

int sealed_make(const unsigned char pub[KEYS_BOX], uint64_t space_id, const char *name,
                const char *value, char **ret, struct err *err)
{
    size_t head = head_len(name), len = head + strlen(value), box_len = len + crypto_box_SEALBYTES;
    size_t text_len = sodium_base64_encoded_len(box_len, VARIANT);
    unsigned char *plain = malloc(len + 1);
    _cleanup_free_ unsigned char *box = malloc(box_len);
    char *text = malloc(text_len);
    int r = -ENOMEM;
    if (plain && box && text) {
        write_head(plain, space_id, name);
        memcpy(plain + head, value, len - head);
        r = crypto_box_seal(box, plain, len, pub) == 0 ? 0 : -EIO;
    }
    if (plain)
        sodium_memzero(plain, len);
    free(plain);
    if (r < 0) {
        free(text);
        return err_set(err, -r, "the secret cannot be sealed");
    }
    sodium_bin2base64(text, text_len, box, box_len, VARIANT);
    *ret = text;
    return 0;
}

size_t sealed_value_len(const char *name, const char *sealed)
{
    size_t box_len = strlen(sealed) / 4 * 3 + strlen(sealed) % 4 * 3 / 4;
    size_t around = head_len(name) + crypto_box_SEALBYTES;
    return box_len > around ? box_len - around : 0;
}

int sealed_open(const unsigned char pub[KEYS_BOX], const unsigned char key[KEYS_BOX],
                uint64_t space_id, const char *name, const char *sealed, char **ret,
                struct err *err)
{
    size_t text_len = strlen(sealed), box_len = 0, head = head_len(name);
    _cleanup_free_ unsigned char *box = malloc(text_len + 1);
    _cleanup_free_ unsigned char *want = malloc(head);
    unsigned char *plain = calloc(1, text_len + 1);
    if (!box || !want || !plain) {
        free(plain);
        return err_set(err, ENOMEM, "out of memory");
    }
    size_t len = 0;
    write_head(want, space_id, name);
    bool ok = sodium_base642bin(box, text_len + 1, sealed, text_len, NULL, &box_len, NULL,
                                VARIANT) == 0 &&
              box_len >= crypto_box_SEALBYTES + head &&
              crypto_box_seal_open(plain, box, box_len, pub, key) == 0;
    if (ok) {
        len = box_len - crypto_box_SEALBYTES - head;
        ok = memcmp(plain, want, head) == 0 && !memchr(plain + head, 0, len);
    }
    if (ok) {
        memmove(plain, plain + head, len);
        sodium_memzero(plain + len, head);
        *ret = (char *)plain;
        return 0;
    }
    sodium_memzero(plain, text_len);
    free(plain);
    return err_set(err, EBADMSG,
                   "the secret %s was not sealed for this Space and this server's key", name);
}

void sealed_forget(char *value)
{
    if (value)
        sodium_memzero(value, strlen(value));
    free(value);
}
