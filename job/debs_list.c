/* See debs.h: what is read of the bundle and of packages' scripts, as words. */
#include "job/debs.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BLANKS " \t\r\n\f\v"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789+-."
#define VERSION_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+:~-"

/* deb-control(5) Package, with :ARCHITECTURE and =VERSION as apt-get takes them. A '-' at the end
 * would mean to remove it. */
static bool is_package(const char *w)
{
    size_t n = strspn(w, NAME_CHARS);
    if (!*w || w[strlen(w) - 1] == '-')
        return false;
    if (n < 2 || w[0] == '+' || w[0] == '-' || w[0] == '.' || w[n - 1] == '.')
        return false;
    w += n;
    if (*w == ':') {
        n = strspn(w + 1, NAME_CHARS);
        if (n < 2 || n > 20)
            return false;
        w += n + 1;
    }
    if (*w == '=') {
        n = strspn(w + 1, VERSION_CHARS);
        if (n < 1 || w[1] < '0' || w[1] > '9')
            return false;
        w += n + 1;
    }
    return !*w;
}

int debs_parse(const char *text, struct buf *out, struct err *err)
{
    unsigned line = 1, count = 0;
    for (const char *at = text; *at;) {
        char word[200];
        at += strspn(at, " \t\r\f\v");
        if (*at == '\n') {
            line++;
            at++;
            continue;
        }
        if (*at == '#') {
            at += strcspn(at, "\n");
            continue;
        }
        size_t n = strcspn(at, BLANKS);
        if (n == 0)
            continue;
        snprintf(word, sizeof(word), "%.*s", (int)(n < 199 ? n : 199), at);
        if (n >= sizeof(word) || !is_package(word))
            return err_set(err, EINVAL, DEBS_FILE ":%u: \"%.80s\" is no name of a Debian package",
                           line, word);
        if (++count > DEBS_MAX)
            return err_set(err, EINVAL, DEBS_FILE ": more than %d packages", DEBS_MAX);
        if (buf_printf(out, "%s\n", word) < 0)
            return err_set(err, ENOMEM, DEBS_FILE " is too long");
        at += n;
    }
    return 0;
}

int debs_read(int dir_fd, struct buf *out, struct err *err)
{
    struct stat st;
    _cleanup_close_ int fd =
        openat(dir_fd, DEBS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, DEBS_FILE " is no file that can be read");
    _cleanup_buf_ struct buf text = BUF_INIT(DEBS_FILE_MAX);
    int n = buf_read_fd(&text, fd);
    if (n < 0)
        return err_set(err, -n, DEBS_FILE " is longer than %d bytes", DEBS_FILE_MAX);
    if (text.len && memchr(text.data, '\0', text.len))
        return err_set(err, EINVAL, DEBS_FILE " is no text");
    return text.len ? debs_parse(text.data, out, err) : 0;
}

int debs_digest(int dir_fd, char ret[65], struct err *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT(DEBS_FILE_MAX);
    int n = debs_read(dir_fd, &names, err);
    ret[0] = '\0';
    if (n == 0 && names.len)
        sha256_hex(names.data, names.len, ret);
    return n;
}

static bool word_of(const char **at, char *out, size_t size)
{
    *at += strspn(*at, " \t");
    size_t n = strcspn(*at, " \t\r\n");
    bool quoted = n > 2 && (**at == '"' || **at == '\'') && (*at)[n - 1] == **at;
    if (n == 0 || n >= size)
        return false;
    snprintf(out, size, "%.*s", (int)(quoted ? n - 2 : n), *at + quoted);
    *at += n;
    return strpbrk(out, "$`\"'*?[]{}()<>|&;\\~!#") == NULL;
}

static bool is_plain_path(const char *path)
{
    return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../") &&
           path[strlen(path) - 1] != '/' && path[strlen(path) - 1] != '.';
}

bool debs_alternative(const char *line, struct debs_alternative *ret)
{
    static const char command[] = "update-alternatives";
    const char *at = strstr(line, command);
    char word[128];
    if (!at || memchr(line, '#', (size_t)(at - line)))
        return false;
    at += sizeof(command) - 1;
    /* --quiet and the like before it */
    do
        if (!word_of(&at, word, sizeof(word)) || word[0] != '-')
            return false;
    while (strcmp(word, "--install") != 0);
    return word_of(&at, ret->link, sizeof(ret->link)) &&
           word_of(&at, ret->name, sizeof(ret->name)) &&
           word_of(&at, ret->path, sizeof(ret->path)) && is_plain_path(ret->link) &&
           is_plain_path(ret->path) && !strchr(ret->name, '/') && ret->name[0] != '.';
}
