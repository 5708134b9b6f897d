/* objects: runner/loop.o runner/link.o */
#include "tests/unit/unit.h"

#include "common/cleanup.h"
#include "common/proto.h"
#include "runner/link.h"
#include "runner/loop.h"

#include <errno.h>
#include <sys/epoll.h>

#define TIMERS 200

static struct loop *loop;
static struct loop_timer timers[TIMERS];
static int order[TIMERS], fired;

static int make_loop(void **state)
{
    (void)state;
    fired = 0;
    memset(timers, 0, sizeof(timers));
    return loop_new(&loop, NULL);
}

static int free_loop(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void on_timer(void *arg)
{
    order[fired++] = (int)((struct loop_timer *)arg - timers);
}

static void on_stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < TIMERS; i++) {
        uint64_t in_us = (uint64_t)((i * 7919) % TIMERS) * 100 + 1000;
        timers[i] = (struct loop_timer){.fn = on_timer, .arg = &timers[i]};
        assert_int_equal(loop_timer_set_us(loop, &timers[i], in_us), 0);
    }
    for (int i = 0; i < TIMERS; i += 3)
        loop_timer_cancel(loop, &timers[i]);
    assert_int_equal(loop_timer_set_us(loop, &timers[1], 0), 0); /* set anew: it is the first now */
    assert_int_equal(loop_timer_set(loop, &timers[2], UINT64_MAX), 0); /* never */
    assert_false(loop_timer_is_set(&timers[2]));
    struct loop_timer stop = {.fn = on_stop};
    loop_timer_set(loop, &stop, 60);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(fired, TIMERS - (TIMERS + 2) / 3 - 1);
    assert_int_equal(order[0], 1);
    for (int i = 1; i < fired; i++)
        assert_true(timers[order[i - 1]].due_us <= timers[order[i]].due_us);
}

struct pair {
    struct loop_io *io[2];
    int calls;
};

static void on_either(void *arg, uint32_t events)
{
    (void)events;
    struct pair *p = arg;
    p->calls++;
    loop_del(loop, &p->io[0]);
    loop_del(loop, &p->io[1]);
    loop_stop(loop);
}

/* Both are ready in one batch; the first to be called removes the other. */
static void a_removed_descriptor_is_silent(void **state)
{
    (void)state;
    struct pair p = {0};
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    p.io[0] = loop_add(loop, a[0], EPOLLIN, on_either, &p, NULL);
    p.io[1] = loop_add(loop, b[0], EPOLLIN, on_either, &p, NULL);
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(write(b[1], "x", 1), 1);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(p.calls, 1);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

#define MANY 500

static struct reader {
    struct link link;
    unsigned next, gone;
} reader;

static void on_msg(void *arg, struct proto_msg *m)
{
    struct reader *r = arg;
    assert_int_equal(m->type, PROTO_WAKE);
    assert_int_equal(m->u.wake.space_id, r->next);
    assert_int_equal(m->n_fds, r->next % 2);
    if (++r->next == MANY)
        loop_stop(loop);
}

static void on_gone(void *arg, const char *why)
{
    struct reader *r = arg;
    assert_non_null(why);
    r->gone++;
    loop_stop(loop);
}

/* Far more than the socket takes at once, each second one with a descriptor: all come, in order,
 * and no descriptor is left. */
static void messages_wait_for_room(void **state)
{
    (void)state;
    int before = open_fds(), pair[2];
    reader = (struct reader){.link = {.on_msg = on_msg, .on_gone = on_gone, .arg = &reader}};
    struct link writer = {.on_gone = on_gone};
    assert_int_equal(proto_pair(pair, NULL), 0);
    assert_int_equal(link_open(&writer, loop, pair[0], NULL), 0);
    for (unsigned i = 0; i < MANY; i++) {
        struct proto_wake m = {.space_id = i};
        assert_int_equal(link_send(&writer, PROTO_WAKE, &m, &(int){0}, (int)(i % 2)), 0);
    }
    assert_true(writer.pending > 0);
    assert_int_equal(link_open(&reader.link, loop, pair[1], NULL), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(reader.next, MANY);
    assert_int_equal(writer.pending, 0);
    link_close(&writer);
    link_close(&reader.link);
    assert_int_equal(link_send(&writer, PROTO_COMMAND_NUDGE, NULL, NULL, 0), -ENOTCONN);
    assert_int_equal(open_fds(), before);
}

static void the_end_of_a_link_is_told_once(void **state)
{
    (void)state;
    int pair[2];
    reader = (struct reader){.link = {.on_msg = on_msg, .on_gone = on_gone, .arg = &reader}};
    assert_int_equal(proto_pair(pair, NULL), 0);
    assert_int_equal(link_open(&reader.link, loop, pair[1], NULL), 0);
    close(pair[0]);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(reader.gone, 1);
    assert_false(link_is_open(&reader.link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_removed_descriptor_is_silent, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(messages_wait_for_room, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(the_end_of_a_link_is_told_once, make_loop, free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
