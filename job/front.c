#include "job/front.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "job/names.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 16, NODES_MAX = 5000 };

/* --- where it is --- */

/* The line at *p; moves *p behind it. */
static const char *next_line(const char **p, const char *end, size_t *ret_len)
{
    const char *line = *p, *nl = memchr(line, '\n', (size_t)(end - line));
    size_t len = (size_t)((nl ? nl : end) - line);

    *p = nl ? nl + 1 : end;
    while (len > 0 && strchr(" \t\r", line[len - 1]))
        len--;
    *ret_len = len;
    return line;
}

int front_split(const char *text, size_t len, struct front_split *ret, struct err *err)
{
    const char *p = text, *end = text + len;
    unsigned line_no = 0;
    size_t n = 0;

    *ret = (struct front_split){.body = text, .body_len = len};
    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) { /* what editors on Windows put there */
        p += 3;
        ret->body = p;
        ret->body_len = (size_t)(end - p);
    }
    const char *line = p;

    while (p < end && n == 0) { /* blank lines before it are fine */
        line = next_line(&p, end, &n);
        line_no++;
    }
    if (n != 3 || memcmp(line, "---", 3) != 0)
        return 0;

    unsigned opened = line_no;

    ret->yaml = p;
    ret->yaml_line = line_no + 1;
    while (p < end) {
        line = next_line(&p, end, &n);
        if (n != 3 || memcmp(line, "---", 3) != 0)
            continue;
        ret->found = true;
        ret->yaml_len = (size_t)(line - ret->yaml);
        ret->body = p;
        ret->body_len = (size_t)(end - p);
        if (ret->yaml_len > FRONT_MAX)
            return err_set(err, EINVAL, "README.md:%u: the front matter is longer than %d KiB",
                           opened, FRONT_MAX / 1024);
        return 0;
    }
    return err_set(err, EINVAL,
                   "README.md:%u: the front matter that begins here has no line \"---\" at its end",
                   opened);
}

/* --- what it says --- */

struct reader {
    yaml_parser_t parser;
    unsigned first_line;
    unsigned nodes;
    struct front *front;
};

static unsigned line_of(const struct reader *rd, const yaml_mark_t *mark)
{
    return rd->first_line + (unsigned)mark->line;
}

static int refuse(const struct reader *rd, const yaml_event_t *event, struct err *err,
                  const char *why)
{
    return err_set(err, EINVAL, "README.md:%u: %s", line_of(rd, &event->start_mark), why);
}

static int next_event(struct reader *rd, yaml_event_t *event, struct err *err)
{
    if (yaml_parser_parse(&rd->parser, event))
        return 0;
    const yaml_parser_t *p = &rd->parser;

    memset(event, 0, sizeof(*event));
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(err, ENOMEM, "out of memory");
    if (p->error == YAML_READER_ERROR)
        return err_set(err, EINVAL, "README.md:%u: the front matter is not UTF-8 text: %s",
                       rd->first_line, p->problem ? p->problem : "unreadable");
    const char *hint = p->problem && strstr(p->problem, "mapping values are not allowed")
                           ? " (a value with \": \" in it needs quotes)"
                           : "";

    return err_set(err, EINVAL, "README.md:%u: the front matter is no YAML: %s%s",
                   line_of(rd, &p->problem_mark), p->problem ? p->problem : "unreadable", hint);
}

static json_t *text_value(const char *s, size_t len)
{
    /* A NUL may be written as "\0" in YAML; nothing of ours takes one. */
    return memchr(s, '\0', len) ? json_string("") : json_stringn(s, len);
}

static bool is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static bool is_null(const char *s)
{
    return is_one_of(s, (const char *const[]){"", "~", "null", "Null", "NULL", NULL});
}

/* A scalar without quotes, by YAML 1.2's core schema. */
static json_t *plain_value(const char *s, size_t len)
{
    char *end;

    if (is_null(s))
        return json_null();
    if (is_one_of(s, (const char *const[]){"true", "True", "TRUE", NULL}))
        return json_true();
    if (is_one_of(s, (const char *const[]){"false", "False", "FALSE", NULL}))
        return json_false();
    if (strspn(s, "+-0123456789") == len) {
        errno = 0;
        long long v = strtoll(s, &end, 10);

        if (!errno && !*end)
            return json_integer(v);
    } else if (strspn(s, "+-.0123456789eE") == len && strpbrk(s, "0123456789")) {
        double d = strtod(s, &end);

        if (!*end && isfinite(d))
            return json_real(d);
    }
    return text_value(s, len);
}

static json_t *scalar_value(const yaml_event_t *event)
{
    const char *s = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag)
        return plain_value(s, len);
    return text_value(s, len);
}

static int read_node(struct reader *rd, yaml_event_t *event, int depth, json_t **ret,
                     struct err *err);

/* Remembers in which line an item of the newest key stands. */
static int note_item(struct reader *rd, const yaml_event_t *item, struct err *err)
{
    struct front_key *k = &rd->front->keys[rd->front->count - 1];
    unsigned *grown = reallocarray(k->item_lines, k->n_items + 1, sizeof(*grown));

    if (!grown)
        return err_set(err, ENOMEM, "out of memory");
    k->item_lines = grown;
    k->item_lines[k->n_items++] = line_of(rd, &item->start_mark);
    return 0;
}

