#include "job/requirements.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void requirements_free(struct requirements *q)
{
    buf_free(&q->text);
    buf_free(&q->options);
}

static bool is_web(const char *s)
{
    return strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0;
}

/* The value of an option that is written as "-r X", "-rX", "--long X" or "--long=X", or NULL. */
static const char *option_value(const char *line, const char *brief, const char *full)
{
    size_t n = full ? strlen(full) : 0, b = brief ? strlen(brief) : 0;
    if (n && strncmp(line, full, n) == 0 && (line[n] == '=' || isspace((unsigned char)line[n])))
        line += n + 1;
    else if (b && line[1] != '-' && strncmp(line, brief, b) == 0)
        line += b;
    else
        return NULL;
    return line + strspn(line, " \t");
}

/* Names as indexes compare them (PEP 503): case does not matter, nor which of -_. stands there. */
static bool same_name(const char *line, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++) {
        char c = (char)tolower((unsigned char)line[i]);
        c = c == '_' || c == '.' ? '-' : c;
        if (!name[i] || c != name[i])
            return false;
    }
    return len > 0 && !name[len];
}

static bool ends_with(const char *s, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && strncasecmp(s + len - n, suffix, n) == 0;
}

/* "./x", "../x", "/x", "x/y", "x.whl": a path and no name. */
static bool is_path(const char *line)
{
    size_t word = strcspn(line, " \t;[");
    if (line[0] == '.' || line[0] == '/' || strncmp(line, "file:", 5) == 0)
        return true;
    if (memchr(line, ':', word) || memchr(line, '@', word))
        return strstr(line, "@ file:") || strstr(line, "@file:");
    return memchr(line, '/', word) || ends_with(line, word, ".whl") ||
           ends_with(line, word, ".tar.gz") || ends_with(line, word, ".zip");
}

static void take_requirement(const char *line, const char *sdk, struct requirements *q)
{
    size_t name = 0;
    while (isalnum((unsigned char)line[name]) || (line[name] && strchr("-_.", line[name])))
        name++;
    const char *rest = line + name;
    if (is_path(line) || strstr(line, "@ file:") || strstr(line, "@file:"))
        q->bound = true;
    if (!*sdk || !same_name(line, name, sdk))
        return;
    rest += strspn(rest, " \t");
    if (*rest == '[')
        rest += strcspn(rest, "]") + (strchr(rest, ']') != NULL);
    rest += strspn(rest, " \t");
    if (*rest && strchr("=<>~!@(", *rest))
        q->pins_sdk = true;
}

static void take_option(const char *line, struct requirements *q,
                        void (*include)(void *arg, const char *path), void *arg)
{
    static const struct {
        const char *brief, *full;
    } sources[] = {{"-i", "--index-url"},
                   {NULL, "--extra-index-url"},
                   {"-f", "--find-links"},
                   {NULL, "--trusted-host"}};
    const char *value;
    if ((value = option_value(line, "-r", "--requirement")) ||
        (value = option_value(line, "-c", "--constraint"))) {
        if (is_web(value))
            q->bound = true; /* nobody knows what is there today */
        else if (include)
            include(arg, value);
        return;
    }
    if (option_value(line, "-e", "--editable")) {
        q->bound = true;
        return;
    }
    for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
        value = option_value(line, sources[i].brief, sources[i].full);
        if (!value)
            continue;
        if (i < 3 && !is_web(value))
            q->bound = true;
        buf_printf(&q->options, "%s\n", line);
    }
}

/* The next logical line: continued lines are joined, comments and blanks at both ends cut off. */
static char *next_line(char **at)
{
    char *line = *at, *end = line;
    if (!*line)
        return NULL;
    while (*end && *end != '\n') {
        if (*end == '\\' && (end[1] == '\n' || (end[1] == '\r' && end[2] == '\n'))) {
            *end = ' ';
            end[1] = ' ';
            if (end[2] == '\n')
                end[2] = ' ';
        }
        end++;
    }
    *at = *end ? end + 1 : end;
    *end = 0;
    for (char *c = line; *c; c++) {
        if (*c == '#' && (c == line || isspace((unsigned char)c[-1]))) {
            *c = 0;
            break;
        }
    }
    line += strspn(line, " \t\r\f\v");
    for (end = line + strlen(line); end > line && isspace((unsigned char)end[-1]);)
        *--end = 0;
    return line;
}

void requirements_scan(char *text, const char *sdk, struct requirements *q,
                       void (*include)(void *arg, const char *path), void *arg)
{
    for (char *line; (line = next_line(&text));) {
        if (line[0] == '-')
            take_option(line, q, include, arg);
        else if (line[0])
            take_requirement(line, sdk, q);
    }
}

struct reading {
    int dir_fd;
    const char *sdk;
    struct requirements *q;
    const char *folder; /* of the file that is read, as a prefix: "" or "reqs/" */
    struct err *err;
    int failed;
};

static int read_file(struct reading *rd, const char *path, bool *ret_found);

static void on_include(void *arg, const char *path)
{
    struct reading *rd = arg;
    char full[1024];
    bool found = false;
    if (rd->failed < 0)
        return;
    if (snprintf(full, sizeof(full), "%s%s", rd->folder, path) < (int)sizeof(full))
        rd->failed = read_file(rd, full, &found);
    if (!found)
        rd->q->bound = true; /* the installer says what is wrong with it */
}

static int open_below(int dir_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_BENEATH};
    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

static int read_file(struct reading *rd, const char *path, bool *ret_found)
{
    _cleanup_close_ int fd = open_below(rd->dir_fd, path);
    _cleanup_buf_ struct buf text = BUF_INIT(REQUIREMENTS_FILE_MAX);
    struct stat st;
    *ret_found = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!*ret_found)
        return 0;
    if (++rd->q->files > REQUIREMENTS_FILES_MAX)
        return err_set(rd->err, EFBIG, "%s: more than %d requirement files include each other",
                       path, REQUIREMENTS_FILES_MAX);
    int n = buf_read_fd(&text, fd);
    if (n == 0)
        n = buf_printf(&rd->q->text, "%s %zu\n", path, text.len);
    if (n == 0 && text.len)
        n = buf_append(&rd->q->text, text.data, text.len);
    if (n < 0)
        return err_set(rd->err, -n, "%s: requirement files of more than %d MiB are not read", path,
                       REQUIREMENTS_FILE_MAX >> 20);
    if (!text.len)
        return 0;
    char folder[1024];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash + 1 - path) : 0, path);
    struct reading inner = *rd;
    inner.folder = folder;
    inner.failed = 0;
    requirements_scan(text.data, rd->sdk, rd->q, on_include, &inner);
    return inner.failed;
}

int requirements_read(int dir_fd, const char *sdk, struct requirements *ret, struct err *err)
{
    struct reading rd = {.dir_fd = dir_fd, .sdk = sdk, .q = ret, .folder = "", .err = err};
    int n = read_file(&rd, "pre-requirements.txt", &ret->pre);
    return n < 0 ? n : read_file(&rd, "requirements.txt", &ret->main);
}
