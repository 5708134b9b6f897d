/* objects: ; proto.h: the codec and the sockets */
#include "common/cleanup.h"
#include "common/proto.h"

#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct proto_msg msg; /* large */
static unsigned char wire[PROTO_MAX_BYTES + 1];

static struct proto_route a_route(void)
{
    struct proto_route r = {.label = "alice-demo",
                            .space_id = 0x1122334455667788ull,
                            .space = "alice/demo",
                            .title = "Ein Titel \xc3\xa9",
                            .stage = STAGE_RUNNING,
                            .worker_id = UINT64_MAX,
                            .port = 7860,
                            .wakes = 1};
    return r;
}

static void round_trip(void **state)
{
    (void)state;
    struct proto_route r = a_route();
    int n = proto_encode(PROTO_ROUTE, &r, wire, sizeof wire);
    assert_true(n > 8);
    struct err err = {0};
    assert_int_equal(proto_decode(&msg, wire, (size_t)n, &err), 0);
    assert_int_equal(msg.type, PROTO_ROUTE);
    assert_true(msg.u.route.space_id == r.space_id && msg.u.route.worker_id == UINT64_MAX);
    assert_string_equal(msg.u.route.label, "alice-demo");
    assert_string_equal(msg.u.route.title, r.title);
    assert_string_equal(msg.u.route.message, "");
    assert_int_equal(msg.u.route.port, 7860);

    struct proto_init_exit e = {.reason = EXIT_SIGNALED, .status = -1, .signal = 9};
    n = proto_encode(PROTO_INIT_EXIT, &e, wire, sizeof wire);
    assert_int_equal(n, 8 + 16);
    assert_int_equal(proto_decode(&msg, wire, (size_t)n, &err), 0);
    assert_int_equal(msg.u.init_exit.status, -1);
}

static void wire_format_is_fixed(void **state)
{
    (void)state;
    struct proto_log_files f = {
        .request_id = 2, .code = 3, .worker_id = 4, .count = 5, .message = "ab"};
    static unsigned char expected[] = {0,   0,  PROTO_LOG_FILES,
                                       0,   34, 0,
                                       0,   0, /* header */
                                       2,   0,  0,
                                       0,   0,  0,
                                       0,   0, /* u64 */
                                       3,   0,  0,
                                       0, /* u32 */
                                       4,   0,  0,
                                       0,   0,  0,
                                       0,   0, /* u64 */
                                       5,   0,  0,
                                       0,   0,  0,
                                       0,   0,  2,
                                       0,   0,  0, /* "ab" */
                                       'a', 'b'};
    expected[0] = PROTO_VERSION;
    int n = proto_encode(PROTO_LOG_FILES, &f, wire, sizeof wire);
    assert_int_equal(n, sizeof expected);
    assert_memory_equal(wire, expected, sizeof expected);
}

static void every_message_survives_empty(void **state)
{
    (void)state;
    static union proto_body zero;
    struct err err = {0};
    for (unsigned t = 1; t < PROTO_COUNT; t++) {
        int n = proto_encode((enum proto_type)t, &zero, wire, sizeof wire);
        assert_true(n >= 8);
        assert_int_equal(proto_decode(&msg, wire, (size_t)n, &err), 0);
        assert_int_equal(msg.type, t);
        assert_string_not_equal(proto_type_name((enum proto_type)t), "NONE");
    }
    assert_string_equal(proto_type_name(PROTO_SLEEP_ASK), "SLEEP_ASK");
    assert_int_equal(proto_encode(PROTO_NONE, &zero, wire, sizeof wire), -EINVAL);
    assert_int_equal(proto_encode(PROTO_COUNT, &zero, wire, sizeof wire), -EINVAL);
    assert_int_equal(proto_encode(PROTO_DIAL, NULL, wire, sizeof wire), -EINVAL);
    assert_int_equal(proto_encode(PROTO_SUP_READY, NULL, wire, sizeof wire), 8);
}

static void what_does_not_fit_is_not_encoded(void **state)
{
    (void)state;
    struct proto_route r = a_route();
    int n = proto_encode(PROTO_ROUTE, &r, wire, sizeof wire);
    for (int max = 0; max < n; max++)
        assert_int_equal(proto_encode(PROTO_ROUTE, &r, wire, (size_t)max), -EMSGSIZE);
    memset(r.label, 'x', sizeof r.label); /* no NUL */
    assert_int_equal(proto_encode(PROTO_ROUTE, &r, wire, sizeof wire), -EMSGSIZE);
    static struct proto_start s;
    s.argv_len = sizeof s.argv + 1;
    assert_int_equal(proto_encode(PROTO_START, &s, wire, sizeof wire), -EMSGSIZE);
}

