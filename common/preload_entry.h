/* One entry of a card's preload_from_hub: "REPO", "REPO FILE,FILE..." or "REPO FILE,FILE REVISION"
 * (Hugging Face, "Spaces Configuration Reference"), and the names in it. */
#pragma once

#include "common/err.h"

#include <stdbool.h>

#define PRELOAD_ENTRIES_MAX 64
#define PRELOAD_FILES_MAX 5000 /* of one entry */
#define PRELOAD_ENTRY_BYTES 4096
#define PRELOAD_REPO_BYTES 200
#define PRELOAD_REVISION_BYTES 256
#define PRELOAD_PATH_BYTES 1024

struct preload_entry {
    char repo[PRELOAD_REPO_BYTES];         /* OWNER/NAME, or NAME alone */
    char revision[PRELOAD_REVISION_BYTES]; /* "main" where it names none */
    bool all;                              /* every file of it */
    char files[PRELOAD_ENTRY_BYTES];       /* those that are named, each with its NUL */
    unsigned n_files;
};

/* -EINVAL with what is wrong, without a position. */
int preload_entry_parse(const char *text, struct preload_entry *ret, struct err *err);

/* A file's name in a repository: relative, without empty parts, "." and "..", backslashes and
 * control characters, so that it can be made below a folder. */
bool preload_path_ok(const char *path);
/* The name of a repository's folder in a cache, "models--OWNER--NAME": no '/', not "." or "..". */
bool preload_folder_ok(const char *name);
/* A commit or an ETag as the name of a file: 1 to 128 of [A-Za-z0-9_.-], no dot in front. */
bool preload_word_ok(const char *word);
