/* objects: ; util.h: files, trees, numbers, names */
#include "common/cleanup.h"
#include "common/util.h"

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void whole_files(void **state)
{
    struct err err = {0};
    char text[64];
    const char *path = in_folder(state, "f");
    assert_int_equal(file_write_whole(path, "one\n\n", 5, 0600, &err), 0);
    assert_int_equal(file_read_small(path, text, sizeof text), 3);
    assert_string_equal(text, "one");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* Again, over it; the mode is the new one whatever the umask is. */
    mode_t mask = umask(0777);
    assert_int_equal(file_write_whole(path, "two", 3, 0644, &err), 0);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(file_read_small(path, text, 3), 2); /* cut to fit with its NUL */
    assert_string_equal(text, "tw");
    assert_int_equal(file_read_small(in_folder(state, "none"), text, sizeof text), -ENOENT);
}

static int count_entries(const char *path)
{
    int n = 0;
    _cleanup_closedir_ DIR *d = opendir(path);
    while (readdir(d))
        n++;
    return n - 2;
}

static void a_failed_write_keeps_the_old_file(void **state)
{
    struct err err = {0};
    const char *path = in_folder(state, "f");
    put_file(path, "old");
    struct rlimit old, small = {2, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = file_write_whole(path, "newer", 5, 0600, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    char text[16];
    assert_int_equal(file_read_small(path, text, sizeof text), 3);
    assert_string_equal(text, "old");
    assert_int_equal(count_entries(*state), 1); /* no temporary file stays */
    assert_int_equal(file_write_whole(in_folder(state, "no/f"), "x", 1, 0600, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/no"));
    assert_int_equal(file_write_whole(in_folder(state, ""), "x", 1, 0600, &err), -EISDIR);
}

static void folders_with_parents(void **state)
{
    struct err err = {0};
    struct stat st;
    assert_int_equal(mkdir_p(in_folder(state, "a//b/c/"), 0700, &err), 0);
    assert_int_equal(mkdir_p(in_folder(state, "a/b/c"), 0700, &err), 0);
    assert_int_equal(stat(in_folder(state, "a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    put_file(in_folder(state, "a/file"), "");
    assert_int_equal(mkdir_p(in_folder(state, "a/file/x"), 0700, &err), -ENOTDIR);
    assert_non_null(strstr(err.msg, "a/file"));
    assert_int_equal(mkdir_p("", 0700, &err), -EINVAL);
}

static void trees_go_and_links_stay_unfollowed(void **state)
{
    struct err err = {0};
    mkdir_p(in_folder(state, "keep"), 0700, NULL);
    put_file(in_folder(state, "keep/precious"), "x");
    mkdir_p(in_folder(state, "t/sub/deeper"), 0700, NULL);
    put_file(in_folder(state, "t/sub/file"), "x");
    assert_int_equal(symlink("../keep", in_folder(state, "t/link")), 0);
    assert_int_equal(symlink("../../keep/precious", in_folder(state, "t/sub/link")), 0);
    assert_int_equal(mkfifo(in_folder(state, "t/fifo"), 0600), 0); /* must not block */
    assert_int_equal(chmod(in_folder(state, "t/sub/deeper"), 0), 0);
    assert_int_equal(remove_tree(AT_FDCWD, in_folder(state, "t"), &err), 0);
    assert_int_equal(access(in_folder(state, "t"), F_OK), -1);
    assert_int_equal(access(in_folder(state, "keep/precious"), F_OK), 0);
    /* A link itself is removed, not what it leads to; what is missing is fine. */
    assert_int_equal(symlink("keep", in_folder(state, "l")), 0);
    assert_int_equal(remove_tree(AT_FDCWD, in_folder(state, "l"), &err), 0);
    assert_int_equal(access(in_folder(state, "keep/precious"), F_OK), 0);
    assert_int_equal(remove_tree(AT_FDCWD, in_folder(state, "l"), &err), 0);
}

/* Deeper than a path can name and than this process may open files. */
static void trees_of_any_depth_go(void **state)
{
    struct err err = {0};
    int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(fd, "dir", 0700), 0);
        int next = openat(fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    struct rlimit old, few = {80, 0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    int before = open_fds();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int r = remove_tree(AT_FDCWD, in_folder(state, "dir"), &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(r, 0);
    assert_int_equal(open_fds(), before);
    assert_int_equal(count_entries(*state), 0);
}

static void sizes(void **state)
{
    (void)state;
    uint64_t v;
    static const struct {
        const char *s;
        uint64_t v;
    } good[] = {{"0", 0},           {"7", 7},
                {"7B", 7},          {"512M", 512ull << 20},
                {"2g", 2ull << 30}, {"1KiB", 1024},
                {"3T", 3ull << 40}, {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_bytes(good[i].s, &v), 0);
        assert_true(v == good[i].v);
    }
    static const char *const bad[] = {"",         "M",   "-1", "1.5G", "1 G",
                                      "5x",       "1GG", "+1", "0x1",  "18446744073709551616",
                                      "16777216T"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_bytes(bad[i], &v), -EINVAL);
}

static void durations(void **state)
{
    (void)state;
    uint64_t v;
    static const struct {
        const char *s;
        uint64_t v;
    } good[] = {{"0", 0},           {"500ms", 500},       {"3s", 3000},         {"10m", 600000},
                {"48h", 172800000}, {"7d", 604800000ull}, {"never", UINT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_duration_ms(good[i].s, &v), 0);
        assert_true(v == good[i].v);
    }
    /* A number alone is refused: of what? */
    static const char *const bad[] = {"", "5", "s", "-1s", "1.5s", "1 s", "10min", "584942417356d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_duration_ms(bad[i], &v), -EINVAL);
}

static void sizes_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *s;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1 KiB"},
                 {1536, "1.5 KiB"},
                 {512ull << 20, "512 MiB"},
                 {(1ull << 30) + (1ull << 29), "1.5 GiB"},
                 {(1ull << 30) - 1, "1023.9 MiB"},
                 {UINT64_MAX, "15.9 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        format_bytes(cases[i].v, out);
        assert_string_equal(out, cases[i].s);
    }
}

static void names(void **state)
{
    (void)state;
    struct err err = {0};
    char longest[98];
    memset(longest, 'a', 97);
    longest[97] = '\0';
    assert_int_equal(name_check(longest, "name", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "97"));
    longest[96] = '\0';
    assert_int_equal(name_check(longest, "name", &err), 0);
    static const char *const good[] = {"a", "A.b_c-d", "_x", "1", "git", "x.gitx"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(name_check(good[i], "name", &err), 0);
    static const char *const bad[] = {"",    "a--b", "a..b",     "-a",  "a-",    ".a",    "a.",
                                      "a/b", "a b",  "\xc3\xa9", "a\n", "x.git", "x.GIT", ".."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(name_check(bad[i], "owner's name", &err), -EINVAL);
        assert_non_null(strstr(err.msg, "owner's name"));
        assert_null(strchr(err.msg, '\n'));
    }
}

static bool is_label(const char *s)
{
    size_t n = strlen(s);
    return n >= 1 && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           s[0] != '-' && s[n - 1] != '-';
}

static void host_labels(void **state)
{
    (void)state;
    char a[64], b[64], name[97];
    host_label("Alice", "My_Demo.v2", 0, a);
    assert_string_equal(a, "alice-my-demo-v2");
    /* Two Spaces that collide: a salt tells them apart, and always in the same way. */
    host_label("a-b", "c", 0, a);
    host_label("a", "b-c", 0, b);
    assert_string_equal(a, b);
    host_label("a", "b-c", 1, b);
    assert_true(is_label(b) && strcmp(a, b) != 0 && strncmp(b, "a-b-c-", 6) == 0);
    host_label("a", "b-c", 1, a);
    assert_string_equal(a, b);
    host_label("a", "b-c", 2, a);
    assert_string_not_equal(a, b);
    /* 63 fit as they are; more is cut with a hash. */
    memset(name, 'x', 96);
    name[61] = '\0';
    host_label("a", name, 0, a);
    assert_int_equal(strlen(a), 63);
    assert_null(strchr(a + 2, '-'));
    memset(name, 'x', 96);
    name[62] = '\0';
    host_label("a", name, 0, a);
    assert_true(is_label(a) && strlen(a) == 63 && a[54] == '-');
    name[61] = 'y';
    host_label("a", name, 0, b);
    assert_string_not_equal(a, b); /* they differ only in what is cut */
    /* A name that ends or begins as no label may. */
    host_label("_", "_", 0, a);
    assert_true(is_label(a));
    host_label("_x", "y_", 0, a);
    assert_true(is_label(a) && strncmp(a, "x-y-", 4) == 0);
}

static void small_things(void **state)
{
    char iso[25], hex[65], boot[37], again[37], dir[512];
    struct err err = {0};
    time_iso(1795415280123ull, iso);
    assert_string_equal(iso, "2026-11-23T06:28:00.123Z");
    time_iso(0, iso);
    assert_string_equal(iso, "1970-01-01T00:00:00.000Z");
    time_iso(UINT64_MAX, iso);
    assert_int_equal(strlen(iso), 24);
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    random_hex(hex, 16);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 32);
    assert_int_equal(boot_id(boot), 0);
    assert_int_equal(boot_id(again), 0);
    assert_string_equal(boot, again);
    assert_int_equal(exe_dir(dir, sizeof dir, &err), 0);
    assert_true(dir[0] == '/' && strlen(dir) > 1);
    assert_int_equal(exe_dir(dir, 2, &err), -ENAMETOOLONG);
    int fd = open(*state, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fd_set_cloexec(fd, true), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fd_set_nonblock(fd, true), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fd_set_nonblock(fd, false), 0);
    assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    assert_int_equal(fd_set_nonblock(fd, true), -EBADF);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(whole_files),           IN_FOLDER(a_failed_write_keeps_the_old_file),
        IN_FOLDER(folders_with_parents),  IN_FOLDER(trees_go_and_links_stay_unfollowed),
        IN_FOLDER(trees_of_any_depth_go), cmocka_unit_test(sizes),
        cmocka_unit_test(durations),      cmocka_unit_test(sizes_for_people),
        cmocka_unit_test(names),          cmocka_unit_test(host_labels),
        IN_FOLDER(small_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