/* The largest message there is fits the largest message that is received. */
static void the_largest_fits(void **state)
{
    (void)state;
    static struct proto_start s;
    memset(s.root, 'r', sizeof s.root - 1);
    memset(s.app, 'r', sizeof s.app - 1);
    memset(s.cwd, 'r', sizeof s.cwd - 1);
    s.argv_len = sizeof s.argv;
    s.env_len = sizeof s.env;
    s.mounts_len = sizeof s.mounts;
    memset(s.env, 'e', sizeof s.env);
    int fds[2];
    struct err err = {0};
    assert_int_equal(proto_pair(fds, &err), 0);
    assert_int_equal(proto_send(fds[0], PROTO_START, &s, NULL, 0, &err), 0);
    assert_int_equal(proto_recv(fds[1], &msg, 1000, &err), 1);
    assert_int_equal(msg.u.start.env_len, sizeof s.env);
    assert_memory_equal(msg.u.start.env, s.env, sizeof s.env);
    close(fds[0]);
    close(fds[1]);
}

static void refused(const void *data, size_t len, const char *why)
{
    struct err err = {0};
    msg.type = PROTO_DIAL;
    assert_int_equal(proto_decode(&msg, data, len, &err), -EPROTO);
    assert_non_null(strstr(err.msg, why));
    assert_int_equal(msg.type, PROTO_NONE);
}

static void malformed_ones_are_refused(void **state)
{
    (void)state;
    struct proto_resolve r = {.label = "abc"};
    int n = proto_encode(PROTO_RESOLVE, &r, wire, sizeof wire);
    assert_int_equal(n, 15);
    unsigned char *m = test_malloc(256);
    memset(m, 0, 256);
#define FRESH memcpy(m, wire, (size_t)n)
    for (size_t len = 0; len < 8; len++)
        refused(wire, len, "shorter than its header");
    for (size_t len = 8; len < 15; len++)
        refused(wire, len, "announces");
    FRESH;
    m[0] = 99;
    refused(m, 15, "version 99");
    FRESH;
    m[2] = 0;
    refused(m, 15, "unknown type");
    m[2] = PROTO_COUNT;
    refused(m, 15, "unknown type");
    m[3] = 0xff;
    refused(m, 15, "unknown type");
    FRESH;
    refused(m, 16, "announces"); /* a byte more than announced */
    m[4] = 8;
    refused(m, 16, "after its last field");
    FRESH;
    m[8] = 4; /* the string claims more than there is */
    refused(m, 15, "label is cut off");
    m[8] = 64; /* more than its field has */
    refused(m, 15, "label is too long");
    memset(m + 8, 0xff, 4);
    refused(m, 15, "label is too long");
    FRESH;
    m[13] = 0;
    refused(m, 15, "holds a NUL");
    FRESH;
    m[8] = 2;
    refused(m, 15, "after its last field");
    /* A message whose numbers are cut. */
    struct proto_dialed d = {.count = 1, .error = 2};
    n = proto_encode(PROTO_DIALED, &d, wire, sizeof wire);
    wire[4] = 6;
    refused(wire, 14, "error is cut off");
    test_free(m);
}

static void blobs_are_bounded(void **state)
{
    (void)state;
    static struct proto_start s;
    int n = proto_encode(PROTO_START, &s, wire, sizeof wire);
    /* header, start_id, worker_id, flags, uid_index, port, four empty strings, argv's length */
    size_t at = 8 + 8 + 8 + 4 + 4 + 4 + 4 * 4;
    uint32_t v = sizeof s.argv + 1;
    memcpy(wire + at, &v, 4);
    refused(wire, (size_t)n, "argv is too long");
    v = sizeof s.argv;
    memcpy(wire + at, &v, 4);
    refused(wire, (size_t)n, "argv is cut off");
}

