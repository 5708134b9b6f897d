/* How the programs talk: typed messages, with descriptors, over SOCK_SEQPACKET. The one place where
 * they meet.
 *
 * A message on the wire is a header {version, type, length} and its fields in order, little-endian,
 * strings and blobs as a 32-bit length and the bytes. Decoding checks every bound, that strings fit
 * their field and hold no NUL, and that the message ends where its last field does. A peer that
 * sends anything else is disconnected by the caller (-EPROTO).
 *
 * To add a message: a PROTO_F_... line with its fields, and a line at the end of PROTO_MESSAGES
 * (its place there is its number, and a gateway is replaced by a newer one while `up` goes on).
 * Field kinds: U32(name), U64(name), I32(name), STR(name, size) (a char array of `size`,
 * NUL-terminated) and BLOB(name, size) (struct: uint32_t name_len and bytes name[size]).
 * Descriptors travel beside: which ones a message carries is said in its comment. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_VERSION 4
#define PROTO_MAX_FDS 32
#define PROTO_MAX_BYTES (160 * 1024)

/* The formatter would break the lists of fields anew each time it sees them. */
/* clang-format off */

/* ---- supervisor: `vitrine up` and each program ---- */
enum proto_role {
    ROLE_NONE,
    ROLE_GATEWAY,
    ROLE_RUNNER,
    ROLE_WEBUI,
    ROLE_SITE_DIAL, /* gateway only: a dial socket (DIAL/DIALED) that yields *connected* stream
                       sockets to webui */
    ROLE_PUBLIC,    /* gateway's SUP_LISTENER: a listening socket of the visitors' */
    ROLE_SITE,      /* webui's SUP_LISTENER: its listening Unix socket */
};
#define PROTO_F_SUP_READY(U32, U64, I32, STR, BLOB)
/* up -> program, 1 fd: a SEQPACKET socket to the peer of that role; it replaces an earlier one. For
 * each loop of a gateway (gateway.threads) there is one, in the same message; so gateway and runner
 * have as many. */
#define PROTO_F_SUP_PEER(U32, U64, I32, STR, BLOB) U32(role)
/* up -> program, 1 fd: a listening socket. The gateway has several, by number; one replaces an
 * earlier one of its number. */
enum proto_listen_flags {
    LISTENER_PROXIED = 1, /* connections begin with a PROXY header (proxyhead.h) */
    LISTENER_TLS = 2,     /* ... with (or behind that header) a TLS handshake */
};
#define PROTO_LISTENERS 16
#define PROTO_F_SUP_LISTENER(U32, U64, I32, STR, BLOB) U32(role) U32(number) U32(flags)
/* up -> gateway, 1 fd: a memfd with certificates, keys and ticket keys (tlsbundle.h), read from its
 * start; it replaces what came earlier for new connections */
#define PROTO_F_SUP_TLS(U32, U64, I32, STR, BLOB)
/* gateway -> up: the answer to an http-01 challenge (RFC 8555, 8.3), from [tls] challenges; answered
 * by SUP_CHALLENGE with the same ask_id. found 0: there is none */
#define PROTO_F_SUP_CHALLENGE_ASK(U32, U64, I32, STR, BLOB) U64(ask_id) STR(token, 129)
#define PROTO_F_SUP_CHALLENGE(U32, U64, I32, STR, BLOB) U64(ask_id) U32(found) STR(answer, 1024)

/* up -> gateway, 1 fd: the file of the access log, for appending; it replaces an earlier one */
#define PROTO_F_SUP_LOG(U32, U64, I32, STR, BLOB)
/* up -> gateway: a new one serves from now on. Accept no more, finish what is there within
 * timeout_ms, and end */
#define PROTO_F_SUP_DRAIN(U32, U64, I32, STR, BLOB) U64(timeout_ms)
/* Within a gateway, from its first loop to the others (gateway/crew.h): SIGTERM has come */
#define PROTO_F_SUP_STOP(U32, U64, I32, STR, BLOB)
/* gateway -> up, each second while it drains: visitors' connections that are left */
#define PROTO_F_SUP_LOAD(U32, U64, I32, STR, BLOB) U32(connections)

