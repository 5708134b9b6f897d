/* objects: runner/models.o
 * Files of models, taken into the store and linked from there. */
#include "runner/models.h"

#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

static const char hello[] = "hello";
static char hello_sha[65], etag[65];

static void put(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_write_whole(path, text, strlen(text), 0600, NULL), 0);
}

static struct stat look(const char *folder, const char *name)
{
    char path[512];
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (lstat(path, &st) < 0)
        st.st_nlink = 0;
    return st;
}

static void make_tree(const char *data, const char *name, char out[512])
{
    char path[600];
    snprintf(out, 512, "%s/%s", data, name);
    snprintf(path, sizeof(path), "%s/models--a--b/blobs", out);
    assert_int_equal(mkdir_p(path, 0700, NULL), 0);
}

static int take(const char *data, unsigned space, const char *tree, const char *sha)
{
    char lines[512];
    struct err err = {0};
    snprintf(lines, sizeof(lines), "file x\nblob models--a--b %s %s 5 %s\n", etag, sha, etag);
    return models_take(data, space, tree, lines, &err);
}

static void equal_files_are_one(void **state)
{
    const char *data = *state;
    char one[512], two[512], name[128], part[128];
    sha256_hex(hello, 5, hello_sha);
    memset(etag, 'e', 64);
    snprintf(name, sizeof(name), MODELS_STORE "/%s", hello_sha);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(models_make_folders(data, i, getuid(), NULL), 0);
    make_tree(data, "one", one);
    make_tree(data, "two", two);
    snprintf(part, sizeof(part), MODELS_PARTS "/1/%s", etag);
    put(data, part, hello);
    assert_int_equal(take(data, 1, one, hello_sha), 0);
    assert_int_equal(look(data, name).st_nlink, 2);
    assert_int_equal(look(data, name).st_mode & 07777, 0444);
    assert_int_equal(look(data, MODELS_PARTS "/1").st_nlink, 0);
    /* it is there: nothing has to be fetched */
    assert_int_equal(take(data, 2, two, hello_sha), 0);
    assert_int_equal(look(data, name).st_nlink, 3);
    /* what its links are goes, and then it goes */
    assert_int_equal(models_sweep(data, NULL), 0);
    assert_int_equal(look(data, name).st_nlink, 3);
    assert_int_equal(remove_tree(AT_FDCWD, one, NULL) | remove_tree(AT_FDCWD, two, NULL), 0);
    assert_int_equal(models_sweep(data, NULL), 0);
    assert_int_equal(look(data, name).st_nlink, 0);
    /* somebody said that it was there, and it is not any more */
    make_tree(data, "three", one);
    assert_int_equal(take(data, 3, one, hello_sha), -ESTALE);
}

static void what_is_said_is_not_believed(void **state)
{
    const char *data = *state;
    char tree[512], part[128], target[128], other[65];
    struct err err = {0};
    sha256_hex("other", 5, other);
    assert_int_equal(models_make_folders(data, 7, getuid(), NULL), 0);
    make_tree(data, "tree", tree);
    snprintf(part, sizeof(part), MODELS_PARTS "/7/%s", etag);
    put(data, part, hello);
    assert_int_equal(take(data, 7, tree, other), -EPROTO);
    /* a link is no file, whatever it leads to; nor is a file that has another name as well */
    char path[512], elsewhere[512];
    snprintf(path, sizeof(path), "%s/%s", data, part);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", data);
    put(data, "elsewhere", hello);
    unlink(path);
    assert_int_equal(symlink(elsewhere, path), 0);
    assert_true(take(data, 7, tree, hello_sha) < 0);
    unlink(path);
    assert_int_equal(link(elsewhere, path), 0);
    assert_int_equal(take(data, 7, tree, hello_sha), -EPROTO);
    snprintf(target, sizeof(target), MODELS_STORE "/%s", hello_sha);
    assert_int_equal(look(data, target).st_nlink, 0);
    static const char *const lines[] = {
        "blob models--a--b", "blob ../x e e 5 e\n", "blob models--a/../b e e 5 e\n",
        "blob models--a--b ../../x "
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 5 "
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        assert_int_equal(models_take(data, 7, tree, lines[i], &err), -EPROTO);
}

static void what_a_build_made_is_shared(void **state)
{
    const char *data = *state;
    char folder[512], deep[600];
    static char large[(1 << 20) + 1];
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(models_make_folders(data, 1, getuid(), NULL), 0);
    for (char name[2] = "a"; name[0] <= 'b'; name[0]++) {
        snprintf(folder, sizeof(folder), "%s/%s", data, name);
        snprintf(deep, sizeof(deep), "%s/deep/er", folder);
        assert_int_equal(mkdir_p(deep, 0700, NULL), 0);
        put(deep, "model.gguf", large);
        put(deep, "model.txt", large);
        put(folder, "small.onnx", "x");
        snprintf(deep, sizeof(deep), "%s/deep/link.pt", folder);
        assert_int_equal(symlink("er/model.txt", deep), 0);
        assert_int_equal(models_share(data, folder, NULL), 0);
    }
    assert_int_equal(look(data, "a/deep/er/model.gguf").st_nlink, 3);
    assert_true(look(data, "a/deep/er/model.gguf").st_ino ==
                look(data, "b/deep/er/model.gguf").st_ino);
    assert_int_equal(look(data, "b/deep/er/model.gguf").st_mode & 07777, 0444);
    assert_int_equal(look(data, "b/deep/er/model.txt").st_nlink, 1);
    assert_int_equal(look(data, "b/small.onnx").st_nlink, 1);
    assert_int_equal(look(data, "b/deep/er/.vitrine-shared").st_nlink, 0);
    assert_true(S_ISLNK(look(data, "a/deep/link.pt").st_mode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_files_are_one, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_said_is_not_believed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_a_build_made_is_shared, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
