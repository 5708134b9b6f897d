/* `vitrine secret NAME set KEY | delete KEY | list` and `vitrine var NAME set KEY=VALUE | ...`:
 * what the programs of a Space have in their environment. The value of a secret comes from standard
 * input or is asked for; on a command line the whole machine would see it. */
#include "cmd.h"
#include "client.h"
#include "spacename.h"
#include "terminal.h"

#include "common/cleanup.h"
#include "common/space_env.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

static void forget(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->len);
    buf_free(b);
}
#define _cleanup_secret_buf_ __attribute__((cleanup(forget)))

/* One line, which is not shown while it is typed. */
static int ask(const char *key, struct buf *out, struct err *err)
{
    struct termios before, quiet;
    char line[4096];
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return err_errno(err, "cannot ask for the value");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "Value of %s: ", key);
    fflush(stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    char *got = fgets(line, sizeof(line), stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    if (!got)
        return err_set(err, EINVAL, "no value was given");
    line[strcspn(line, "\n")] = 0;
    int r = buf_puts(out, line);
    explicit_bzero(line, sizeof(line));
    return r < 0 ? err_set(err, -r, "the value is too long") : 0;
}

static int read_value(const char *key, struct buf *out, struct err *err)
{
    if (isatty(STDIN_FILENO))
        return ask(key, out, err);
    int r = buf_read_fd(out, STDIN_FILENO);
    if (r == -EFBIG)
        return err_set(err, EFBIG, "the value is too long: %d bytes are the most", SPACE_ENV_BYTES);
    if (r < 0)
        return err_set(err, -r, "cannot read the value: %s", strerror(-r));
    if (out->len && out->data[out->len - 1] == '\n') /* that of `echo` */
        out->data[--out->len] = 0;
    if (!out->len)
        return err_set(err, EINVAL, "no value came on standard input");
    if (strlen(out->data) != out->len)
        return err_set(err, EINVAL, "the value has a NUL byte in it");
    return 0;
}

static int make_body(struct buf *body, const char *key, const char *value, const char *description)
{
    int r = buf_puts(body, "{\"key\":");
    if (r >= 0)
        r = buf_json(body, key);
    if (r >= 0 && value)
        r = buf_puts(body, ",\"value\":");
    if (r >= 0 && value)
        r = buf_json(body, value);
    if (r >= 0 && description)
        r = buf_puts(body, ",\"description\":");
    if (r >= 0 && description)
        r = buf_json(body, description);
    return r < 0 ? r : buf_puts(body, "}");
}

static int change(struct client *c, const char *path, const char *method, const char *key,
                  const char *value, const char *description, json_t **ret, struct err *err)
{
    _cleanup_secret_buf_ struct buf body = BUF_INIT(6 * SPACE_ENV_BYTES + 16384);
    _cleanup_close_ int fd = memfd_create("body", MFD_CLOEXEC);
    int r = buf_reserve(&body, body.max - 1); /* never moved: no copy is left behind */
    if (r >= 0)
        r = make_body(&body, key, value, description);
    if (r >= 0)
        r = fd < 0 ? -errno : write_all(fd, body.data, body.len);
    if (r < 0)
        return err_set(err, -r, "cannot keep the request: %s", strerror(-r));
    struct client_request rq = {
        .method = method, .path = path, .body_fd = fd, .body_size = body.len, .timeout_ms = 60000};
    return client_json(c, &rq, ret, err);
}

static void put(const char *text)
{
    struct terminal t = {0};
    (void)terminal_write(&t, stdout, text, strlen(text));
}

static void print(const json_t *all, bool secrets)
{
    const char *key;
    json_t *o;
    json_object_foreach((json_t *)(uintptr_t)all, key, o)
    {
        put(key);
        putchar(secrets ? ' ' : '=');
        put(secrets ? json_str(o, "updatedAt") : json_str(o, "value"));
        const char *description = json_str(o, "description");
        if (*description) {
            fputs("  # ", stdout);
            put(description);
        }
        putchar('\n');
    }
}

struct wanted {
    bool secrets, json;
    const char *command, *verb, *description;
    char key[SPACE_ENV_NAME];
    const char *value; /* of a variable */
};

/* 0, or CMD_USAGE after a complaint. */
static int parse(struct wanted *w, int argc, char **argv)
{
    bool set = !strcmp(w->verb, "set");
    if (!set && strcmp(w->verb, "delete") && strcmp(w->verb, "list"))
        return cmd_usage(w->command, "\"%s\" is none of set, delete, list", w->verb);
    if (!strcmp(w->verb, "list"))
        return argc ? cmd_usage(w->command, "list takes nothing more") : 0;
    if (argc != 1)
        return cmd_usage(w->command, "give the name of one %s", w->secrets ? "secret" : "variable");
    const char *equals = strchr(argv[0], '=');
    if (set && w->secrets && equals)
        return cmd_usage(w->command, "the value of a secret comes on standard input, or is asked "
                                     "for: on a command line everybody would see it");
    if (set && !w->secrets && !equals)
        return cmd_usage(w->command, "\"%s\" is not KEY=VALUE", argv[0]);
    size_t len = equals && set ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    if (len >= sizeof(w->key))
        return cmd_usage(w->command, "the name is too long");
    memcpy(w->key, argv[0], len);
    w->value = equals ? equals + 1 : NULL;
    return 0;
}

static int run(const struct wanted *w, const struct spacename *n, json_t **answer, struct err *err)
{
    _cleanup_client_ struct client *c = NULL;
    _cleanup_secret_buf_ struct buf value = BUF_INIT(SPACE_ENV_BYTES);
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", n->path, w->secrets ? "secrets" : "variables");
    bool set = !strcmp(w->verb, "set");
    int r = set ? space_env_check_name(w->key, err) : 0;
    if (r == 0 && set && w->secrets)
        r = read_value(w->key, &value, err);
    if (r == 0)
        r = client_open(&c, err);
    if (r < 0)
        return r;
    if (!strcmp(w->verb, "list"))
        return client_get(c, path, answer, err);
    return change(c, path, set ? "POST" : "DELETE", w->key,
                  !set         ? NULL
                  : w->secrets ? value.data
                               : w->value,
                  w->description, answer, err);
}

int cmd_env(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"description", required_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    _cleanup_json_ json_t *answer = NULL;
    struct wanted w = {.command = argv[0], .secrets = !strcmp(argv[0], "secret")};
    struct spacename n;
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        if (o == 'j')
            w.json = true;
        else
            w.description = optarg;
    }
    if (argc - optind < 2)
        return cmd_usage(w.command, "give the name of one Space, and set, delete or list");
    w.verb = argv[optind + 1];
    int status = parse(&w, argc - optind - 2, argv + optind + 2);
    if (status)
        return status;
    int r = spacename_parse(&n, argv[optind], &err);
    if (r == 0)
        r = run(&w, &n, &answer, &err);
    if (r == 0 && w.json)
        r = json_print(answer, &err);
    else if (r == 0 && !strcmp(w.verb, "list"))
        print(answer, w.secrets);
    if (r < 0)
        return cmd_fail(w.command, &err);
    size_t i;
    json_t *warning;
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
        fprintf(stderr, "vitrine %s: %s\n", w.command, json_string_value(warning));
    return CMD_DONE;
}