/* ---- operator: the command line and `up` (DATA/run/up.sock) ---- */
enum proto_up_what { UP_STATUS = 1, UP_RESTART_GATEWAY };
/* operator -> up: one question a connection */
#define PROTO_F_UP_ASK(U32, U64, I32, STR, BLOB) U32(what)
enum proto_up_state { UP_STARTING = 1, UP_SERVING, UP_DRAINING };
/* up -> operator: one for each program, before the answer. since_ms: how long it has run; left_ms:
 * until what it still has is cut off (DRAINING), as is connections. */
#define PROTO_F_UP_PROGRAM(U32, U64, I32, STR, BLOB) \
    STR(name, 32) U32(pid) U32(state) U64(since_ms) U32(connections) U64(left_ms)
/* up -> operator: it is done (the new gateway serves), or why not; code is 0 or a positive errno */
#define PROTO_F_UP_ANSWER(U32, U64, I32, STR, BLOB) U32(code) STR(message, 512)

/* ---- dial: the gateway (or the runner, probing) and PID 1 of a sandbox; the gateway and `up`, for
 * the site ---- */
/* 1 <= count <= PROTO_MAX_FDS */
#define PROTO_F_DIAL(U32, U64, I32, STR, BLOB) U32(count)
/* count fds: *unconnected* TCP sockets of the sandbox's network namespace (or connected ones to
 * webui); may be fewer than asked for; error is an errno where none could be made */
#define PROTO_F_DIALED(U32, U64, I32, STR, BLOB) U32(count) U32(error)

/* ---- gateway and runner ---- */
/* Hugging Face's names, and what a gateway must tell apart; proto_stage_name() spells them. NONE:
 * there is no such Space. */
enum proto_stage {
    STAGE_NONE,
    STAGE_NO_APP_FILE,
    STAGE_CONFIG_ERROR,
    STAGE_BUILDING,
    STAGE_BUILD_ERROR,
    STAGE_APP_STARTING,
    STAGE_RUNNING,
    STAGE_RUNNING_BUILDING,
    STAGE_RUNNING_APP_STARTING,
    STAGE_RUNTIME_ERROR,
    STAGE_SLEEPING,
    STAGE_PAUSED,
    STAGE_STOPPED,
    STAGE_DELETING,
    STAGE_COUNT,
};
/* gateway -> runner: who has this host label? Answered by ROUTE with the same label. */
#define PROTO_F_RESOLVE(U32, U64, I32, STR, BLOB) STR(label, 64)
/* runner -> gateway: the state of a label; in answer to RESOLVE, and unasked to every gateway
 * whenever it changes (a gateway that does not know the label ignores it). worker_id 0: nobody to
 * forward to. Else 1 fd: a fresh dial socket of that worker, and `port` to connect to on 127.0.0.1
 * in there. A gateway that has the worker already closes it. Requests in flight on an earlier
 * worker of the Space go on; new ones take this route. `wakes` 1: a WAKE helps; 0: it is paused,
 * failed, being deleted ... and holding a request is pointless. `message` is for visitors. flags:
 * what the Space asks of the gateway (enum proto_route_flags). coep, coop, corp: a value of
 * Cross-Origin-Embedder-, -Opener- and -Resource-Policy that its answers get (headers.h); 0: its
 * own. */
enum proto_route_flags {
    ROUTE_PRIVATE = 1,    /* only who has a visit (visit.h) or a token */
    ROUTE_NO_EMBEDDING = 2, /* no other site's page may show it in a frame */
    ROUTE_MOVED = 4,        /* STAGE_NONE: a Space had this label, and the site knows where it is */
};
#define PROTO_F_ROUTE(U32, U64, I32, STR, BLOB) \
    STR(label, 64) U64(space_id) STR(space, 200) STR(title, 200) STR(emoji, 32) U32(stage) \
    U64(worker_id) U32(port) U32(wakes) STR(message, 1024) \
    U32(flags) U32(coep) U32(coop) U32(corp)
