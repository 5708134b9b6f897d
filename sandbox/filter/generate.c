/* Makes the sandbox's filters while Vitrine is built: libseccomp takes milliseconds to make a
 * binary tree of the lists, a start has none to spare. Prints a C file with the programs, and
 * the names of the calls with the reasons why some are refused (for `vitrine-sandbox trace`). */
#include "rules.h"

#include <stdio.h>

#define LAST_CALL 511 /* the tables of all machines end before */

static int print_program(enum rules_for who, const char *name)
{
    static struct sock_filter code[BPF_MAXINSNS + 1];
    struct err err = {0};
    int n = rules_make(who, 0, code, BPF_MAXINSNS + 1, &err);
    if (n < 0) {
        fprintf(stderr, "sandbox/filter: %s\n", err.msg);
        return n;
    }
    printf("\nstatic const struct sock_filter %s_code[] = {\n", name);
    for (int i = 0; i < n; i++)
        printf("    {0x%04x, %u, %u, 0x%08x},\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
    printf("};\nconst struct filter_program filter_%s = {%s_code, %d};\n", name, name, n);
    return 0;
}

static void print_calls(void)
{
    puts("\nconst struct filter_call filter_calls[FILTER_CALLS] = {");
    for (int nr = 0; nr <= LAST_CALL; nr++) {
        char name[48];
        if (rules_call_name(0, nr, name) < 0)
            continue;
        const char *reason = rules_reason(name);
        if (reason)
            printf("    [%d] = {\"%s\", \"%s\"},\n", nr, name, reason);
        else
            printf("    [%d] = {\"%s\", NULL},\n", nr, name);
    }
    puts("};");
}

int main(void)
{
    struct err err = {0};
    if (rules_check(&err) < 0) {
        fprintf(stderr, "sandbox/filter: %s\n", err.msg);
        return 1;
    }
    puts("/* Made by sandbox/filter/generate.c from sandbox/filter/lists.h and services.h. */\n"
         "#include \"sandbox/filter.h\"\n\n#include <stddef.h>");
    if (print_program(RULES_USER, "user") < 0 || print_program(RULES_USER_GPU, "user_gpu") < 0 ||
        print_program(RULES_INIT, "init") < 0 || print_program(RULES_GATEWAY, "gateway") < 0 ||
        print_program(RULES_GATEWAY_SANITIZED, "gateway_sanitized") < 0 ||
        print_program(RULES_WEBUI, "webui") < 0 ||
        print_program(RULES_WEBUI_SANITIZED, "webui_sanitized") < 0 ||
        print_program(RULES_EGRESS, "egress") < 0 ||
        print_program(RULES_EGRESS_SANITIZED, "egress_sanitized") < 0)
        return 1;
    print_calls();
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
