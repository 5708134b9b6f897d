/* The codec is made from the tables of proto.h: each message's fields become a list of {kind,
 * offset, size}, which one encoder and one decoder walk. Sockets are in proto_io.c. */
#include "proto.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES 8 /* u16 version, u16 type, u32 bytes that follow */

enum kind { KIND_END, KIND_U32, KIND_U64, KIND_I32, KIND_STR, KIND_BLOB };

struct field {
    enum kind kind;
    size_t offset; /* of the value, or of a blob's length: its bytes follow at once */
    size_t size;   /* of a string's or blob's array */
    const char *name;
};

/* Used where `body` names the struct whose fields are listed. */
#define FIELD_U32(n) {KIND_U32, offsetof(body, n), 4, #n},
#define FIELD_U64(n) {KIND_U64, offsetof(body, n), 8, #n},
#define FIELD_I32(n) {KIND_I32, offsetof(body, n), 4, #n},
#define FIELD_STR(n, bytes) {KIND_STR, offsetof(body, n), bytes, #n},
#define FIELD_BLOB(n, bytes) {KIND_BLOB, offsetof(body, n##_len), bytes, #n},

/* The fields of a message, ended by KIND_END; NULL for a type that does not exist. */
static const struct field *fields_of(enum proto_type type)
{
    switch (type) {
#define X(NAME, lower)                                                                             \
    case PROTO_##NAME: {                                                                           \
        typedef struct proto_##lower body __attribute__((unused));                                 \
        static const struct field fields[] = {PROTO_F_##NAME(                                      \
            FIELD_U32, FIELD_U64, FIELD_I32, FIELD_STR, FIELD_BLOB){KIND_END, 0, 0, ""}};          \
        return fields;                                                                             \
    }
        PROTO_MESSAGES(X)
#undef X
    default:
        return NULL;
    }
}

struct writer {
    unsigned char *out;
    size_t len, max;
};

static int put(struct writer *w, const void *data, size_t len)
{
    if (len > w->max - w->len)
        return -EMSGSIZE;
    if (len)
        memcpy(w->out + w->len, data, len);
    w->len += len;
    return 0;
}

static int put_u16(struct writer *w, uint16_t v)
{
    v = htole16(v);
    return put(w, &v, sizeof v);
}

static int put_u32(struct writer *w, uint32_t v)
{
    v = htole32(v);
    return put(w, &v, sizeof v);
}

static int put_u64(struct writer *w, uint64_t v)
{
    v = htole64(v);
    return put(w, &v, sizeof v);
}

static int put_bytes(struct writer *w, const char *data, size_t len)
{
    int r = put_u32(w, (uint32_t)len);
    return r < 0 ? r : put(w, data, len);
}

static int put_field(struct writer *w, const struct field *f, const char *value)
{
    uint32_t v32;
    uint64_t v64;
    switch (f->kind) {
    case KIND_U32:
    case KIND_I32:
        memcpy(&v32, value, sizeof v32);
        return put_u32(w, v32);
    case KIND_U64:
        memcpy(&v64, value, sizeof v64);
        return put_u64(w, v64);
    case KIND_STR: {
        size_t len = strnlen(value, f->size);
        return len == f->size ? -EMSGSIZE : put_bytes(w, value, len);
    }
    default: /* KIND_BLOB */
        memcpy(&v32, value, sizeof v32);
        return v32 > f->size ? -EMSGSIZE : put_bytes(w, value + sizeof v32, v32);
    }
}

int proto_encode(enum proto_type type, const void *body, void *out, size_t max)
{
    const struct field *f = fields_of(type);
    if (!f || (!body && f->kind != KIND_END))
        return -EINVAL;
    struct writer w = {.out = out, .max = max < PROTO_MAX_BYTES ? max : PROTO_MAX_BYTES};
    int r = put_u16(&w, PROTO_VERSION);
    if (r == 0)
        r = put_u16(&w, (uint16_t)type);
    if (r == 0)
        r = put_u32(&w, 0); /* known at the end */
    for (; r == 0 && f->kind != KIND_END; f++)
        r = put_field(&w, f, (const char *)body + f->offset);
    if (r < 0)
        return r;
    uint32_t bytes = htole32((uint32_t)(w.len - HEADER_BYTES));
    memcpy((char *)out + 4, &bytes, sizeof bytes);
    return (int)w.len;
}

struct reader {
    const unsigned char *data;
    size_t len;
};

static bool get(struct reader *r, void *out, size_t len)
{
    if (len > r->len)
        return false;
    if (len)
        memcpy(out, r->data, len);
    r->data += len;
    r->len -= len;
    return true;
}

static bool get_u16(struct reader *r, uint16_t *v)
{
    bool ok = get(r, v, sizeof *v);
    *v = ok ? le16toh(*v) : 0;
    return ok;
}

static bool get_u32(struct reader *r, uint32_t *v)
{
    bool ok = get(r, v, sizeof *v);
    *v = ok ? le32toh(*v) : 0;
    return ok;
}

