/* vitrine: the command line.
 *
 * Two programs in one. `vitrine up` is the supervisor of the whole system: it holds the data
 * folder's lock and the listening sockets, starts vitrine-runner, vitrine-webui and
 * vitrine-gateway, brings them together by descriptors, and starts again what dies (up.c tells
 * how). Everything else is a client: it speaks to the site's API over HTTP (client.c), never
 * touches the data folder but to read admin.token, and works as well from another machine.
 *
 *   main.c       the table of commands, and what they share
 *   up.c         `up`: from the command line to the running system, and its end
 *   supervise.c  the programs: start, hand over, restart, stop
 *   programs.c gateways.c upsock.c   parts of that: starting one; a new gateway in the place of the
 *                one that serves; the operator's questions (upask.c asks them)
 *   sitedial.c   connections to webui for the gateway
 *   opening.c    a child of `up`: waits for the site, brings the examples, says `ready:`
 *   datadir.c    the data folder: its parts, its lock, the token
 *   listener.c   the listening sockets
 *   client.c     HTTP to the site: one request, one answer
 *   folder.c ignore.c   what is in a folder, and what of it is left out
 *   have.c       what of it the server has already
 *   pack.c       the rest becomes a tar.zst
 *   send.c       the archive goes to the server, and goes on where it was when the connection broke
 *   progress.c   what somebody who waits gets to see
 *   follow.c     waits until a submitted version runs, or says why it does not
 *   dev.c        `dev`: the loop; devstage.c devrun.c devrelay.c are its parts, and devbuild.c what
 *                builds for it
 *   init.c       `init`: templates, which lie in static/init
 *   deploy.c open.c list.c status.c logs.c act.c user.c token.c check.c
 *   config.c completion.c   one command each
 *
 * A command returns its exit status: 0 done, 1 refused or failed (one line on stderr, with the
 * remedy), 2 wrong usage. stdout carries results only; with --json one JSON document. */
#include "cmd.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef VITRINE_VERSION
#define VITRINE_VERSION "0.1"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *args;
    const char *text;
};