static void descriptors_travel(void **state)
{
    (void)state;
    int before = open_fds(), s[2], p[2];
    struct err err = {0};
    assert_int_equal(proto_pair(s, &err), 0);
    assert_true(fcntl(s[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(s[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(pipe(p), 0);
    struct proto_sup_peer peer = {.role = ROLE_RUNNER};
    assert_int_equal(proto_send(s[0], PROTO_SUP_PEER, &peer, p, 2, &err), 0);
    close(p[0]);
    close(p[1]);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), 1);
    assert_int_equal(msg.n_fds, 2);
    assert_int_equal(fcntl(msg.fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(msg.fds[1], "x", 1), 1);
    _cleanup_close_ int mine = steal_fd(&msg.fds[0]);
    proto_msg_done(&msg);
    proto_msg_done(&msg); /* twice is harmless */
    char c;
    assert_int_equal(read(mine, &c, 1), 1);
    assert_int_equal(read(mine, &c, 1), 0); /* the writing end is closed */
    close_fd(&mine);
    close(s[0]);
    close(s[1]);
    assert_int_equal(open_fds(), before);
    int many[PROTO_MAX_FDS + 1] = {0};
    assert_int_equal(proto_send(0, PROTO_SUP_PEER, &peer, many, PROTO_MAX_FDS + 1, &err), -EINVAL);
}

/* Sends bytes that are no message, with a descriptor. */
static void send_raw(int sock, const void *data, size_t len, int n_fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)data, len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
        for (int i = 0; i < n_fds; i++)
            memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &sock, sizeof(int));
    }
    assert_int_equal(sendmsg(sock, &mh, 0), (ssize_t)len);
}

static void descriptors_of_malformed_messages_are_closed(void **state)
{
    (void)state;
    int s[2];
    struct err err = {0};
    assert_int_equal(proto_pair(s, &err), 0);
    int before = open_fds();
    send_raw(s[0], "garbage", 7, 3);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), -EPROTO);
    assert_int_equal(msg.n_fds, 0);
    assert_int_equal(open_fds(), before);
    /* A well-formed one with more descriptors than there may be. */
    struct proto_dial d = {.count = 1};
    int n = proto_encode(PROTO_DIAL, &d, wire, sizeof wire);
    send_raw(s[0], wire, (size_t)n, PROTO_MAX_FDS + 1);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), -EPROTO);
    assert_int_equal(open_fds(), before);
    /* An empty one with a descriptor ends the conversation and leaves nothing behind. */
    send_raw(s[0], "", 0, 1);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), 0);
    assert_int_equal(open_fds(), before);
    /* One that is longer than any may be. */
    int big = 1 << 20;
    setsockopt(s[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
    setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    send_raw(s[0], wire, sizeof wire, 1);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "more than"));
    assert_int_equal(open_fds(), before);
    close(s[0]);
    close(s[1]);
}

static void waiting_and_ends(void **state)
{
    (void)state;
    int s[2];
    struct err err = {0};
    struct proto_wait_line line = {.space_id = 1};
    memset(line.text, 'x', sizeof line.text - 1);
    assert_int_equal(proto_pair(s, &err), 0);
    assert_int_equal(proto_recv(s[1], &msg, 0, &err), -EAGAIN);
    uint64_t start = mono_ms();
    assert_int_equal(proto_recv(s[1], &msg, 30, &err), -EAGAIN);
    assert_true(mono_ms() - start >= 29);
    /* A peer that does not read holds nobody up. */
    int r, sent = 0;
    while ((r = proto_send(s[0], PROTO_WAIT_LINE, &line, NULL, 0, &err)) == 0)
        assert_true(++sent < 100000);
    assert_int_equal(r, -EAGAIN);
    start = mono_ms();
    assert_int_equal(proto_send_wait(s[0], PROTO_WAIT_LINE, &line, NULL, 0, 30, &err), -EAGAIN);
    assert_true(mono_ms() - start >= 29);
    /* It reads all that was sent before the end, then sees the end. */
    close(s[0]);
    for (int i = 0; i < sent; i++)
        assert_int_equal(proto_recv(s[1], &msg, 0, &err), 1);
    assert_int_equal(proto_recv(s[1], &msg, -1, &err), 0);
    assert_int_equal(proto_send(s[1], PROTO_WAIT_LINE, &line, NULL, 0, &err), -EPIPE);
    close(s[1]);
}

/* The last words of a peer that went away with unread messages are still heard. */
static void last_words_come_before_a_reset(void **state)
{
    (void)state;
    int s[2];
    struct err err = {0};
    struct proto_init_exit e = {.reason = EXIT_EXITED, .status = 3};
    struct proto_init_stop stop = {.grace_ms = 100};
    assert_int_equal(proto_pair(s, &err), 0);
    assert_int_equal(proto_send(s[1], PROTO_INIT_STOP, &stop, NULL, 0, &err), 0);
    assert_int_equal(proto_send(s[0], PROTO_INIT_EXIT, &e, NULL, 0, &err), 0);
    close(s[0]);
    assert_int_equal(proto_recv(s[1], &msg, 1000, &err), 1);
    assert_int_equal(msg.u.init_exit.status, 3);
    assert_int_equal(proto_recv(s[1], &msg, 1000, &err), 0);
    close(s[1]);
}

