/* What people say about a Space: discussions and likes. There are no pull requests. */
#pragma once

#include "webui/site.h"

int community_like(struct site *s, int64_t space_id, int64_t user_id, bool likes, struct err *err);
/* [{user, fullname, avatarUrl}]. NULL with err. */
json_t *community_likers(struct site *s, int64_t space_id, struct err *err);
/* What a user likes, newest first: [{createdAt, repo: {name, type}, owner, visibility}], the last
 * two for who asks whether everybody may know. NULL with err. */
json_t *community_liked(struct site *s, const char *user, struct err *err);

/* Titles of 3 to 200 bytes, comments up to 64 KiB; `author` is a name. *ret_num: 1, 2, ... */
int community_open(struct site *s, int64_t space_id, const char *author, const char *title,
                   const char *text, int64_t *ret_num, struct err *err);

struct community_search {
    const char *status; /* "open", "closed"; NULL: all */
    const char *author; /* NULL: of all */
    size_t offset, limit;
};
/* {count, start, discussions: [...]}, newest first. NULL with err. */
json_t *community_list(struct site *s, const struct space *space,
                       const struct community_search *search, struct err *err);
/* With its events; err's -ENOENT where there is none. */
json_t *community_details(struct site *s, const struct space *space, int64_t num, struct err *err);

/* Each answers the new event, or NULL with err. */
json_t *community_comment(struct site *s, int64_t space_id, int64_t num, const char *author,
                          const char *text, struct err *err);
json_t *community_status(struct site *s, int64_t space_id, int64_t num, const char *author,
                         const char *status, struct err *err);
json_t *community_title(struct site *s, int64_t space_id, int64_t num, const char *author,
                        const char *title, struct err *err);

/* Who opened it, or wrote that comment (`comment` 0: the discussion): 1, 0 where there is none. */
int community_author(struct site *s, int64_t space_id, int64_t num, int64_t comment, char out[97],
                     struct err *err);
/* The comment as it is then. NULL with err. */
json_t *community_edit(struct site *s, int64_t space_id, int64_t num, int64_t comment,
                       const char *text, struct err *err);
json_t *community_hide(struct site *s, int64_t space_id, int64_t num, int64_t comment,
                       struct err *err);
