#include "spacename.h"

#include "common/cleanup.h"
#include "common/util.h"
#include "client.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define OPERATOR "admin" /* webui/owners.h: nobody else is called so */

static int set(struct spacename *n, const char *owner, const char *name, struct err *err)
{
    int r = name_check(owner, "owner", err);
    if (r == 0)
        r = name_check(name, "name", err);
    if (r < 0)
        return r;
    snprintf(n->owner, sizeof(n->owner), "%s", owner);
    snprintf(n->name, sizeof(n->name), "%s", name);
    snprintf(n->id, sizeof(n->id), "%s/%s", n->owner, n->name);
    snprintf(n->path, sizeof(n->path), "/api/spaces/%s", n->id);
    return 0;
}

static const char *account(void)
{
    const char *name = getenv("USER");
    if (name && *name)
        return name;
    const struct passwd *pw = getpwuid(getuid());
    return pw ? pw->pw_name : "local";
}

/* Whose token that is, if one was given; the operator is no owner. */
static int set_own(struct spacename *n, const char *name, struct err *err)
{
    const char *token = getenv("VITRINE_TOKEN");
    if (!token || !*token)
        return set(n, account(), name, err);
    _cleanup_client_ struct client *c = NULL;
    _cleanup_json_ json_t *who = NULL;
    int r = client_open(&c, err);
    if (r == 0)
        r = client_get(c, "/api/whoami-v2", &who, err);
    if (r < 0)
        return r;
    const char *user = json_str(who, "name");
    return set(n, strcmp(user, OPERATOR) == 0 ? account() : user, name, err);
}

int spacename_parse(struct spacename *n, const char *text, struct err *err)
{
    const char *slash = strchr(text, '/');
    if (!slash)
        return set_own(n, text, err);
    char owner[128];
    if ((size_t)(slash - text) >= sizeof(owner))
        return err_set(err, EINVAL, "the owner's name is too long in \"%s\"", text);
    memcpy(owner, text, slash - text);
    owner[slash - text] = 0;
    return set(n, owner, slash + 1, err);
}

int spacename_of_path(struct spacename *n, const char *path, struct err *err)
{
    static const char *const extensions[] = {".tar.gz", ".tar.zst", ".tgz", ".tar", ".zip"};
    _cleanup_free_ char *full = realpath(path, NULL);
    if (!full)
        return err_errno(err, "cannot find %s", path);
    char *base = strrchr(full, '/') + 1;
    for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
        size_t len = strlen(base), cut = strlen(extensions[i]);
        if (len > cut && !strcmp(base + len - cut, extensions[i])) {
            base[len - cut] = 0;
            break;
        }
    }
    int r = set_own(n, base, err);
    if (r == -EINVAL)
        err_prefix(err, EINVAL, "give it a name (vitrine deploy %s OWNER/NAME)", path);
    return r;
}