/* gateway -> runner: somebody wants it. Sent once while requests wait, again if the route still
 * names no worker. */
#define PROTO_F_WAKE(U32, U64, I32, STR, BLOB) U64(space_id)
/* gateway -> runner -> webui: may whoever has this token see the Space? Answered by TOKEN_ANSWER with
 * the same ask_id; not at all where one of them is away just now. */
#define PROTO_F_TOKEN_ASK(U32, U64, I32, STR, BLOB) U64(ask_id) U64(space_id) STR(token, 256)
#define PROTO_F_TOKEN_ANSWER(U32, U64, I32, STR, BLOB) U64(ask_id) U32(allowed)
/* runner -> gateway: has this worker been idle for min_idle_ms? If so, let go of it: no request
 * goes there from the gateway's answer on. Also used with min_idle_ms 0 for draining an old
 * version. */
#define PROTO_F_SLEEP_ASK(U32, U64, I32, STR, BLOB) U64(space_id) U64(worker_id) U64(min_idle_ms)
/* gateway -> runner: refs are requests, streams and upgraded connections in flight; idle_ms since
 * the last one ended (time since the gateway learnt of the worker, if there was none); released 1:
 * let go, connections closed, the route of the Space is forgotten (a next request RESOLVEs and
 * WAKEs). A worker that the gateway does not know is released. */
#define PROTO_F_SLEEP_ANSWER(U32, U64, I32, STR, BLOB) \
    U64(space_id) U64(worker_id) U32(refs) U64(idle_ms) U32(released)
/* runner -> gateway: log or progress line for those who look at the waiting page */
#define PROTO_F_WAIT_LINE(U32, U64, I32, STR, BLOB) U64(space_id) STR(text, 1024)
/* gateway -> runner: something about a worker that its owner should read ("response head: two
 * Content-Length") */
#define PROTO_F_GATEWAY_NOTE(U32, U64, I32, STR, BLOB) U64(space_id) U64(worker_id) STR(text, 512)
/* gateway -> runner, each second for workers whose numbers changed: totals since this gateway
 * learnt of the worker */
#define PROTO_F_COUNTERS(U32, U64, I32, STR, BLOB) \
    U64(space_id) U64(worker_id) U64(requests) U64(bytes_in) U64(bytes_out) U32(refs) \
    U64(status_5xx)

/* gateway -> runner, each second for Spaces (and the site, and nobody: space_id 0) about which
 * something was counted: `counts` since it was told last (tally.h), and what is under way now */
#define PROTO_F_TALLY(U32, U64, I32, STR, BLOB) \
    U64(space_id) STR(space, 200) U32(in_flight) U32(websockets) U32(streams) BLOB(counts, 344)

/* gateway -> runner, as TALLY: of the gateway itself; the first two are since it was told last */
#define PROTO_F_GATEWAY_STAT(U32, U64, I32, STR, BLOB) \
    U64(accepted) U64(turned_away) U32(connections) U32(held)

/* ---- webui and runner ---- */
/* webui -> runner; answered by METRICS with the same request_id, and 1 fd: a memfd with all counters
 * as Prometheus reads them */
#define PROTO_F_METRICS_ASK(U32, U64, I32, STR, BLOB) U64(request_id)
#define PROTO_F_METRICS(U32, U64, I32, STR, BLOB) U64(request_id) U32(code) STR(message, 256)
/* webui -> runner: there are new rows in site.db's `commands`; sent again at each (re)connection */
#define PROTO_F_COMMAND_NUDGE(U32, U64, I32, STR, BLOB)
/* runner -> webui: command done, and recorded in life.db before; code is 0 or a positive errno */
#define PROTO_F_COMMAND_DONE(U32, U64, I32, STR, BLOB) U64(command_id) U32(code) STR(message, 1024)
/* What a job does, each by the vitrine-job command of that name (job/main.c) */
enum proto_job_kind {
    JOB_UNPACK = 1, /* an archive becomes a version */
    JOB_COMMIT,     /* so does a commit's ndjson, */
    JOB_VERSION,    /* what is in the repository, */
    JOB_RECEIVE,    /* a git push */
    JOB_SERVE,      /* git's reading side, files */
    JOB_READ,       /* questions about the repository */
    JOB_REF,        /* branches and tags */
    JOB_LFS,        /* an object of Git LFS is stored */
    JOB_DATA,       /* what is in /data: a folder's list, a file */
    JOB_DATA_DELETE,
    JOB_PACK, /* the runner's own: git gc */
    JOB_CARD, /* of no Space: a README.md is judged */
};
/* webui -> runner, 1 fd where it has a body (a seekable file, read-only use). Done in a job sandbox
 * as the Space's uid, with its repository. `name` is the upload's file name, or ""; args: "KEY=VALUE"
 * strings for the command, each with its NUL. */
