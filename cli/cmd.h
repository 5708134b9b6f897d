/* The commands: each gets its own arguments (argv[0] is the command's name) and returns the exit
 * status of the program: 0 done, 1 refused or failed with one line on stderr, 2 wrong usage. */
#pragma once

#include "common/err.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

int cmd_up(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_open(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_limits(int argc, char **argv);
int cmd_visibility(int argc, char **argv);
int cmd_env(int argc, char **argv); /* secret, var: argv[0] says which */
int cmd_versions(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_act(int argc, char **argv); /* start stop restart pause resume delete: argv[0] says which */
int cmd_user(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_gateway(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv);

enum cmd_exit { CMD_DONE = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

/* One line on stderr: "vitrine COMMAND: MESSAGE". Returns CMD_FAILED. */
int cmd_fail(const char *command, const struct err *err);
/* The same with the command's usage behind it. Returns CMD_USAGE. */
int cmd_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The table of commands: name and arguments of the i-th, NULL behind the last. */
const char *cmd_name(size_t i);
const char *cmd_args(size_t i);

/* getopt_long whose complaints are one line of ours: an option's value, -1 at the end, '?' after
 * the complaint (the caller returns CMD_USAGE). */
int cmd_getopt(int argc, char **argv, const char *shorts, const struct option *longs);