static int read_list(struct reader *rd, int depth, json_t *list, struct err *err)
{
    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {0};
        json_t *item = NULL;
        int r = next_event(rd, &event, err);

        if (r < 0 || event.type == YAML_SEQUENCE_END_EVENT)
            return r;
        if (depth == 2) /* the value of a key of the top level */
            r = note_item(rd, &event, err);
        if (r == 0)
            r = read_node(rd, &event, depth, &item, err);
        if (r < 0)
            return r;
        if (json_array_append_new(list, item) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
}

/* Remembers a key of the top level, its line and its value as it was written. */
static int note_key(struct reader *rd, const char *name, const yaml_event_t *key,
                    const yaml_event_t *value, struct err *err)
{
    struct front *f = rd->front;
    struct front_key *grown = reallocarray(f->keys, f->count + 1, sizeof(*grown));

    if (!grown)
        return err_set(err, ENOMEM, "out of memory");
    f->keys = grown;
    struct front_key *k = &f->keys[f->count++];

    *k = (struct front_key){.name = strdup(name), .line = line_of(rd, &key->start_mark)};
    if (value->type == YAML_SCALAR_EVENT) {
        k->raw = strdup((const char *)value->data.scalar.value);
        k->plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    }
    if (!k->name || (value->type == YAML_SCALAR_EVENT && !k->raw))
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

static int read_pair(struct reader *rd, const yaml_event_t *key, int depth, json_t *map,
                     struct err *err)
{
    _cleanup_(yaml_event_delete) yaml_event_t event = {0};
    char quoted[NAMES_QUOTED_MAX];
    json_t *value = NULL;

    if (key->type != YAML_SCALAR_EVENT)
        return refuse(rd, key, err, "a key must be a word");
    const char *name = (const char *)key->data.scalar.value;

    if (json_object_get(map, name))
        return err_set(err, EINVAL, "README.md:%u: the key %s is there twice",
                       line_of(rd, &key->start_mark), names_quote(name, quoted));
    int r = next_event(rd, &event, err);

    if (r == 0 && depth == 1)
        r = note_key(rd, name, key, &event, err);
    if (r == 0)
        r = read_node(rd, &event, depth, &value, err);
    if (r == 0 && json_object_set_new(map, name, value) < 0)
        r = err_set(err, ENOMEM, "out of memory");
    return r;
}

static int read_map(struct reader *rd, int depth, json_t *map, struct err *err)
{
    for (;;) {
        _cleanup_(yaml_event_delete) yaml_event_t key = {0};
        int r = next_event(rd, &key, err);

        if (r < 0 || key.type == YAML_MAPPING_END_EVENT)
            return r;
        r = read_pair(rd, &key, depth, map, err);
        if (r < 0)
            return r;
    }
}

/* `event` is the first of the node; the others are read here. */
static int read_node(struct reader *rd, yaml_event_t *event, int depth, json_t **ret,
                     struct err *err)
{
    json_t *node = NULL;
    int r = 0;

    if (++rd->nodes > NODES_MAX)
        return refuse(rd, event, err, "the front matter has more than 5000 values");
    if (depth >= DEPTH_MAX)
        return refuse(rd, event, err, "the front matter is nested more than 16 deep");
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        node = scalar_value(event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node = json_array();
        r = node ? read_list(rd, depth + 1, node, err) : 0;
        break;
    case YAML_MAPPING_START_EVENT:
        node = json_object();
        r = node ? read_map(rd, depth + 1, node, err) : 0;
        break;
    case YAML_ALIAS_EVENT: /* a few lines of them make gigabytes */
        return refuse(rd, event, err, "aliases (*name) are not taken in front matter");
    default:
        return refuse(rd, event, err, "the front matter ends in the middle");
    }
    if (!node)
        return err_set(err, ENOMEM, "out of memory");
    if (r < 0) {
        json_decref(node);
        return r;
    }
    *ret = node;
    return 0;
}

static int read_document(struct reader *rd, struct err *err)
{
    for (bool done = false; !done;) {
        _cleanup_(yaml_event_delete) yaml_event_t event = {0};
        int r = next_event(rd, &event, err);

        if (r < 0)
            return r;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            done = true;
            break;
        case YAML_MAPPING_START_EVENT:
            if (rd->front->object)
                return refuse(rd, &event, err, "the front matter holds more than one document");
            r = read_node(rd, &event, 0, &rd->front->object, err);
            if (r < 0)
                return r;
            break;
        case YAML_SCALAR_EVENT:
            /* An empty document. */
            if (!rd->front->object && is_null((const char *)event.data.scalar.value))
                break;
            __attribute__((fallthrough));
        default:
            return refuse(rd, &event, err, "the front matter must be lines of \"key: value\"");
        }
    }
    return 0;
}

int front_parse(const char *yaml, size_t len, unsigned first_line, struct front *ret,
                struct err *err)
{
    struct reader rd = {.first_line = first_line, .front = ret};
    int r;

    *ret = (struct front){0};
    if (!yaml_parser_initialize(&rd.parser))
        return err_set(err, ENOMEM, "out of memory");
    yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&rd.parser, (const unsigned char *)yaml, len);
    r = read_document(&rd, err);
    yaml_parser_delete(&rd.parser);
    if (r == 0 && !ret->object) {
        ret->object = json_object();
        if (!ret->object)
            r = err_set(err, ENOMEM, "out of memory");
    }
    return r;
}

void front_free(struct front *front)
{
    for (size_t i = 0; i < front->count; i++) {
        free(front->keys[i].name);
        free(front->keys[i].raw);
        free(front->keys[i].item_lines);
    }
    free(front->keys);
    json_decref(front->object);
    *front = (struct front){0};
}

const struct front_key *front_key(const struct front *front, const char *name)
{
    for (size_t i = 0; i < front->count; i++)
        if (strcmp(front->keys[i].name, name) == 0)
            return &front->keys[i];
    return NULL;
}
