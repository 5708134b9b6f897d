/* objects: job/names.o job/tree.o job/tree_shape.o job/zipdir.o job/unpack.o; libs: -larchive
 * any bytes as an archive */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/tree.h"
#include "job/unpack.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MAX_BYTES = 1 << 20, MAX_ENTRIES = 100 };

static void unpack(int archive_fd, int root_fd)
{
    static const struct unpack_options options = {.name = "fuzz"};
    _cleanup_(tree_free) struct tree tree;
    struct err err = {0};
    uint64_t dropped = 0;
    char sha[65];

    tree_init(&tree, root_fd, MAX_BYTES, MAX_ENTRIES);
    int r = unpack_archive(archive_fd, &options, &tree, &dropped, &err);

    if (r == 0)
        r = tree_strip_top(&tree, &err);
    if (r == 0)
        r = tree_make_links(&tree, &err);
    if (r < 0) {
        if (!*err.msg || strchr(err.msg, '\n'))
            abort();
        return;
    }
    tree_hash(&tree, sha);
    if (tree.bytes > MAX_BYTES || tree.count > MAX_ENTRIES || strlen(sha) != 64)
        abort();
    /* Everything that the tree says is there, and is what it says. */
    for (size_t i = 0; i < tree.count; i++) {
        const struct tree_entry *e = tree.entries[i];
        _cleanup_close_ int fd = tree_open(&tree, e->path, O_PATH);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
            abort();
        if (e->kind == TREE_DIR ? !S_ISDIR(st.st_mode)
                                : e->kind != TREE_LINK && (uint64_t)st.st_size != e->bytes)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int archive = memfd_create("archive", MFD_CLOEXEC);
    char place[] = "/dev/shm/vitrine-fuzz-XXXXXX";
    _cleanup_close_ int work =
        mkdtemp(place) ? open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    setlocale(LC_CTYPE, "C.UTF-8");
    if (archive < 0 || work < 0 || write_all(archive, data, size) < 0 ||
        lseek(archive, 0, SEEK_SET) != 0 || mkdirat(work, "tree", 0755) < 0)
        abort();
    _cleanup_close_ int root = openat(work, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    unpack(archive, root);
    /* The place is empty then, unless something came out of the tree. */
    if (remove_tree(work, "tree", NULL) < 0 || rmdir(place) < 0)
        abort();
    return 0;
}