#define PROTO_F_JOB(U32, U64, I32, STR, BLOB) \
    U64(job_id) U32(kind) U64(space_id) STR(space, 200) STR(name, 256) BLOB(args, 16384)
/* runner -> webui, 1 fd: the reading end of a pipe with what the job (RECEIVE, SERVE, READ) has to
 * say. It comes once, before the JOB_RESULT, which comes when the job has ended. */
#define PROTO_F_JOB_STREAM(U32, U64, I32, STR, BLOB) U64(job_id)
/* runner -> webui; code 0, and 1 fd: a memfd with the job's result as JSON, which is the version's
 * record (job/record.h) where one was made; its tree lies at versions/SPACE_ID/SHA then. Else a
 * positive errno and a message for the submitter. `done`/`total` of a JOB_PROGRESS are bytes. */
#define PROTO_F_JOB_RESULT(U32, U64, I32, STR, BLOB) \
    U64(job_id) U32(code) STR(message, 1024) STR(sha, 65)
#define PROTO_F_JOB_PROGRESS(U32, U64, I32, STR, BLOB) \
    U64(job_id) STR(step, 64) U64(done) U64(total)
enum proto_log_kind { LOG_KIND_RUN = 1, LOG_KIND_BUILD };
/* webui -> runner: descriptors of a Space's log; worker_id 0 is the newest */
#define PROTO_F_LOG_OPEN(U32, U64, I32, STR, BLOB) \
    U64(request_id) U64(space_id) U32(kind) U64(worker_id)
/* runner -> webui: `count` fds, read-only, oldest part first (0 where there is no log yet). Parts
 * are written in turn: when one is full the other is cut and goes on; `current` is the index of the
 * one that grows. */
#define PROTO_F_LOG_FILES(U32, U64, I32, STR, BLOB) \
    U64(request_id) U32(code) U64(worker_id) U32(count) U32(current) STR(message, 256)
/* runner -> webui: a Space's stage, worker or reason changed (and is in life.db) */
#define PROTO_F_CHANGED(U32, U64, I32, STR, BLOB) U64(space_id) U32(stage) U64(worker_id)
/* webui -> runner: send WORKER_STAT of every worker each second for the next `seconds` */
#define PROTO_F_WATCH(U32, U64, I32, STR, BLOB) U32(seconds)
#define PROTO_F_WORKER_STAT(U32, U64, I32, STR, BLOB) \
    U64(space_id) U64(worker_id) U64(memory_bytes) U64(memory_limit_bytes) U64(cpu_us) U32(pids) \
    U64(requests) U32(refs) U64(bytes_in) U64(bytes_out)

/* ---- runner and the resident starter (`vitrine-sandbox starter`, fd 3) ---- */
/* runner -> starter. fds in this order: the listening SEQPACKET socket of PID 1; log part 0; log
 * part 1; the exit file; then, for jobs only (flags START_JOB): stdin, stdout and stderr of the
 * program instead of the log pump. argv, env, mounts: NUL-terminated strings one after the other; a
 * mount is "ro:SRC:DST", "rw:SRC:DST", "ov:SRC:DST" (SRC laid over the root's own folder DST,
 * read-only: /usr, /etc, /etc/alternatives, /etc/fonts; or over the folder of an earlier "ro:SRC:DST"), or "cw:SRC:DST" (DST is below /home/user,
 * and what the program changes in there is in a layer on top, forgotten at the end), or "dv:SRC:DST" (a character device of the host that everybody may open, at DST below /dev); app is the version's tree that is laid under a writable
 * layer at /home/user/app ("" for none). uid_index as in userns.h. START_NEED_LIMITS: where memory,
 * pids and CPU cannot be limited, nothing runs: STARTED with ENOTSUP and the reason. tmp_inodes,
 * home_inodes: 0 is as many as a page each would take. The last `secrets`
 * strings of env are secrets: PID 1 blanks their values in the log. */
