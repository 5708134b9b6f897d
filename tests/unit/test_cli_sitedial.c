/* objects: cli/sitedial.o */
#include "tests/unit/unit.h"

#include "cli/listener.h"
#include "cli/sitedial.h"

#include <errno.h>
#include <unistd.h>

static int pair[2];
static int dialed;

static int ask(void)
{
    struct proto_dial dial = {.count = 1};
    return proto_send(pair[1], PROTO_DIAL, &dial, NULL, 0, NULL);
}

/* In place of the real one: while the supervisor answers one question, the next one comes. */
int listener_unix_connect(int dir_fd, const char *name, struct err *err)
{
    (void)dir_fd, (void)name, (void)err;
    static struct proto_msg answer;
    struct err ignored = {0};
    while (proto_recv(pair[1], &answer, 0, &ignored) == 1)
        proto_msg_done(&answer);
    if (++dialed < 1000)
        assert_int_equal(ask(), 0);
    return -ECONNREFUSED;
}

static void a_gateway_that_asks_for_ever_has_its_turn_only(void **state)
{
    (void)state;
    static struct proto_msg msg;
    struct err err = {0};
    assert_int_equal(proto_pair(pair, &err), 0);
    assert_int_equal(ask(), 0);
    for (int turn = 1; turn < 4; turn++) {
        assert_int_equal(sitedial_serve(pair[0], -1, &msg, &err), 0);
        assert_int_equal(dialed, turn * 16);
    }
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_that_asks_for_ever_has_its_turn_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
