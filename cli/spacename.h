/* Names of Spaces as the command line takes them. */
#pragma once

#include "common/err.h"

#include <stddef.h>

struct spacename {
    char owner[128], name[128];
    char id[256];   /* OWNER/NAME */
    char path[300]; /* /api/spaces/OWNER/NAME */
};

/* "OWNER/NAME", or "NAME" of one's own: of the user whose token VITRINE_TOKEN is (the server is
 * asked), else of the account that runs this. */
int spacename_parse(struct spacename *n, const char *text, struct err *err);
/* What a folder or an archive is called where no name was given: its last part, without an
 * archive's extension. */
int spacename_of_path(struct spacename *n, const char *path, struct err *err);
