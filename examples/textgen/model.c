#include "model.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_SIZE = 32 + 4 + 32 };

static uint32_t u32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint16_t u16(const unsigned char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static float f32(const unsigned char *p)
{
    uint32_t bits = u32(p);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static int parse(struct model *m)
{
    const unsigned char *p = m->map;

    if (m->map_len < HEADER_SIZE || memcmp(p, "VTXG", 4) != 0 || u32(p + 4) != 1)
        return -EINVAL;
    m->order = u32(p + 8);
    m->symbols = u32(p + 12);
    m->slots = u32(p + 16);
    m->records_len = u32(p + 20);
    m->trained = u32(p + 24);
    m->contexts = u32(p + 28);
    m->held_out_bits = f32(p + 32);
    for (int i = 0; i <= MODEL_ORDER_MAX; i++)
        m->discounts[i] = f32(p + 36 + 4 * i);
    if (m->order > MODEL_ORDER_MAX || m->symbols < 1 || m->symbols > MODEL_SYMBOLS_MAX ||
        m->slots == 0 || (m->slots & (m->slots - 1)) != 0)
        return -EINVAL;

    uint64_t letters = (m->symbols + 3) & ~3u;

    if (HEADER_SIZE + letters + 8ULL * m->slots + m->records_len != m->map_len)
        return -EINVAL;
    m->alphabet = p + HEADER_SIZE;
    m->table = m->alphabet + letters;
    m->records = m->table + 8ULL * m->slots;
    return 0;
}

int model_open(struct model *model, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    *model = (struct model){0};
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_size == 0) {
        close(fd);
        return -EINVAL;
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int r = map == MAP_FAILED ? -errno : 0;

    close(fd);
    if (r < 0)
        return r;
    model->map = map;
    model->map_len = (size_t)st.st_size;
    r = parse(model);
    if (r < 0)
        model_close(model);
    return r;
}

void model_close(struct model *model)
{
    if (model->map)
        munmap((void *)model->map, model->map_len);
    *model = (struct model){0};
}

int model_symbol(const struct model *model, unsigned char c)
{
    const unsigned char *at = memchr(model->alphabet, c, model->symbols);

    return at ? (int)(at - model->alphabet) : -1;
}

void context_push(const struct model *model, struct context *context, unsigned char c)
{
    if (context->len == model->order) {
        memmove(context->text, context->text + 1, context->len - 1);
        context->len--;
    }
    context->text[context->len++] = c;
}

/* The record of a context, NULL where it was not seen (or the file is damaged). */
static const unsigned char *find(const struct model *m, const unsigned char *text, unsigned len)
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (unsigned i = 0; i < len; i++)
        h = (h ^ text[i]) * 0x100000001b3ULL;
    for (uint32_t i = 0; i < m->slots; i++) {
        const unsigned char *slot = m->table + 8ULL * ((h + i) & (m->slots - 1));
        uint32_t at = u32(slot + 4);

        if (at == 0)
            return NULL;
        if (u32(slot) != (uint32_t)(h >> 32))
            continue;
        at--;
        if (at > m->records_len - 6 || 6 + 4U * u16(m->records + at + 4) > m->records_len - at)
            return NULL;
        return m->records + at;
    }
    return NULL;
}

/* Interpolated Kneser-Ney: from the empty context up, each longer one takes a discount off its own
 * counts and gives it to what the shorter ones say. */
void model_predict(const struct model *m, const struct context *context, float *ret)
{
    for (unsigned s = 0; s < m->symbols; s++)
        ret[s] = 1.0f / (float)m->symbols;
    for (unsigned order = 0; order <= context->len; order++) {
        const unsigned char *record = find(m, context->text + context->len - order, order);

        if (!record)
            break;
        float total = (float)u32(record), d = m->discounts[order];
        unsigned kinds = u16(record + 4);
        float rest = d * (float)kinds / total;

        for (unsigned s = 0; s < m->symbols; s++)
            ret[s] *= rest;
        for (unsigned i = 0; i < kinds; i++) {
            const unsigned char *follower = record + 6 + 4 * i;
            float count = (float)u16(follower + 2);

            if (*follower < m->symbols && count > d)
                ret[*follower] += (count - d) / total;
        }
    }
}

unsigned model_draw(const struct model *m, const float *probabilities, float temperature,
                    float uniform)
{
    float weights[MODEL_SYMBOLS_MAX], sum = 0;
    unsigned best = 0;

    for (unsigned s = 1; s < m->symbols; s++)
        if (probabilities[s] > probabilities[best])
            best = s;
    if (temperature < 0.02f)
        return best;
    for (unsigned s = 0; s < m->symbols; s++) {
        weights[s] = powf(probabilities[s] / probabilities[best], 1 / temperature);
        sum += weights[s];
    }
    float left = uniform * sum;

    for (unsigned s = 0; s < m->symbols; s++) {
        left -= weights[s];
        if (left < 0)
            return s;
    }
    return best;
}
