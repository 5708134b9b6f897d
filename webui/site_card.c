/* site.db: what a version's card asks of the platform. The card itself is kept as it came. */
#include "common/headers.h"
#include "webui/site_db.h"

int site_set_hardware(struct site *s, int64_t space_id, const char *flavour, struct err *err)
{
    WITH_LOCK(s);
    return store_exec(s->db, err, "UPDATE spaces SET hardware = ? WHERE id = ?", "ti", flavour,
                      space_id);
}

static const char *text_of(const json_t *card, const char *key)
{
    const char *text = json_string_value(json_object_get(card, key));
    return text ? text : "";
}

int site_card_apply(struct site *s, int64_t version_id, const json_t *card, struct err *err)
{
    int64_t numbers[HEADER_COUNT] = {0};
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(card, "custom_headers"), name, value)
    {
        enum custom_header which = custom_header_find(name);
        if (which < HEADER_COUNT && json_is_string(value))
            numbers[which] = custom_header_value(which, json_string_value(value));
    }
    return store_exec(s->db, err,
                      "UPDATE versions SET no_embedding = ?, coep = ?, coop = ?, corp = ?,"
                      " hardware = ?, pinned = ?, thumbnail = ? WHERE id = ?",
                      "iiiititi", (int64_t)json_is_true(json_object_get(card, "disable_embedding")),
                      numbers[HEADER_COEP], numbers[HEADER_COOP], numbers[HEADER_CORP],
                      text_of(card, "suggested_hardware"),
                      (int64_t)json_is_true(json_object_get(card, "pinned")),
                      text_of(card, "thumbnail"), version_id);
}
