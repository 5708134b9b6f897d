/* `vitrine-sandbox check`: what this machine offers. */
#pragma once

/* argv[0] is "check". 0 where workers can run, else 1; 2 for wrong usage. */
int check_main(int argc, char **argv);

/* ---- for the probes (check.c, check_host.c) */

enum check_state { STATE_OK, STATE_WEAK, STATE_MISSING };

struct check_result {
    enum check_state state;
    char detail[320], remedy[256]; /* the remedy is shown where the state is not OK */
};

void check_set(struct check_result *r, enum check_state state, const char *detail,
               const char *remedy);

/* Namespaces of each kind can be made in a user namespace of one's own. */
void check_namespaces(struct check_result *r);
/* What distributions add to forbid an ordinary user that. */
void check_userns_policy(struct check_result *r);
/* newuidmap and newgidmap, which give an ordinary user its range; and setgroups in it. */
void check_id_tools(struct check_result *r);
/* An overlay in a user namespace. */
void check_overlay(struct check_result *r);
/* A procfs that hides the processes of other users. */
void check_hidepid(struct check_result *r);
/* Swap is limited, or there is none. */
void check_swap(struct check_result *r);
/* Yama: who traces whom outside sandboxes. */
void check_yama(struct check_result *r);
/* How many sandboxes at a time the host's limit of inotify instances is enough for. */
void check_inotify(struct check_result *r);
/* What the kernel starts for a program's sake, outside of every control group. */
void check_modprobe(struct check_result *r);
/* What `--net internet` stands on. */
void check_internet(struct check_result *r);
/* Known weaknesses of the processor that the kernel does not cover. */
void check_processor(struct check_result *r);
/* Docker, LXC, gVisor and their like around us. */
void check_container(struct check_result *r);
