#include "space_env.h"

#include <errno.h>
#include <string.h>

/* The others that the platform sets (PATH, LANG, ...) are defaults, which an owner's replace. */
static const char *const ours[] = {
    "PORT",
    "SPACE_ID",
    "SPACE_HOST",
    "SPACE_TITLE",
    "SPACE_AUTHOR_NAME",
    "SPACE_REPO_NAME",
    "SYSTEM",
    "CPU_CORES",
    "MEMORY",
    "GRADIO_SERVER_NAME",
    "GRADIO_SERVER_PORT",
    "STREAMLIT_SERVER_PORT",
    "STREAMLIT_SERVER_ADDRESS",
    "HOME",
};

bool space_env_is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    return false;
}

int space_env_check_name(const char *name, struct err *err)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t len = strlen(name);
    if (len == 0)
        return err_set(err, EINVAL, "the name is empty: use letters, digits and '_'");
    if (len >= SPACE_ENV_NAME)
        return err_set(err, EINVAL, "the name \"%.20s...\" has %zu characters: %d are the most",
                       name, len, SPACE_ENV_NAME - 1);
    if (!strchr(first, name[0]) || strspn(name, others) != len)
        return err_set(err, EINVAL,
                       "\"%s\" is no name of an environment variable: use letters, digits and '_', "
                       "and no digit first",
                       name);
    if (space_env_is_ours(name))
        return err_set(err, EINVAL, "%s is set by the server: choose another name", name);
    return 0;
}

size_t space_env_bytes(const char *name, size_t value_len)
{
    return strlen(name) + 1 + value_len + 1;
}