enum proto_start_flags { START_JOB = 1, START_NEED_LIMITS = 2 };
/* The network of a sandbox: its own loopback, or a way out besides. net_rules: NUL-terminated
 * strings "deny ENTRY" and "allow ENTRY" (netrule.h); net_bandwidth: bytes a second each way;
 * net_connections at the same time, net_new_connections a second; 0 is no limit. */
enum proto_net { NET_NONE, NET_INTERNET };
#define PROTO_F_START(U32, U64, I32, STR, BLOB) \
    U64(start_id) U64(worker_id) U32(flags) U32(uid_index) U32(port) STR(hostname, 64) \
    STR(root, 1024) STR(app, 1024) STR(cwd, 1024) BLOB(argv, 16384) BLOB(env, 65536) \
    U32(secrets) \
    BLOB(mounts, 16384) U64(memory_bytes) U64(cpu_milli) U32(pids) U32(io_weight) U32(open_files) \
    U64(file_size_bytes) U64(tmp_bytes) U64(home_bytes) U64(tmp_inodes) U64(home_inodes) U64(root_bytes) U64(log_bytes) U64(log_rate) \
    U64(lease_ms) U32(net) U64(net_bandwidth) U32(net_connections) \
    U32(net_new_connections) BLOB(net_rules, 8192)
/* starter -> runner; code 0 and 1 fd: a pidfd of PID 1. Else errno and "step: reason". */
#define PROTO_F_STARTED(U32, U64, I32, STR, BLOB) U64(start_id) U32(code) U32(pid) STR(message, 512)
/* runner -> starter: cgroup.kill (or every pid) and SIGKILL of PID 1; answered by GROUP_STAT */
#define PROTO_F_GROUP_KILL(U32, U64, I32, STR, BLOB) U64(worker_id)
/* runner -> starter: numbers of a worker's cgroup; answered by GROUP_STAT. remove 1: and remove it
 * (the worker is gone) */
#define PROTO_F_GROUP_ASK(U32, U64, I32, STR, BLOB) U64(worker_id) U32(remove)
/* valid is 0 where the machine has no cgroup for it: ask PID 1 (INIT_STATS) instead. cpu_periods:
 * tenths of a second in which it ran; cpu_throttled: those in which its CPU limit held it back. */
#define PROTO_F_GROUP_STAT(U32, U64, I32, STR, BLOB) \
    U64(worker_id) U32(valid) U64(memory_bytes) U64(memory_peak_bytes) U64(cpu_us) U32(pids) \
    U64(oom_kills) U64(pids_refused) U64(cpu_periods) U64(cpu_throttled)

/* ---- PID 1 of a sandbox, to those who connect to its listening socket ---- */
/* The first message of a connection is HELLO. A dial connection then carries DIAL/DIALED only.
 * While no control connection is open for lease_ms, PID 1 ends the worker. */
enum proto_hello_role { HELLO_CONTROL = 1, HELLO_DIAL };
#define PROTO_F_HELLO(U32, U64, I32, STR, BLOB) U32(role)
/* PID 1 -> control, in answer to HELLO and when it changes. met: limits that the program ran into, as
 * far as PID 1 sees them (limits_met.h) */
enum proto_init_phase { INIT_STARTING = 1, INIT_RUNNING, INIT_STOPPING };
#define PROTO_F_INIT_STATE(U32, U64, I32, STR, BLOB) U64(worker_id) U32(state) U32(met)
/* control -> PID 1: SIGTERM to the demo, after grace_ms SIGKILL to all; then INIT_EXIT, the exit
 * file, exit */
