/* objects: ; err.h, log.h */
#include "common/err.h"
#include "common/log.h"
#include "common/cleanup.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void set_truncates_and_returns(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ENOENT, "%s is missing", "x"), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.msg, "x is missing");

    char longer[2000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(err_set(&err, EINVAL, "%s", longer), -EINVAL);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(err_set(NULL, EIO, "nobody listens"), -EIO);
}

static void errno_is_appended(void **state)
{
    (void)state;
    struct err err = {0};
    errno = EACCES;
    assert_int_equal(err_errno(&err, "cannot open %s", "f"), -EACCES);
    assert_string_equal(err.msg, "cannot open f: Permission denied");
    errno = 0;
    assert_int_equal(err_errno(&err, "odd"), -EIO);
    assert_int_equal(err.code, EIO);
}

static void prefix_keeps_the_code(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ENOSPC, "disk full");
    assert_int_equal(err_prefix(&err, EIO, "step %d", 3), -ENOSPC);
    assert_string_equal(err.msg, "step 3: disk full");
    assert_int_equal(err_prefix(NULL, EIO, "step"), -EIO);
    struct err none = {0};
    assert_int_equal(err_prefix(&none, EIO, "step"), -EIO);
}

/* Logs into a pipe and gives the line back. */
static const char *logged(enum log_format format, const struct log_ctx *ctx, const char *event,
                          const char *message)
{
    static char line[8192];
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    log_init("prog", format, LOG_LEVEL_INFO, p[1]);
    log_event(LOG_LEVEL_WARN, ctx, event, "%s", message);
    log_debug(ctx, event, "below the level");
    close(p[1]);
    ssize_t n = 0, r;
    while ((r = read(p[0], line + n, sizeof line - 1 - (size_t)n)) > 0)
        n += r;
    close(p[0]);
    line[n] = '\0';
    log_init("prog", LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 2);
    return line;
}

static void one_text_line(void **state)
{
    (void)state;
    struct log_ctx ctx = {"a/b", 7};
    const char *line = logged(LOG_FORMAT_TEXT, &ctx, "worker.ready", "two\nlines \x1b[31m \xff");
    assert_string_equal(line + 24, " warn prog worker.ready space=a/b worker=7: "
                                   "two\\x0alines \\x1b[31m \\xff\n");
    assert_null(strchr(logged(LOG_FORMAT_TEXT, NULL, "x", "y"), '='));
}

static void one_json_line(void **state)
{
    (void)state;
    struct log_ctx ctx = {"a/b", 7};
    const char *line = logged(LOG_FORMAT_JSON, &ctx, "e.f", "say \"\\\n\xc3\xa9 \xff");
    assert_non_null(strstr(line, ",\"level\":\"warn\",\"program\":\"prog\",\"event\":\"e.f\","
                                 "\"space\":\"a/b\",\"worker\":7,"
                                 "\"message\":\"say \\\"\\\\\\u000a\xc3\xa9 \xef\xbf\xbd\"}\n"));
}

static void long_lines_are_cut_but_closed(void **state)
{
    (void)state;
    char longer[6000];
    memset(longer, '"', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *line = logged(LOG_FORMAT_JSON, NULL, "e", longer);
    assert_in_range(strlen(line), 4000, 4096);
    assert_string_equal(line + strlen(line) - 7, "\"...\"}\n");
    line = logged(LOG_FORMAT_TEXT, NULL, "e", longer);
    assert_in_range(strlen(line), 4000, 4096);
    assert_string_equal(line + strlen(line) - 4, "...\n");
}

static void logging_keeps_errno(void **state)
{
    (void)state;
    log_init("prog", LOG_FORMAT_TEXT, LOG_LEVEL_INFO, -1); /* write fails */
    errno = E2BIG;
    log_info(NULL, "e", "x");
    assert_int_equal(errno, E2BIG);
    log_init("prog", LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_truncates_and_returns),
        cmocka_unit_test(errno_is_appended),
        cmocka_unit_test(prefix_keeps_the_code),
        cmocka_unit_test(one_text_line),
        cmocka_unit_test(one_json_line),
        cmocka_unit_test(long_lines_are_cut_but_closed),
        cmocka_unit_test(logging_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
