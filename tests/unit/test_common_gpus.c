/* [hardware] gpus and gpu_common. */
#include "common/gpus.h"
#include "common/util.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/vitrine-gpus-XXXXXX";

static int make_top(void **state)
{
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    return remove_tree(AT_FDCWD, top, NULL);
}

static const char *at(const char *path)
{
    static char out[4][200];
    static unsigned n;
    char *p = out[n++ % 4];
    snprintf(p, sizeof(out[0]), "%s/%s", top, path);
    return p;
}

static void put(const char *path, const char *text)
{
    char parent[200];
    snprintf(parent, sizeof(parent), "%s", at(path));
    *strrchr(parent, '/') = 0;
    assert_int_equal(mkdir_p(parent, 0700, NULL), 0);
    assert_int_equal(file_write_whole(at(path), text, strlen(text), 0644, NULL), 0);
}

/* 1:7 and 1:5 stand in for cards: /dev/full and /dev/zero. */
static void what_a_machine_has(void **state)
{
    (void)state;
    struct gpu_list l;
    assert_int_equal(mkdir_p(at("dev/dri"), 0700, NULL), 0);
    gpus_scan(at("dev"), at("sys"), &l);
    assert_int_equal(l.n, 0);
    assert_int_equal(symlink("/dev/full", at("dev/nvidia10")), 0);
    assert_int_equal(symlink("/dev/full", at("dev/nvidia2")), 0);
    assert_int_equal(symlink("/dev/full", at("dev/nvidiactl")), 0);
    assert_int_equal(symlink("/dev/full", at("dev/nvidia-uvm")), 0);
    assert_int_equal(symlink("/dev/full", at("dev/nvidia-modeset")), 0);
    put("dev/nvidia3", "no device");
    assert_int_equal(symlink("/dev/full", at("dev/dri/renderD128")), 0);
    assert_int_equal(symlink("/dev/zero", at("dev/dri/renderD129")), 0);
    assert_int_equal(symlink("/dev/zero", at("dev/dri/card0")), 0);
    put("sys/dev/char/1:7/device/vendor", "0x10de\n");
    put("sys/dev/char/1:5/device/vendor", "0x1002\n");
    gpus_scan(at("dev"), at("sys"), &l);
    assert_int_equal(l.n, 2); /* no /dev/kfd: no AMD's */
    assert_string_equal(l.path[0], at("dev/nvidia2"));
    assert_string_equal(l.path[1], at("dev/nvidia10"));
    assert_int_equal(symlink("/dev/zero", at("dev/kfd")), 0);
    gpus_scan(at("dev"), at("sys"), &l);
    assert_int_equal(l.n, 3); /* and not the render node of an NVIDIA card */
    assert_string_equal(l.path[2], at("dev/dri/renderD129"));
}

static void what_is_configured(void **state)
{
    (void)state;
    struct gpu_list l;
    gpus_find("none", &l);
    assert_int_equal(l.n, 0);
    gpus_find(" /a/gpu0,/a/gpu1  /a/gpu0", &l);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.path[0], "/a/gpu0");
    assert_string_equal(l.path[1], "/a/gpu1");
    gpus_find("/dev/stdin", &l); /* a link in /dev, that leads out of it: as it stands */
    assert_int_equal(l.n, 1);
    gpus_common("/dev/zero, /dev/full", "/a/gpu0", &l);
    assert_int_equal(l.n, 2);
    gpus_common("/dev/zero", "", &l);
    assert_int_equal(l.n, 0);
    gpus_common("none", "/a/gpu0", &l);
    assert_int_equal(l.n, 0);
    gpus_common("auto", "/a/gpu0", &l); /* of no maker that is known */
    assert_int_equal(l.n, 0);
}

static void what_is_wrong(void **state)
{
    (void)state;
    static const char *const good[] = {"auto", " auto ",       "none",
                                       "",     "/dev/nvidia0", "/dev/nvidia0, /dev/nvidia1"};
    static const struct {
        const char *setting, *says;
    } bad[] = {{"nvidia0", "absolute path"},
               {"auto, /dev/nvidia0", "absolute path"},
               {"/dev/", "absolute path"},
               {"/dev/nvidia0, /x/nvidia0", "two devices would be /dev/nvidia0"}};
    struct err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(gpus_check(good[i], "hardware.gpus", &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct err){0};
        assert_int_equal(gpus_check(bad[i].setting, "hardware.gpus", &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].says));
        assert_non_null(strstr(err.msg, "hardware.gpus"));
    }
    char longer[400] = "/dev/";
    memset(longer + 5, 'x', 300);
    assert_int_equal(gpus_check(longer, "hardware.gpus", NULL), -EINVAL);
}

static void one_device(void **state)
{
    (void)state;
    char place[GPU_PATH], names[40];
    struct err err = {0};
    assert_int_equal(gpu_usable("/dev/full", &err), 0);
    assert_int_equal(gpu_usable("/dev/no-such", &err), -ENODEV);
    assert_int_equal(gpu_usable("/etc/passwd", &err), -ENODEV);
    struct stat st;
    if (stat("/dev/console", &st) == 0 && (st.st_mode & 06) != 06) {
        err = (struct err){0};
        assert_int_equal(gpu_usable("/dev/console", &err), -EACCES);
        assert_non_null(strstr(err.msg, "0666"));
    }
    gpu_place("/dev/dri/renderD128", place);
    assert_string_equal(place, "/dev/dri/renderD128");
    gpu_place("/tmp/x/nvidia0", place);
    assert_string_equal(place, "/dev/nvidia0");
    gpus_names("/dev/nvidia0 /dev/dri/renderD128", names, sizeof names);
    assert_string_equal(names, "nvidia0, renderD128");
    gpus_names("", names, sizeof names);
    assert_string_equal(names, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_machine_has),
        cmocka_unit_test(what_is_configured),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(one_device),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
