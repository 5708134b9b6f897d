/* objects: cli/pack.o cli/packlist.o cli/folder.o cli/ignore.o; libs: -larchive -lsodium */
/* What a folder becomes: its entries in order, its hash, what is left out, what is refused. */
#include "cli/folder.h"
#include "cli/pack.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "tests/unit/unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char folder[300];

static int make(void **state)
{
    if (make_folder(state))
        return -1;
    snprintf(folder, sizeof(folder), "%s/bundle", (const char *)*state);
    return mkdir(folder, 0755);
}

static void put(const char *name, const char *content, mode_t mode)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write_all(fd, content, strlen(content)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void sub(const char *name)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to(const char *name, const char *target)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

/* "NAME MODE CONTENT|" of each entry of the archive. */
static void read_back(int fd, struct buf *out)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    char text[100];
    archive_read_support_format_tar(a);
    archive_read_support_filter_zstd(a);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(archive_read_open_fd(a, fd, 4096), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        ssize_t n = archive_read_data(a, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = 0;
        const char *link = archive_entry_symlink(e);
        buf_printf(out, "%s %o %s|", archive_entry_pathname(e), (unsigned)archive_entry_perm(e),
                   link ? link : text);
    }
    archive_read_free(a);
}

static int list_and_pack(struct pack *p, const char *path, struct err *err)
{
    _cleanup_folder_ struct folder f = {.fd = -1};
    int r = folder_scan(&f, path, NULL, NULL, err);
    return r < 0 ? r : pack_folder(p, &f, NULL, NULL, err);
}

static void test_entries(void **state)
{
    (void)state;
    put("README.md", "card", 0600);
    put("run.sh", "#!", 0755);
    sub("a");
    put("a/z", "1", 0644);
    put("a.b", "2", 0644);
    sub("empty");
    sub(".git");
    put(".git/config", "no", 0644);
    link_to("link", "a/z");
    struct pack p;
    struct err err = {0};
    assert_int_equal(list_and_pack(&p, folder, &err), 0);
    _cleanup_close_ int fd = p.fd;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    read_back(fd, &b);
    /* libarchive writes the slash behind a folder's name */
    assert_string_equal(b.data, "README.md 644 card|a/ 755 |a/z 644 1|a.b 644 2|empty/ 755 |"
                                "link 755 a/z|run.sh 755 #!|");
    assert_int_equal(p.files, 7);
    assert_int_equal(p.bytes, 4 + 2 + 1 + 1);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, p.archive_bytes);
    assert_int_equal(st.st_nlink, 0);
}

static void sha(char out[65])
{
    struct pack p;
    struct err err = {0};
    assert_int_equal(list_and_pack(&p, folder, &err), 0);
    close(p.fd);
    memcpy(out, p.sha, 65);
}

static void test_hash(void **state)
{
    (void)state;
    char one[65], two[65];
    put("a", "x", 0644);
    sha(one);
    /* the line "file SHA256(x) a" by itself */
    char line[200], expected[65], content[65];
    sha256_hex("x", 1, content);
    int n = snprintf(line, sizeof(line), "file %s a\n", content);
    sha256_hex(line, (size_t)n, expected);
    assert_string_equal(one, expected);

    struct timespec then[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[600];
    snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    assert_int_equal(chmod(path, 0600), 0);
    sha(two);
    assert_string_equal(one, two);
    assert_int_equal(chmod(path, 0755), 0);
    sha(two);
    assert_string_not_equal(one, two);
    sub(".git");
    assert_int_equal(chmod(path, 0644), 0);
    sha(two);
    assert_string_equal(one, two);
}

static void test_refused(void **state)
{
    (void)state;
    struct pack p;
    struct err err = {0};
    char path[600];
    int before = open_fds();
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(list_and_pack(&p, folder, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "fifo"));
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/nosuch", folder);
    assert_int_equal(list_and_pack(&p, path, &err), -ENOENT);
    assert_int_equal(open_fds(), before);
}

static void test_outline(void **state)
{
    (void)state;
    _cleanup_folder_ struct folder f = {.fd = -1};
    struct pack p;
    put("README.md", "card", 0644);
    put("app.py", "long", 0644);
    assert_int_equal(folder_scan(&f, folder, NULL, NULL, NULL), 0);
    assert_int_equal(pack_outline(&p, &f, NULL), 0);
    _cleanup_close_ int fd = p.fd;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    read_back(fd, &b);
    assert_string_equal(b.data, "README.md 644 card|app.py 644 |");
}

/* What is not as it was listed is no part of anything. */
static void test_changed(void **state)
{
    (void)state;
    static const char *const then[] = {"another length", "same"};
    for (int i = 0; i < 3; i++) {
        _cleanup_folder_ struct folder f = {.fd = -1};
        struct pack p;
        struct err err = {0};
        put("a", "text", 0644);
        assert_int_equal(folder_scan(&f, folder, NULL, NULL, &err), 0);
        char path[600];
        snprintf(path, sizeof(path), "%s/a", folder);
        if (i < 2) {
            put("a", then[i], 0644);
            struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1 + i}};
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        } else {
            assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(pack_folder(&p, &f, NULL, NULL, &err), -EAGAIN);
        assert_non_null(strstr(err.msg, "a changed"));
    }
}

static void test_ignored(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool is_folder, out;
    } rows[] = {
        {"a.log", false, true},
        {"x/a.log", false, true},
        {"keep.log", false, false},
        {"top", false, true},
        {"x/top", false, false},
        {"out", true, true},
        {"out", false, false},
        {"x/out", true, true},
        {"doc/a.md", false, true},
        {"x/doc/a.md", false, false},
        {"doc/x/a.md", false, false},
        {"deep", true, true},
        {"x/deep", true, false},
        {"any/where", true, true},
        {"where", false, true},
        {"#x", false, true},
        {".git", true, true},
        {"x/.git", false, true},
        {".gitignore", false, false},
        {"__pycache__", true, true},
        {".cache", true, false},
        {".cache/huggingface", true, true},
        {"x.cache/huggingface", true, false},
    };
    put(".vitrineignore",
        "# a comment\n\n*.log\n!keep.log\n/top\nout/\ndoc/*.md\ndeep/**\n**/where \r\n[#]x\n",
        0644);
    struct ignore ig;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ignore_read(&ig, fd, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (ignore_has(&ig, rows[i].path, rows[i].is_folder) != rows[i].out)
            fail_msg("%s", rows[i].path);
    ignore_free(&ig);
    struct err err = {0};
    put(".vitrineignore", "fine\na/**/b\n", 0644);
    assert_int_equal(ignore_read(&ig, fd, &err), -EINVAL);
    assert_non_null(strstr(err.msg, ".vitrineignore:2"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entries, make, remove_folder),
        cmocka_unit_test_setup_teardown(test_hash, make, remove_folder),
        cmocka_unit_test_setup_teardown(test_outline, make, remove_folder),
        cmocka_unit_test_setup_teardown(test_changed, make, remove_folder),
        cmocka_unit_test_setup_teardown(test_ignored, make, remove_folder),
        cmocka_unit_test_setup_teardown(test_refused, make, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
