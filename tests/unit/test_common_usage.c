/* objects: ; usage.h, quota.h as far as every file system goes */
#include "common/quota.h"
#include "common/usage.h"
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void write_bytes(const char *path, size_t n)
{
    static char bytes[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && n <= sizeof(bytes));
    memset(bytes, 'x', n);
    assert_int_equal(write_all(fd, bytes, n), 0);
    fsync(fd); /* blocks are counted once they are given out */
    close(fd);
}

static struct usage usage(void **state, uint64_t stop)
{
    struct usage u = {0};
    struct err err = {0};
    if (usage_of_tree(*state, stop, &u, &err) < 0)
        fail_msg("%s", err.msg);
    return u;
}

static void files_folders_and_names(void **state)
{
    uint64_t empty = usage(state, 0).bytes;
    write_bytes(in_folder(state, "a"), 1 << 20);
    assert_int_equal(mkdir(in_folder(state, "d"), 0700), 0);
    uint64_t with_one_name = usage(state, 0).bytes;
    assert_int_equal(link(in_folder(state, "a"), in_folder(state, "d/b")), 0);
    assert_int_equal(link(in_folder(state, "a"), in_folder(state, "d/c")), 0);
    assert_int_equal(usage(state, 0).bytes, with_one_name);
    assert_int_equal(symlink("/usr", in_folder(state, "link")), 0);
    assert_int_equal(mkfifo(in_folder(state, "fifo"), 0600), 0);
    struct usage u = usage(state, 0);
    assert_int_equal(u.inodes, 5); /* the folder, a, d, link, fifo */
    assert_in_range(u.bytes, 1 << 20, (1 << 20) + empty + 65536);
    assert_false(u.at_least);
}

static void what_is_sparse_takes_little(void **state)
{
    write_bytes(in_folder(state, "hole"), 10);
    assert_int_equal(truncate(in_folder(state, "hole"), 1 << 30), 0);
    assert_in_range(usage(state, 0).bytes, 0, 1 << 20);
}

static void it_stops_where_there_is_too_much(void **state)
{
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        write_bytes(in_folder(state, name), 1);
    }
    struct usage u = usage(state, 20);
    assert_true(u.at_least);
    assert_int_equal(u.inodes, 21);
    assert_false(usage(state, 51).at_least);
}

static void folders_deeper_than_any_path(void **state)
{
    int fds = open_fds(), at = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < USAGE_MAX_DEPTH + 5; i++) {
        assert_int_equal(mkdirat(at, "sub", 0700), 0);
        int sub = openat(at, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(sub >= 0);
        close(at);
        at = sub;
    }
    close(at);
    struct usage u = {0};
    struct err err = {0};
    int r = usage_of_tree(*state, 0, &u, &err);
    if (r == -EMFILE) /* its limit is the machine's */
        skip();
    assert_int_equal(r, 0);
    assert_true(u.at_least);
    assert_int_equal(u.inodes, USAGE_MAX_DEPTH + 2);
    assert_int_equal(open_fds(), fds);
}

static void what_is_no_folder_is_an_error(void **state)
{
    struct usage u;
    struct err err = {0};
    assert_int_equal(usage_of_tree(in_folder(state, "none"), 0, &u, &err), -ENOENT);
    assert_int_equal(symlink("/usr", in_folder(state, "link")), 0);
    assert_true(usage_of_tree(in_folder(state, "link"), 0, &u, &err) < 0);
}

static void a_file_system_without_project_quotas_says_so(void **state)
{
    struct err err = {0};
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(quota_probe(fd, &err), -ENOTSUP);
    assert_non_null(strstr(err.msg, "enforces no project quotas"));
    close(fd);
    (void)state;
}

int main(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(files_folders_and_names),
        IN_FOLDER(what_is_sparse_takes_little),
        IN_FOLDER(it_stops_where_there_is_too_much),
        IN_FOLDER(folders_deeper_than_any_path),
        IN_FOLDER(what_is_no_folder_is_an_error),
        IN_FOLDER(a_file_system_without_project_quotas_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
