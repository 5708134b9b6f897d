/* Files of models on the disk, fetched by preload_from_hub.
 *
 *   DATA/models/sha256/HEX     one file, by its content: nobody's (uid 0), read-only, and never
 *                              changed once it has that name
 *   DATA/models/parts/SPACE/   what a build of that Space is fetching, the Space's own; kept until
 *                              it is whole, so that the next build goes on
 *   envs/KEY/env               the cache of one Space (a tree of huggingface_hub's): folders and
 *                              links of its own, files that are hard links to sha256/. Or
 *                              what a build command of its own made, with the models that it
 * fetched
 *
 * So equal files of all Spaces and owners are there once. What a sandbox says of a file's content
 * is not believed: whoever takes it in hashes it, when the sandbox has ended. A file that no cache
 * links to is removed. */
#pragma once

#include "common/err.h"

#include <stdint.h>
#include <sys/types.h>

#define MODELS_STORE "models/sha256"
#define MODELS_PARTS "models/parts"

/* The folders, and the Space's own of parts. */
int models_make_folders(const char *data, uint64_t space_id, uid_t uid, struct err *err);

/* In a child process: for each line "blob FOLDER ETAG SHA256 SIZE PART" (others are passed over) of
 * `lines` the file TREE/FOLDER/blobs/ETAG becomes a link to the store's, which gets it from the
 * Space's parts where it lacks it. -EPROTO where a part is not what the line says; -ESTALE where
 * neither has it: to be fetched again. The parts are gone afterwards. */
int models_take(const char *data, uint64_t space_id, const char *tree, const char *lines,
                struct err *err);

/* In a child process: files of models (by their names' ends, from 1 MiB on) in the tree of a build
 * that has ended become links to the store's, too; so they are read-only from then on. */
int models_share(const char *data, const char *tree, struct err *err);

/* In a child process: removes files of the store that nobody links to, and parts that no build has
 * touched for a day. */
int models_sweep(const char *data, struct err *err);
