#include "packlist.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void packlist_free(struct packlist *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->lines[i]);
    free(l->lines);
    *l = (struct packlist){0};
}

int packlist_add(struct packlist *l, mode_t mode, const unsigned char *hash, const char *path,
                 struct err *err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        char **grown = reallocarray(l->lines, cap, sizeof(*grown));
        if (!grown)
            return err_set(err, ENOMEM, "out of memory");
        l->lines = grown;
        l->cap = cap;
    }
    const char *kind = S_ISDIR(mode)   ? "dir"
                       : S_ISLNK(mode) ? "link"
                       : mode & 0100   ? "exec"
                                       : "file";
    char hex[65] = "-";
    if (hash)
        sodium_bin2hex(hex, sizeof(hex), hash, 32);
    char *line;
    if (asprintf(&line, "%s %s %s\n", kind, hex, path) < 0)
        return err_set(err, ENOMEM, "out of memory");
    l->lines[l->count++] = line;
    return 0;
}

static const char *path_of(const char *line)
{
    return strchr(strchr(line, ' ') + 1, ' ') + 1;
}

/* In byte order of the paths. The newline behind each stands below every byte that a path of a
 * bundle may hold, as the NUL does that ends it there. */
static int by_path(const void *a, const void *b)
{
    return strcmp(path_of(*(char *const *)a), path_of(*(char *const *)b));
}

void packlist_sha(struct packlist *l, char out[65])
{
    crypto_hash_sha256_state state;
    unsigned char digest[32];
    if (l->count)
        qsort(l->lines, l->count, sizeof(*l->lines), by_path);
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < l->count; i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)l->lines[i], strlen(l->lines[i]));
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
}