#define PROTO_F_INIT_STOP(U32, U64, I32, STR, BLOB) U64(grace_ms)
/* control -> PID 1, while it is used: look what is full; answered by INIT_STATE if something new is */
#define PROTO_F_INIT_LOOK(U32, U64, I32, STR, BLOB)
#define PROTO_F_INIT_STATS_ASK(U32, U64, I32, STR, BLOB)
#define PROTO_F_INIT_STATS(U32, U64, I32, STR, BLOB) U64(memory_bytes) U64(cpu_us) U32(pids)
/* PID 1 -> control, its last word; the exit file has the same as text: "REASON STATUS SIGNAL\n",
 * or "REASON STATUS SIGNAL LIMIT,...\n" with the names of the limits that it ran into */
enum proto_exit_reason {
    EXIT_EXITED = 1,
    EXIT_SIGNALED,
    EXIT_STOPPED,
    EXIT_LEASE,
    EXIT_EXEC_FAILED,
    EXIT_NETWORK /* its way to the internet ended */
};
#define PROTO_F_INIT_EXIT(U32, U64, I32, STR, BLOB) U32(reason) I32(status) I32(signal) U32(met)

/* clang-format on */

#define PROTO_MESSAGES(X)                                                                          \
    X(SUP_READY, sup_ready)                                                                        \
    X(SUP_PEER, sup_peer)                                                                          \
    X(SUP_LISTENER, sup_listener)                                                                  \
    X(SUP_LOG, sup_log)                                                                            \
    X(SUP_TLS, sup_tls)                                                                            \
    X(SUP_CHALLENGE_ASK, sup_challenge_ask)                                                        \
    X(SUP_CHALLENGE, sup_challenge)                                                                \
    X(DIAL, dial)                                                                                  \
    X(DIALED, dialed)                                                                              \
    X(RESOLVE, resolve)                                                                            \
    X(ROUTE, route)                                                                                \
    X(WAKE, wake)                                                                                  \
    X(TOKEN_ASK, token_ask)                                                                        \
    X(TOKEN_ANSWER, token_answer)                                                                  \
    X(SLEEP_ASK, sleep_ask)                                                                        \
    X(SLEEP_ANSWER, sleep_answer)                                                                  \
    X(WAIT_LINE, wait_line)                                                                        \
    X(GATEWAY_NOTE, gateway_note)                                                                  \
    X(COUNTERS, counters)                                                                          \
    X(TALLY, tally)                                                                                \
    X(GATEWAY_STAT, gateway_stat)                                                                  \
    X(METRICS_ASK, metrics_ask)                                                                    \
    X(METRICS, metrics)                                                                            \
    X(COMMAND_NUDGE, command_nudge)                                                                \
    X(COMMAND_DONE, command_done)                                                                  \
    X(JOB, job)                                                                                    \
    X(JOB_STREAM, job_stream)                                                                      \
    X(JOB_RESULT, job_result)                                                                      \
    X(JOB_PROGRESS, job_progress)                                                                  \
    X(LOG_OPEN, log_open)                                                                          \
    X(LOG_FILES, log_files)                                                                        \
    X(CHANGED, changed)                                                                            \
    X(WATCH, watch)                                                                                \
    X(WORKER_STAT, worker_stat)                                                                    \
    X(START, start)                                                                                \
    X(STARTED, started)                                                                            \
    X(GROUP_KILL, group_kill)                                                                      \
    X(GROUP_ASK, group_ask)                                                                        \
    X(GROUP_STAT, group_stat)                                                                      \
    X(HELLO, hello)                                                                                \
    X(INIT_STATE, init_state)                                                                      \
    X(INIT_STOP, init_stop)                                                                        \
    X(INIT_LOOK, init_look)                                                                        \
    X(INIT_STATS_ASK, init_stats_ask)                                                              \
    X(INIT_STATS, init_stats)                                                                      \
    X(INIT_EXIT, init_exit)                                                                        \
    X(SUP_DRAIN, sup_drain)                                                                        \
    X(SUP_LOAD, sup_load)                                                                          \
    X(UP_ASK, up_ask)                                                                              \
    X(UP_PROGRAM, up_program)                                                                      \
    X(UP_ANSWER, up_answer)                                                                        \
    X(SUP_STOP, sup_stop)

