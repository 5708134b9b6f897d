#include "space_env.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

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

bool space_env_is_for_builds(const char *name)
{
    /* in all spellings: npm and curl read their variables in either case */
    static const char *const beginnings[] = {
        "PIP_",  "UV_",  "NPM_",     "YARN_",    "PNPM_", "COREPACK_", "PYTHON", "LD_",  "GLIBC_",
        "GCONV", "GIT_", "SSL_CERT", "CURL_CA_", "APT_",  "DPKG_",     "XDG_",   "BASH_"};
    static const char *const names[] = {"PATH",
                                        "ENV",
                                        "IFS",
                                        "SHELL",
                                        "TMPDIR",
                                        "TMP",
                                        "TEMP",
                                        "VIRTUAL_ENV",
                                        "HTTP_PROXY",
                                        "HTTPS_PROXY",
                                        "ALL_PROXY",
                                        "NO_PROXY",
                                        "FTP_PROXY",
                                        "PREFIX",
                                        "LOCPATH",
                                        "REQUESTS_CA_BUNDLE",
                                        "NODE_OPTIONS",
                                        "NODE_PATH",
                                        "NODE_EXTRA_CA_CERTS",
                                        "NODE_TLS_REJECT_UNAUTHORIZED"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
        if (strncasecmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return false;
    return true;
}

size_t space_env_bytes(const char *name, size_t value_len)
{
    return strlen(name) + 1 + value_len + 1;
}
