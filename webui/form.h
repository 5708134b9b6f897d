/* The submit page's form: owner, name, and either one archive or the files of a folder. */
#pragma once

#include "common/err.h"
#include "webui/app.h"

#include <stddef.h>
#include <stdint.h>

struct form;

/* `length` of the whole body, 0 where it is not known: above the limit it is refused at once. */
int form_new(struct form **ret, struct app *app, const char *content_type, uint64_t length,
             struct err *err);
void form_free(struct form *f); /* NULL is fine */
int form_data(struct form *f, const char *data, size_t len, struct err *err);

struct form_bundle {
    char owner[128], name[128];
    char filename[256];
    int fd; /* the form's; at any position */
};
/* The body is there. -EINVAL where something is missing. */
int form_finish(struct form *f, struct form_bundle *ret, struct err *err);
