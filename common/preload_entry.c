#include "common/preload_entry.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define BLANKS " \t"

bool preload_path_ok(const char *path)
{
    if (!*path || strlen(path) >= PRELOAD_PATH_BYTES)
        return false;
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
            return false;
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > 255 || (n == 1 && part[0] == '.') ||
            (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

bool preload_word_ok(const char *word)
{
    size_t n = strlen(word);
    return n > 0 && n <= 128 && word[0] != '.' && strspn(word, NAME_CHARS) == n;
}

bool preload_folder_ok(const char *name)
{
    static const char begin[] = "models--";
    size_t n = strlen(name);
    return strncmp(name, begin, sizeof(begin) - 1) == 0 && n > sizeof(begin) - 1 && n < 255 &&
           strspn(name, NAME_CHARS) == n;
}

static int take_repo(const char *text, size_t len, struct preload_entry *e, struct err *err)
{
    if (len >= sizeof(e->repo))
        return err_set(err, EINVAL, "the name of the repository is too long");
    snprintf(e->repo, sizeof(e->repo), "%.*s", (int)len, text);
    char name[PRELOAD_REPO_BYTES];
    snprintf(name, sizeof(name), "%s", e->repo);
    char *slash = strchr(name, '/');
    if (slash)
        *slash = '\0';
    if (name_check(name, "its repository", NULL) < 0 ||
        (slash && name_check(slash + 1, "its repository", NULL) < 0))
        return err_set(err, EINVAL, "it begins with no repository (OWNER/NAME)");
    return 0;
}

static int take_files(const char *text, size_t len, struct preload_entry *e, struct err *err)
{
    if (len >= sizeof(e->files))
        return err_set(err, EINVAL, "its list of files is too long");
    snprintf(e->files, sizeof(e->files), "%.*s", (int)len, text);
    for (char *at = e->files;; at++) {
        size_t n = strcspn(at, ",");
        bool last = !at[n];
        at[n] = '\0';
        if (!preload_path_ok(at))
            return err_set(err, EINVAL,
                           "its list of files (FILE,FILE without blanks) has one that "
                           "has no name, or a name that leads elsewhere");
        e->n_files++;
        at += n;
        if (last)
            return 0;
    }
}

static int take_revision(const char *text, size_t len, struct preload_entry *e, struct err *err)
{
    if (len >= sizeof(e->revision))
        return err_set(err, EINVAL, "its revision is too long");
    snprintf(e->revision, sizeof(e->revision), "%.*s", (int)len, text);
    /* "refs/pr/1" is one as well, and becomes a path of the cache */
    if (!preload_path_ok(e->revision) || strspn(e->revision, NAME_CHARS "/") != len)
        return err_set(err, EINVAL, "its revision is none");
    return 0;
}

int preload_entry_parse(const char *text, struct preload_entry *ret, struct err *err)
{
    int (*const takes[])(const char *, size_t, struct preload_entry *,
                         struct err *) = {take_repo, take_files, take_revision};
    size_t words = 0;
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->revision, sizeof(ret->revision), "main");
    if (strlen(text) >= PRELOAD_ENTRY_BYTES)
        return err_set(err, EINVAL, "it is longer than %d bytes", PRELOAD_ENTRY_BYTES);
    for (const char *at = text + strspn(text, BLANKS); *at; at += strspn(at, BLANKS)) {
        size_t n = strcspn(at, BLANKS);
        if (words == sizeof(takes) / sizeof(*takes))
            return err_set(err, EINVAL, "it is more than REPOSITORY FILE,FILE REVISION");
        int r = takes[words++](at, n, ret, err);
        if (r < 0)
            return r;
        at += n;
    }
    if (!words)
        return err_set(err, EINVAL, "it is empty");
    ret->all = words == 1;
    return 0;
}
