/* Uploads that come in several requests, so that one that broke off goes on where it was: a
 * nameless file (upload.h) with a name to ask for it by. The requests are those of the IETF's draft
 * "Resumable Uploads for HTTP" in spirit: the server says how much it has, in Upload-Offset, and
 * takes what begins there.
 *
 * They are kept in this program alone: when it ends they are gone, and whoever asks begins anew. An
 * upload belongs to who began it, for one Space; there are few at a time, and one that nobody goes
 * on with is forgotten. */
#pragma once

#include "common/err.h"
#include "webui/app.h"

#include <stddef.h>
#include <stdint.h>

#define RESUME_ID 33  /* bytes of an id, with the NUL */
#define RESUME_KEY 65 /* bytes of a key, with the NUL */
#define RESUME_MAX 32 /* uploads at a time */
#define RESUME_EACH 4 /* of one who asks */
#define RESUME_IDLE_MS 3600000

struct resume_store;
struct resume; /* one that is being written */

/* Whose an upload is, and what for: "WHO OWNER/NAME". */
struct resume_whose {
    char text[400];
};

int resume_store_new(struct resume_store **ret, struct app *app, struct err *err);
void resume_store_free(struct resume_store *s); /* NULL is fine */

/* Begins one of `size` bytes, or finds the one with the same owner, key and size: its id, and how
 * much of it is there. `key` is what the client calls its content by (hex digits; "": nothing is
 * found). -EFBIG above upload.max_archive, -EBUSY where there are too many, -EINVAL. */
int resume_begin(struct resume_store *s, const struct resume_whose *whose, uint64_t size,
                 const char *key, char id[RESUME_ID], uint64_t *ret_offset, struct err *err);

/* -ENOENT: there is none of this id that is theirs. */
int resume_look(struct resume_store *s, const struct resume_whose *whose, const char *id,
                uint64_t *ret_offset, uint64_t *ret_size, struct err *err);

/* To write what begins at `offset`: -EBUSY where that is not where it ends, or where somebody
 * writes to it (an earlier request whose end was not noticed yet). Given back by resume_close. */
int resume_open(struct resume_store *s, const struct resume_whose *whose, const char *id,
                uint64_t offset, struct resume **ret, struct err *err);
int resume_write(struct resume *r, const void *data, size_t len, struct err *err);
void resume_close(struct resume *r); /* NULL is fine */

/* Takes one that is whole: its descriptor is the caller's, and the id is forgotten. -EBUSY where it
 * is not whole yet. */
int resume_take(struct resume_store *s, const struct resume_whose *whose, const char *id,
                int *ret_fd, struct err *err);