enum proto_type {
    PROTO_NONE,
#define X(NAME, name) PROTO_##NAME,
    PROTO_MESSAGES(X)
#undef X
        PROTO_COUNT
};

/* One struct a message: struct proto_route, struct proto_dial, ... */
#define PROTO_S_U32(n) uint32_t n;
#define PROTO_S_U64(n) uint64_t n;
#define PROTO_S_I32(n) int32_t n;
#define PROTO_S_STR(n, size) char n[size];
#define PROTO_S_BLOB(n, size)                                                                      \
    uint32_t n##_len;                                                                              \
    char n[size];
#define X(NAME, name)                                                                              \
    struct proto_##name {                                                                          \
        PROTO_F_##NAME(PROTO_S_U32, PROTO_S_U64, PROTO_S_I32, PROTO_S_STR,                         \
                       PROTO_S_BLOB) char proto_no_empty_struct[0];                                \
    };
PROTO_MESSAGES(X)
#undef X

union proto_body {
#define X(NAME, name) struct proto_##name name;
    PROTO_MESSAGES(X)
#undef X
};

/* A received message. Large (~100 KiB): keep one per loop, not one per call. Descriptors are owned
 * by the receiver: close what is not taken (steal_fd) with proto_msg_done. */
struct proto_msg {
    enum proto_type type;
    int n_fds;
    int fds[PROTO_MAX_FDS];
    union proto_body u;
};
void proto_msg_done(struct proto_msg *m); /* closes the descriptors that are still there (>= 0) */

/* Encodes `body` (a struct proto_x of `type`) into `out`: the length, or -EMSGSIZE. For tests and
 * files. */
int proto_encode(enum proto_type type, const void *body, void *out, size_t max);
/* Decodes one whole message: 0 or -EPROTO with the reason. Writes only m->type and m->u. */
int proto_decode(struct proto_msg *m, const void *data, size_t len, struct err *err);

/* Sends one message with descriptors (which stay the caller's). Never blocks: MSG_DONTWAIT |
 * MSG_NOSIGNAL. 0, -EAGAIN when the peer does not read, -EPIPE/-ECONNRESET when it is gone. `body`
 * may be NULL for a message without fields. */
int proto_send(int sock, enum proto_type type, const void *body, const int *fds, int n_fds,
               struct err *err);
/* The same, waiting for room at most timeout_ms. */
int proto_send_wait(int sock, enum proto_type type, const void *body, const int *fds, int n_fds,
                    int timeout_ms, struct err *err);
/* Receives one: 1, 0 at the end of the file, -EAGAIN where there is none (`timeout_ms` 0 asks
 * without waiting, -1 waits for ever), -EPROTO for a malformed one (its descriptors are closed).
 * Descriptors are CLOEXEC. */
int proto_recv(int sock, struct proto_msg *m, int timeout_ms, struct err *err);

const char *proto_type_name(enum proto_type t);    /* "SLEEP_ASK" */
const char *proto_stage_name(enum proto_stage s);  /* "APP_STARTING"; "NONE" */
enum proto_stage proto_stage_of(const char *name); /* STAGE_NONE for an unknown one */

/* SOCK_SEQPACKET | CLOEXEC | NONBLOCK helpers. */
int proto_pair(int fds[2], struct err *err);
int proto_listen_path(
    const char *path,
    struct err *err); /* unlinks a stale one first; mode 0600; any length of path */
int proto_connect_path(const char *path,
                       struct err *err); /* any length of path (through /proc/self/fd) */

/* Lists in a BLOB: appends one NUL-terminated string; -EMSGSIZE if it does not fit. */
int proto_list_add(char *blob, uint32_t *len, size_t max, const char *s);
/* Splits a BLOB into at most max - 1 pointers into it, NULL-terminated; -EPROTO if it does not end
 * with NUL. The count. */
int proto_list_split(char *blob, uint32_t len, char **out, size_t max);
