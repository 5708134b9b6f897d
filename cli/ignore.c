#include "ignore.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64 * 1024)
#define NAME ".vitrineignore"

void ignore_free(struct ignore *ig)
{
    for (size_t i = 0; i < ig->count; i++)
        free(ig->rules[i].pattern);
    free(ig->rules);
    *ig = (struct ignore){0};
}

static int add_rule(struct ignore *ig, char *line, unsigned number, struct err *err)
{
    struct ignore_rule rule = {0};
    size_t len = strlen(line);
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
        line[--len] = 0;
    if (!len || *line == '#')
        return 0;
    if (*line == '!') {
        rule.negated = true;
        line++, len--;
    }
    if (len >= 3 && !strcmp(line + len - 3, "/**")) /* all of a folder: the folder */
        rule.anchored = true, line[len -= 2] = 0;
    if (len && line[len - 1] == '/') {
        rule.folders_only = true;
        line[--len] = 0;
    }
    if (!strncmp(line, "**/", 3))
        line += 3, len -= 3;
    else
        rule.anchored |= strchr(line, '/') != NULL;
    if (*line == '/')
        line++, len--;
    if (!len || strstr(line, "**"))
        return err_set(
            err, EINVAL,
            NAME ":%u: \"%s\": \"**\" is understood at the beginning (**/x) and at the end (x/**)",
            number, line);
    struct ignore_rule *grown = reallocarray(ig->rules, ig->count + 1, sizeof(*grown));
    if (grown)
        ig->rules = grown;
    if (!grown || !(rule.pattern = strdup(line)))
        return err_set(err, ENOMEM, "out of memory");
    ig->rules[ig->count++] = rule;
    return 0;
}

int ignore_read(struct ignore *ig, int folder_fd, struct err *err)
{
    *ig = (struct ignore){0};
    _cleanup_close_ int fd = openat(folder_fd, NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open " NAME);
    _cleanup_free_ char *text = malloc(FILE_MAX + 1);
    ssize_t n = text ? read_all(fd, text, FILE_MAX + 1) : -ENOMEM;
    if (n < 0 || n > FILE_MAX)
        return err_set(err, n < 0 ? (int)-n : EFBIG, "cannot read " NAME ": %s",
                       n < 0 ? strerror((int)-n) : "it is longer than 64 KiB");
    text[n] = 0;
    int r = 0;
    unsigned number = 0;
    for (char *line, *rest = text; r == 0 && (line = strsep(&rest, "\n"));)
        r = add_rule(ig, line, ++number, err);
    if (r < 0)
        ignore_free(ig);
    return r;
}

static bool always(const char *path, const char *name)
{
    static const char hub[] =
        ".cache/huggingface"; /* what its client notes down about a download */
    size_t len = strlen(path), cut = sizeof(hub) - 1;
    return !strcmp(name, ".git") || !strcmp(name, "__pycache__") ||
           (len >= cut && !strcmp(path + len - cut, hub) &&
            (len == cut || path[len - cut - 1] == '/'));
}

bool ignore_has(const struct ignore *ig, const char *path, bool is_folder)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (always(path, name))
        return true;
    bool out = false;
    for (size_t i = 0; i < ig->count; i++) {
        const struct ignore_rule *r = &ig->rules[i];
        /* A pattern with a slash in it is for the path from the top, one without for a name. */
        if ((!r->folders_only || is_folder) &&
            fnmatch(r->pattern, r->anchored ? path : name, FNM_PATHNAME) == 0)
            out = !r->negated;
    }
    return out;
}
