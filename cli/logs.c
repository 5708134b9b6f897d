/* `vitrine logs NAME`: what a demo, or its build, printed; with -f as it comes. */
#include "cmd.h"
#include "client.h"
#include "common/buf.h"
#include "common/lines.h"
#include "common/util.h"
#include "spacename.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (1u << 20)

struct printer {
    bool json;
    bool to_terminal;
    struct terminal terminal;
    struct lines lines;
};

/* "2026-11-23T06:28:00.123Z text" as {"timestamp","text"}, one document a line. */
static int print_json_line(const char *s, size_t len)
{
    bool stamped = len >= 25 && s[10] == 'T' && s[23] == 'Z' && s[24] == ' ';
    _cleanup_json_ json_t *j = json_object();
    if (stamped)
        json_object_set_new(j, "timestamp", json_stringn(s, 24));
    size_t skip = stamped ? 25 : 0;
    json_t *text = json_stringn(s + skip, len - skip);
    if (!text) { /* not UTF-8: each other byte as it is in Latin-1 */
        _cleanup_buf_ struct buf b = BUF_INIT(2 * LINE_MAX_BYTES + 8);
        for (size_t i = skip; i < len; i++) {
            unsigned char ch = (unsigned char)s[i];
            char two[2] = {(char)(0xc0 | ch >> 6), (char)(0x80 | (ch & 0x3f))};
            buf_append(&b, ch < 0x80 ? &s[i] : two, ch < 0x80 ? 1 : 2);
        }
        text = json_stringn(b.data ? b.data : "", b.len);
    }
    json_object_set_new(j, "text", text);
    return json_dumpf(j, stdout, JSON_COMPACT) < 0 || putchar('\n') == EOF ? -EIO : 0;
}

static bool take_line(void *arg, char *line, size_t len)
{
    (void)arg;
    return print_json_line(line, len) == 0;
}

static int take(void *arg, const char *data, size_t len)
{
    struct printer *p = arg;
    if (!p->json && p->to_terminal)
        return terminal_write(&p->terminal, stdout, data, len) < 0 || fflush(stdout) != 0 ? -EIO
                                                                                          : 0;
    if (!p->json)
        return fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0 ? -EIO : 0;
    int r = lines_add(&p->lines, data, len, take_line, NULL);
    if (r < 0)
        return r == -ECANCELED ? -EIO : r;
    return fflush(stdout) != 0 ? -EIO : 0;
}

static int print_logs(const struct spacename *n, bool build, bool follow, const char *tail,
                      struct printer *p, struct err *err)
{
    _cleanup_client_ struct client *c = NULL;
    int r = client_open(&c, err);
    if (r < 0)
        return r;
    char path[500];
    snprintf(path, sizeof(path), "%s/logs/%s?follow=%d%s%s", n->path, build ? "build" : "run",
             follow, tail ? "&tail=" : "", tail ? tail : "");
    struct client_request rq = {.method = "GET",
                                .path = path,
                                .accept = "text/plain",
                                .body_fd = -1,
                                .take = take,
                                .arg = p};
    _cleanup_answer_ struct client_answer ans = {0};
    r = client_send(c, &rq, &ans, err);
    if (r == 0 && ans.status / 100 != 2)
        r = client_refusal(&ans, err);
    if (r == 0 && p->lines.begun.len) /* the log ends there */
        r = print_json_line(p->lines.begun.data, p->lines.begun.len);
    return r;
}

int cmd_logs(int argc, char **argv)
{
    static const struct option longs[] = {{"build", no_argument, NULL, 'b'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"tail", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    struct spacename n;
    struct err err = {0};
    struct printer p = {.lines = LINES_INIT(LINE_MAX_BYTES, false, 0),
                        .to_terminal = isatty(STDOUT_FILENO)};
    const char *tail = NULL;
    bool build = false, follow = false;
    for (int o; (o = cmd_getopt(argc, argv, "f", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        build |= o == 'b';
        follow |= o == 'f';
        p.json |= o == 'j';
        if (o == 't')
            tail = optarg;
    }
    if (argc - optind != 1)
        return cmd_usage(argv[0], "give the name of one Space");
    if (tail && (!*tail || tail[strspn(tail, "0123456789")] || strlen(tail) > 9))
        return cmd_usage(argv[0], "--tail takes a number of lines, not \"%s\"", tail);
    int r = spacename_parse(&n, argv[optind], &err);
    if (r == 0)
        r = print_logs(&n, build, follow, tail, &p, &err);
    lines_free(&p.lines);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