static const struct command commands[] = {
    {"up", cmd_up, "[--data DIR] [--listen ADDR:PORT] [--domain NAME] [--examples] [--config FILE]",
     "run the whole system in the foreground"},
    {"init", cmd_init, "[DIR] [--sdk SDK] [--title TEXT] [--emoji EMOJI] [--yes] [--json]",
     "make a new Space's folder from a template; asks for what is not given"},
    {"dev", cmd_dev,
     "[DIR] [--port N] [--env NAME=VALUE] [--net none|internet] [--memory N] [--no-build | --data "
     "DIR "
     "--config FILE]",
     "run a folder in a sandbox on this machine, and again whenever a file is saved; what it asks "
     "for "
     "is built first"},
    {"deploy", cmd_deploy, "PATH [OWNER/NAME] [--no-wait] [--if-changed] [--json]",
     "submit a folder, .zip or .tar(.gz|.zst); waits until it runs, prints its URL"},
    {"list", cmd_list, "[--json]", "all Spaces and their stage"},
    {"status", cmd_status, "[NAME | --data DIR | --config FILE] [--json]",
     "one Space; without a name, the programs of `vitrine up` on this machine"},
    {"logs", cmd_logs, "NAME [--build] [-f] [--tail N] [--json]",
     "what a Space's demo, or its build, printed"},
    {"open", cmd_open, "NAME [--print] [--json]",
     "print a Space's address, and open it in the browser where there is a display"},
    {"limits", cmd_limits, "NAME [LIMIT=VALUE|LIMIT=default ...] [--json]",
     "what a Space may use; or set that, from its next start on"},
    {"secret", cmd_env, "NAME set KEY | delete KEY | list  [--description TEXT] [--json]",
     "a Space's secrets; the value comes on standard input, or is asked for"},
    {"var", cmd_env, "NAME set KEY=VALUE | delete KEY | list  [--description TEXT] [--json]",
     "a Space's variables"},
    {"visibility", cmd_visibility, "NAME [public|protected|private] [--json]",
     "who may see a Space; or set that"},
    {"versions", cmd_versions, "NAME [--json]", "what was deployed of a Space, newest first"},
    {"rollback", cmd_rollback, "NAME VERSION [--no-wait] [--json]",
     "a new commit with the files of an earlier version: its number, or the beginning of its sha"},
    {"start", cmd_act, "NAME [--json]", "start a Space, or resume it"},
    {"stop", cmd_act, "NAME [--json]", "stop a Space; visitors do not wake it"},
    {"restart", cmd_act, "NAME [--json]", "end a Space's worker and start a new one"},
    {"pause", cmd_act, "NAME [--json]", "stop a Space until it is resumed"},
    {"resume", cmd_act, "NAME [--json]", "end a pause"},
    {"rebuild", cmd_act, "NAME [--json]",
     "build a Space anew, with what its requirements mean today"},
    {"cancel", cmd_act, "NAME [--json]", "end a build; the version before it goes on"},
    {"delete", cmd_act, "NAME [--json]", "remove a Space with everything it has stored"},
    {"user", cmd_user,
     "add NAME [--org] | list | delete NAME | member ORG NAME --role read|write|admin|none "
     "[--json]",
     "users and organisations: who may have Spaces"},
    {"token", cmd_token,
     "new USER --role read|write|admin [--name TEXT] [--days N] | list [USER] | revoke ID [--json]",
     "tokens of users; a new one is printed once and kept nowhere"},
    {"gateway", cmd_gateway, "restart [--data DIR] [--config FILE] [--json]",
     "start a new gateway (after an upgrade); no request is lost"},
    {"check", cmd_check, "[--data DIR] [--listen ADDR:PORT] [--config FILE] [--json]",
     "what this machine offers, what is missing, and the remedy"},
    {"config", cmd_config, "[--sample] [--config FILE] [--json]",
     "the effective configuration, or a commented sample file"},
    {"completion", cmd_completion, "bash|zsh", "a script that completes commands in that shell"},
    {"version", cmd_version, "[--json]", "the version of this program"},
    {"help", cmd_help, "[COMMAND]", "this page"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const char *cmd_name(size_t i)
{
    return i < N_COMMANDS ? commands[i].name : NULL;
}

const char *cmd_args(size_t i)
{
    return i < N_COMMANDS ? commands[i].args : NULL;
}

int cmd_fail(const char *command, const struct err *err)
{
    fprintf(stderr, "vitrine %s: %s\n", command, err->msg[0] ? err->msg : strerror(err->code));
    return CMD_FAILED;
}

int cmd_usage(const char *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "vitrine %s: ", command);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    const struct command *c = find_command(command);
    fprintf(stderr, " (usage: vitrine %s %s)\n", command, c ? c->args : "");
    return CMD_USAGE;
}

int cmd_getopt(int argc, char **argv, const char *shorts, const struct option *longs)
{
    opterr = 0;
    int o = getopt_long(argc, argv, shorts, longs, NULL);
    if (o != '?')
        return o;
    const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
    bool known = false;
    for (const struct option *l = longs; l && l->name; l++)
        known |= l->val == optopt;
    if (known)
        cmd_usage(argv[0], "option %s needs a value, or takes none", word);
    else
        cmd_usage(argv[0], "unknown option %s", word);
    return '?';
}

int cmd_version(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    bool json = false;
    for (int o; (o = cmd_getopt(argc, argv, "", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        json = true;
    }
    if (optind < argc)
        return cmd_usage(argv[0], "takes no argument");
    printf(json ? "{\"version\": \"%s\"}\n" : "vitrine %s\n", VITRINE_VERSION);
    return CMD_DONE;
}

int cmd_help(int argc, char **argv)
{
    if (argc > 2)
        return cmd_usage(argv[0], "takes at most one command");
    if (argc == 2) {
        const struct command *c = find_command(argv[1]);
        if (!c)
            return cmd_usage(argv[0], "there is no command \"%s\"", argv[1]);
        printf("vitrine %s %s\n        %s\n", c->name, c->args, c->text);
        return CMD_DONE;
    }
    printf("Vitrine shows model demos: submit a folder, get an address.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  vitrine %s %s\n        %s\n", commands[i].name, commands[i].args,
               commands[i].text);
    printf("\nThe commands find the server by VITRINE_URL and VITRINE_TOKEN, else\n"
           "http://localhost:8080 and ./data/admin.token. See vitrine(1).\n");
    return CMD_DONE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "vitrine: no command given; `vitrine help` lists them\n");
        return CMD_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    else if (!strcmp(name, "--version"))
        name = "version";
    const struct command *c = find_command(name);
    if (!c) {
        fprintf(stderr, "vitrine: there is no command \"%s\"; `vitrine help` lists them\n", name);
        return CMD_USAGE;
    }
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--help")) {
            printf("vitrine %s %s\n        %s\n", c->name, c->args, c->text);
            return CMD_DONE;
        }
    argv[1] = (char *)c->name;
    int status = c->run(argc - 1, argv + 1);
    /* A full disk or a closed pipe behind stdout is a failure too. */
    if (fflush(stdout) != 0 && status == CMD_DONE) {
        fprintf(stderr, "vitrine %s: stdout: %m\n", c->name);
        status = CMD_FAILED;
    }
    return status;
}
