/* objects: cli/listener.o cli/holder.o */
/* Addresses to listen on, and the sockets that they become. */
#include "cli/listener.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *addr, *port; /* addr NULL: refused */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", "8080"},
        {"[::1]:80", "::1", "80"},
        {"localhost:0", "localhost", "0"},
        {"0.0.0.0:65535", "0.0.0.0", "65535"},
        {"127.0.0.1", NULL, NULL},
        {":8080", NULL, NULL},
        {"[]:80", NULL, NULL},
        {"a:", NULL, NULL},
        {"a:65536", NULL, NULL},
        {"a:80x", NULL, NULL},
        {"a:-1", NULL, NULL},
        {"", NULL, NULL},
        {"a:123456", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char addr[64], port[8];
        struct err err = {0};
        int r = listener_split(cases[i].text, addr, sizeof(addr), port, sizeof(port), &err);
        if (!cases[i].addr) {
            assert_int_equal(r, -EINVAL);
            assert_non_null(strstr(err.msg, "ADDRESS:PORT"));
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(addr, cases[i].addr);
        assert_string_equal(port, cases[i].port);
    }
}

static void test_tcp(void **state)
{
    (void)state;
    char actual[100], again[100];
    struct err err = {0};
    _cleanup_close_ int fd = listener_tcp("127.0.0.1:0", 0, actual, sizeof(actual), &err);
    assert_true(fd >= 0);
    assert_memory_equal(actual, "127.0.0.1:", 10);
    assert_string_not_equal(actual, "127.0.0.1:0");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(listener_tcp(actual, 0, again, sizeof(again), &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, actual));
    /* one that is waited for comes when the other one goes */
    uint64_t began = mono_ms();
    assert_int_equal(listener_tcp(actual, 100, again, sizeof(again), &err), -EADDRINUSE);
    assert_true(mono_ms() - began >= 100);
    close_fd(&fd);
    fd = listener_tcp(actual, 100, again, sizeof(again), &err);
    assert_true(fd >= 0);
    assert_string_equal(actual, again);
    assert_int_equal(listener_tcp("192.0.2.1:80", 0, again, sizeof(again), &err), -EADDRNOTAVAIL);
}

static void test_unix(void **state)
{
    /* a folder whose path no sun_path holds */
    char path[600];
    struct err err = {0};
    int len = snprintf(path, sizeof(path), "%s/", (const char *)*state);
    memset(path + len, 'x', 200);
    path[len + 200] = 0;
    assert_int_equal(mkdir(path, 0700), 0);
    _cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(listener_unix_connect(dir, "s.sock", &err), -ENOENT);
    for (int i = 0; i < 2; i++) { /* the second one takes the place of what the first left */
        _cleanup_close_ int fd = listener_unix(dir, "s.sock", &err);
        assert_true(fd >= 0);
        struct stat st;
        assert_int_equal(fstatat(dir, "s.sock", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        /* it is connected to before anybody accepts */
        _cleanup_close_ int c = listener_unix_connect(dir, "s.sock", &err);
        assert_true(c >= 0);
        _cleanup_close_ int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(accepted >= 0);
        assert_int_equal(send(c, "x", 1, MSG_NOSIGNAL), 1);
        char b;
        assert_int_equal(recv(accepted, &b, 1, 0), 1);
    }
    assert_int_equal(listener_unix_connect(dir, "s.sock", &err), -ECONNREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test_setup_teardown(test_unix, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
