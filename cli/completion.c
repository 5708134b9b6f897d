/* `vitrine completion bash|zsh`: a script for the shell, made from the table of commands. */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

/* The options in "NAME [--build] [-f] [--tail N]", and the words of "bash|zsh". */
static void print_words(const char *args)
{
    for (const char *s = args; (s = strpbrk(s, "-|"));) {
        bool option = *s == '-' && (s == args || s[-1] == '[' || s[-1] == ' ' || s[-1] == '(');
        size_t len = option ? strcspn(s, " ]|)") : 1;
        if (option)
            printf(" %.*s", (int)len, s);
        s += len;
    }
}

static void print_bash(void)
{
    printf("_vitrine() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        words=\"");
    for (size_t i = 0; cmd_name(i); i++)
        printf("%s%s", i ? " " : "", cmd_name(i));
    printf("\"\n"
           "    else\n"
           "        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cmd_name(i); i++) {
        printf("        %s) words=\"", cmd_name(i));
        print_words(cmd_args(i));
        printf("\" ;;\n");
    }
    printf("        esac\n"
           "    fi\n"
           "    if [ \"$COMP_CWORD\" -gt 1 ] && [ \"${word#-}\" = \"$word\" ]; then\n"
           "        case ${COMP_WORDS[1]} in\n"
           "        up | deploy | init | dev | check | config) compopt -o filenames; "
           "COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
           "        completion) words=\"bash zsh\" ;;\n"
           "        help) words=\"");
    for (size_t i = 0; cmd_name(i); i++)
        printf("%s%s", i ? " " : "", cmd_name(i));
    printf("\" ;;\n"
           "        *) words=$(vitrine list 2>/dev/null | cut -d ' ' -f 1) ;;\n"
           "        esac\n"
           "    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -F _vitrine vitrine\n");
}

int cmd_completion(int argc, char **argv)
{
    if (argc != 2)
        return cmd_usage(argv[0], "say which shell");
    bool zsh = !strcmp(argv[1], "zsh");
    if (!zsh && strcmp(argv[1], "bash"))
        return cmd_usage(argv[0], "there is none for \"%s\"", argv[1]);
    if (zsh)
        printf("autoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
    return CMD_DONE;
}
