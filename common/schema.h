/* The tables of both databases, as numbered migrations: entry n brings a database from version n to
 * n + 1. Entries are never changed once they are on main; new ones are added at the end. Times are
 * ms since 1970. */
#pragma once

extern const char *const schema_site[]; /* NULL-terminated */
extern const char *const schema_life[];
