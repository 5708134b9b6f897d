/* `vitrine check`: what this machine offers, what is missing, and the remedy. The sandbox's own
 * checks come from `vitrine-sandbox check --json`, which tries them; the rest is tried here. */
#include "cmd.h"
#include "checks.h"
#include "client.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "serveropts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_sandbox_check(struct buf *out, struct err *err)
{
    char dir[3072], path[4096];
    int pipe_fds[2];
    int r = exe_dir(dir, sizeof(dir), err);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/vitrine-sandbox", dir);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    _cleanup_close_ int reader = pipe_fds[0], writer = pipe_fds[1];
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, "cannot start a process");
    if (pid == 0) {
        dup2(writer, STDOUT_FILENO);
        execl(path, "vitrine-sandbox", "check", "--json", NULL);
        _exit(127);
    }
    close_fd(&writer);
    r = buf_read_fd(out, reader);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return err_set(err, -r, "cannot read what %s says", path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(err, ENOENT, "%s cannot be run; build or install the whole of Vitrine",
                       path);
    return 0;
}

/* Takes over the sandbox's list; -errno where it said nothing that can be read. */
static int add_sandbox_checks(struct checks *k, struct err *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    int r = run_sandbox_check(&out, err);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *j = out.len ? json_loadb(out.data, out.len, 0, NULL) : NULL;
    const json_t *list = json_object_get(j, "checks");
    if (!json_is_array(list))
        return err_set(err, EIO, "vitrine-sandbox check gave no list");
    size_t i;
    json_t *c;
    json_array_foreach(list, i, c)
    {
        const char *state = json_str(c, "state");
        checks_add(k,
                   !strcmp(state, "ok")     ? CHECK_OK
                   : !strcmp(state, "weak") ? CHECK_WEAK
                                            : CHECK_MISSING,
                   json_is_true(json_object_get(c, "needed")), json_str(c, "name"),
                   json_str(c, "remedy"), "%s", json_str(c, "detail"));
    }
    return 0;
}

static void print_table(const struct checks *k)
{
    static const char *const words[] = {"there", "partly", "MISSING"};
    int width = 8;
    for (size_t i = 0; i < k->count; i++)
        width = (int)strlen(k->list[i].name) > width ? (int)strlen(k->list[i].name) : width;
    for (size_t i = 0; i < k->count; i++) {
        const struct check *c = &k->list[i];
        printf("%-*s  %-7s  %s\n", width, c->name, words[c->state], c->detail);
        if (c->state != CHECK_OK && *c->remedy)
            printf("%-*s  %-7s  remedy: %s\n", width, "", "", c->remedy);
    }
    printf("%s\n", checks_can_run(k) ? "Workers can run here."
                                     : "Workers cannot run here until the needed ones above are "
                                       "there.");
}

static int print_json(const struct checks *k, struct err *err)
{
    static const char *const words[] = {"ok", "weak", "missing"};
    _cleanup_json_ json_t *list = json_array();
    for (size_t i = 0; i < k->count; i++) {
        const struct check *c = &k->list[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:s}", "name", c->name, "state",
                                              words[c->state], "needed", c->needed, "detail",
                                              c->detail, "remedy", c->remedy));
    }
    _cleanup_json_ json_t *j =
        json_pack("{s:b, s:O}", "workers_can_run", checks_can_run(k), "checks", list);
    return json_print(j, err);
}

int cmd_check(int argc, char **argv)
{
    static const struct option longs[] = {
        SERVEROPTS_LONG, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct serveropts opts = {0};
    struct conf conf;
    struct checks k = {0};
    struct err err = {0};
    bool json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        json |= o == 'j';
        serveropts_take(&opts, o, optarg);
    }
    if (optind < argc)
        return cmd_usage(argv[0], "takes no argument");
    int r = serveropts_conf(&opts, &conf, &err);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    checks_programs(&k);
    if (add_sandbox_checks(&k, &err) < 0)
        checks_add(&k, CHECK_MISSING, true, "sandbox", "", "%s", err.msg);
    checks_data(&k, conf.server_data);
    checks_quota(&k, conf.server_data);
    checks_installer(&k, conf.build_uv);
    checks_gpus(&k, &conf);
    checks_listen(&k, &conf);
    checks_tls(&k, &conf);
    checks_names(&k, *conf.server_demo_domain ? conf.server_demo_domain : conf.server_domain);
    if (json)
        r = print_json(&k, &err);
    else
        print_table(&k);
    bool can_run = checks_can_run(&k);
    checks_free(&k);
    conf_free(&conf);
    if (r < 0)
        return cmd_fail(argv[0], &err);
    return can_run ? CMD_DONE : CMD_FAILED;
}
