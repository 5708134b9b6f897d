/* The LFS objects that are stored, and where commits have them. */
#pragma once

#include "common/err.h"

#include <jansson.h>

/* [{"fileOid","oid","filename","size","pushedAt","ref"?}], by name, as Hugging Face's clients take
 * it: "filename" is one that it has or had in a commit that a branch or tag leads to, "" where
 * there is none, and "ref" is main where main has it now. */
int lfs_list(const char *repo, json_t **ret, struct err *err);
/* Removes the object. -ENOENT where it is not stored. */
int lfs_remove(const char *repo, const char *oid, struct err *err);