static bool get_u64(struct reader *r, uint64_t *v)
{
    bool ok = get(r, v, sizeof *v);
    *v = ok ? le64toh(*v) : 0;
    return ok;
}

/* NULL or what is wrong with the field. */
static const char *get_field(struct reader *r, const struct field *f, char *value)
{
    static const char *const cut = "is cut off";
    uint32_t v32;
    uint64_t v64;
    if (f->kind == KIND_U64) {
        if (!get_u64(r, &v64))
            return cut;
        memcpy(value, &v64, sizeof v64);
        return NULL;
    }
    if (!get_u32(r, &v32))
        return cut;
    switch (f->kind) {
    case KIND_STR:
        if (v32 >= f->size)
            return "is too long";
        if (!get(r, value, v32))
            return cut;
        value[v32] = '\0';
        return memchr(value, 0, v32) ? "holds a NUL" : NULL;
    case KIND_BLOB:
        if (v32 > f->size)
            return "is too long";
        memcpy(value, &v32, sizeof v32);
        return get(r, value + sizeof v32, v32) ? NULL : cut;
    default: /* KIND_U32, KIND_I32 */
        memcpy(value, &v32, sizeof v32);
        return NULL;
    }
}

int proto_decode(struct proto_msg *m, const void *data, size_t len, struct err *err)
{
    m->type = PROTO_NONE;
    struct reader r = {.data = data, .len = len};
    uint16_t version, type;
    uint32_t bytes;
    if (!get_u16(&r, &version) || !get_u16(&r, &type) || !get_u32(&r, &bytes))
        return err_set(err, EPROTO, "a message of %zu bytes is shorter than its header", len);
    if (version != PROTO_VERSION)
        return err_set(err, EPROTO,
                       "a message of protocol version %u, this program speaks %u: run programs of "
                       "one build",
                       version, PROTO_VERSION);
    const struct field *f = fields_of((enum proto_type)type);
    if (!f)
        return err_set(err, EPROTO, "a message of the unknown type %u", type);
    const char *name = proto_type_name((enum proto_type)type);
    if (bytes != r.len)
        return err_set(err, EPROTO, "%s announces %u bytes and has %zu", name, bytes, r.len);
    for (; f->kind != KIND_END; f++) {
        const char *wrong = get_field(&r, f, (char *)&m->u + f->offset);
        if (wrong)
            return err_set(err, EPROTO, "%s: field %s %s", name, f->name, wrong);
    }
    if (r.len != 0)
        return err_set(err, EPROTO, "%s has %zu bytes after its last field", name, r.len);
    m->type = (enum proto_type)type;
    return 0;
}

const char *proto_type_name(enum proto_type t)
{
    switch (t) {
#define X(NAME, lower)                                                                             \
    case PROTO_##NAME:                                                                             \
        return #NAME;
        PROTO_MESSAGES(X)
#undef X
    default:
        return "NONE";
    }
}

static const char *const stage_names[STAGE_COUNT] = {
    [STAGE_NONE] = "NONE",
    [STAGE_NO_APP_FILE] = "NO_APP_FILE",
    [STAGE_CONFIG_ERROR] = "CONFIG_ERROR",
    [STAGE_BUILDING] = "BUILDING",
    [STAGE_BUILD_ERROR] = "BUILD_ERROR",
    [STAGE_APP_STARTING] = "APP_STARTING",
    [STAGE_RUNNING] = "RUNNING",
    [STAGE_RUNNING_BUILDING] = "RUNNING_BUILDING",
    [STAGE_RUNNING_APP_STARTING] = "RUNNING_APP_STARTING",
    [STAGE_RUNTIME_ERROR] = "RUNTIME_ERROR",
    [STAGE_SLEEPING] = "SLEEPING",
    [STAGE_PAUSED] = "PAUSED",
    [STAGE_STOPPED] = "STOPPED",
    [STAGE_DELETING] = "DELETING",
};

const char *proto_stage_name(enum proto_stage s)
{
    return (unsigned)s < STAGE_COUNT ? stage_names[s] : "NONE";
}

enum proto_stage proto_stage_of(const char *name)
{
    for (unsigned s = 1; s < STAGE_COUNT; s++)
        if (strcmp(stage_names[s], name) == 0)
            return (enum proto_stage)s;
    return STAGE_NONE;
}

int proto_list_add(char *blob, uint32_t *len, size_t max, const char *s)
{
    size_t n = strlen(s) + 1;
    if (*len > max || n > max - *len)
        return -EMSGSIZE;
    memcpy(blob + *len, s, n);
    *len += (uint32_t)n;
    return 0;
}

int proto_list_split(char *blob, uint32_t len, char **out, size_t max)
{
    if (max == 0 || (len > 0 && blob[len - 1] != '\0'))
        return -EPROTO;
    size_t count = 0;
    for (uint32_t at = 0; at < len; at += (uint32_t)strlen(blob + at) + 1) {
        if (count == max - 1)
            return -EPROTO;
        out[count++] = blob + at;
    }
    out[count] = NULL;
    return (int)count;
}
