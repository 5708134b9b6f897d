#include "job/blob.h"

#include "common/cleanup.h"

#include <errno.h>

int blob_cut_short(struct err *err)
{
    return err_set(err, EIO, "git cat-file: it ended early");
}

int blob_to_memory(FILE *in, char *out, size_t size, struct err *err)
{
    if (fread(out, 1, size, in) != size || fgetc(in) != '\n')
        return blob_cut_short(err);
    out[size] = '\0';
    return 0;
}

int blob_to_file(FILE *in, uint64_t size, struct tree *tree, const char *path, bool executable,
                 struct err *err)
{
    _cleanup_tree_file_ struct tree_file file = {.fd = -1};
    static char data[256 * 1024];
    uint64_t at = 0;
    int r = tree_file_open(tree, path, executable, &file, err);

    while (r == 0 && at < size) {
        size_t want = size - at < sizeof(data) ? (size_t)(size - at) : sizeof(data);

        if (fread(data, 1, want, in) != want)
            return blob_cut_short(err);
        r = tree_file_write(&file, data, want, at, err);
        at += want;
    }
    if (r == 0 && fgetc(in) != '\n')
        return blob_cut_short(err);
    return r < 0 ? r : tree_file_finish(&file, size, err);
}
