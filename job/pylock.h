/* pylock.toml (PEP 751) as uv writes it, and the lines that say the same in a lock of ours: behind
 * a package's line "name==version --hash=sha256:HEX..." one for each wheel that fits,
 *
 *     #file sha256:HEX URL
 *
 * a comment to whoever reads the lock as requirements. From these an installer takes what it needs
 * without asking an index again. */
#pragma once

#include "common/buf.h"

#include <stdbool.h>

/* Appends the lines of a pylock.toml. False, and nothing appended, where these do not say all of
 * it: something that is no package of an index, has no wheel, or whose address may be another
 * tomorrow; or where it is not as uv writes it. */
bool pylock_read(const char *text, struct buf *lock);

/* A pylock.toml of these lines. False where there is a package without a file. */
bool pylock_write(const char *lock, struct buf *toml);