static void paths_of_any_length(void **state)
{
    struct err err = {0};
    char deep[512];
    int n = snprintf(deep, sizeof deep, "%s", (const char *)*state);
    for (int i = 0; i < 4; i++)
        n += snprintf(deep + n, sizeof deep - (size_t)n, "/a-folder-with-quite-a-long-name-%d", i);
    assert_int_equal(mkdir_p(deep, 0700, &err), 0);
    snprintf(deep + n, sizeof deep - (size_t)n, "/socket");
    const char *paths[] = {in_folder(state, "s"), deep};
    int before = open_fds();
    for (int i = 0; i < 2; i++) {
        mode_t mask = umask(0);
        int l = proto_listen_path(paths[i], &err);
        assert_true(l >= 0);
        close(l); /* a stale socket is no obstacle */
        l = proto_listen_path(paths[i], &err);
        umask(mask);
        assert_true(l >= 0);
        struct stat st;
        assert_int_equal(lstat(paths[i], &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        int c = proto_connect_path(paths[i], &err);
        assert_true(c >= 0);
        int a = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(a >= 0);
        struct proto_hello h = {.role = HELLO_DIAL};
        assert_int_equal(proto_send(c, PROTO_HELLO, &h, NULL, 0, &err), 0);
        assert_int_equal(proto_recv(a, &msg, 1000, &err), 1);
        assert_int_equal(msg.u.hello.role, HELLO_DIAL);
        close(a);
        close(c);
        close(l);
        assert_int_equal(proto_connect_path(paths[i], &err), -ECONNREFUSED);
    }
    assert_int_equal(open_fds(), before);
    put_file(in_folder(state, "file"), "precious");
    assert_int_equal(proto_listen_path(in_folder(state, "file"), &err), -EEXIST);
    assert_int_equal(proto_connect_path(in_folder(state, "none"), &err), -ENOENT);
}

static void stages(void **state)
{
    (void)state;
    for (unsigned s = 1; s < STAGE_COUNT; s++)
        assert_int_equal(proto_stage_of(proto_stage_name((enum proto_stage)s)), s);
    assert_string_equal(proto_stage_name(STAGE_RUNNING_APP_STARTING), "RUNNING_APP_STARTING");
    assert_string_equal(proto_stage_name((enum proto_stage)99), "NONE");
    assert_int_equal(proto_stage_of("running"), STAGE_NONE);
    assert_int_equal(proto_stage_of("NONE"), STAGE_NONE);
}

static void lists(void **state)
{
    (void)state;
    char blob[8], *out[4];
    uint32_t len = 0;
    assert_int_equal(proto_list_split(blob, 0, out, 4), 0);
    assert_null(out[0]);
    assert_int_equal(proto_list_add(blob, &len, sizeof blob, "abc"), 0);
    assert_int_equal(proto_list_add(blob, &len, sizeof blob, ""), 0);
    assert_int_equal(proto_list_add(blob, &len, sizeof blob, "def"), -EMSGSIZE);
    assert_int_equal(proto_list_add(blob, &len, sizeof blob, "de"), 0);
    assert_int_equal(len, 8);
    assert_int_equal(proto_list_add(blob, &len, sizeof blob, ""), -EMSGSIZE);
    assert_int_equal(proto_list_split(blob, len, out, 4), 3);
    assert_string_equal(out[0], "abc");
    assert_string_equal(out[1], "");
    assert_string_equal(out[2], "de");
    assert_null(out[3]);
    assert_int_equal(proto_list_split(blob, len, out, 3), -EPROTO); /* no room for the NULL */
    assert_int_equal(proto_list_split(blob, len - 1, out, 4), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(wire_format_is_fixed),
        cmocka_unit_test(every_message_survives_empty),
        cmocka_unit_test(what_does_not_fit_is_not_encoded),
        cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(malformed_ones_are_refused),
        cmocka_unit_test(blobs_are_bounded),
        cmocka_unit_test(descriptors_travel),
        cmocka_unit_test(descriptors_of_malformed_messages_are_closed),
        cmocka_unit_test(waiting_and_ends),
        cmocka_unit_test(last_words_come_before_a_reset),
        cmocka_unit_test_setup_teardown(paths_of_any_length, make_folder, remove_folder),
        cmocka_unit_test(stages),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
