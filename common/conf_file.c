/* conf.h: reading the INI file. The only file of ours that knows inih. */
#include "conf.h"

#include "conf_table.h"

#include "cleanup.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 4096

/* One reading: inih asks us for lines and tells us of the pairs in them; we count the lines, so
 * that every message can name its own. */
struct reading {
    struct conf *conf;
    const char *path;
    FILE *file;
    unsigned line;
    struct err *err;
    int result; /* the first error */
    unsigned seen_line[512];
};

static void fail(struct reading *rd, int code, const char *what)
{
    if (rd->result == 0)
        rd->result = err_set(rd->err, code, "%s:%u: %s", rd->path, rd->line, what);
}

/* What fgets does, for inih; NULL ends the reading. Leading blanks are taken off: an indented line
 * is an option like any other and no continuation of the one above. */
static char *next_line(char *out, int size, void *user)
{
    struct reading *rd = user;
    if (rd->result < 0)
        return NULL;
    char text[LINE_BYTES];
    size_t n = 0;
    int c;
    rd->line++;
    while ((c = getc(rd->file)) != EOF && c != '\n') {
        if (c == '\0') {
            fail(rd, EINVAL, "the line holds a NUL: this is no text file");
            return NULL;
        }
        if (n == 0 && (c == ' ' || c == '\t'))
            continue;
        if (n + 2 >= sizeof text || n + 3 >= (size_t)size) {
            fail(rd, EINVAL, "the line is longer than 4000 characters: shorten it");
            return NULL;
        }
        text[n++] = (char)c;
    }
    if (c == EOF && ferror(rd->file)) {
        if (rd->result == 0) {
            rd->result = err_errno(rd->err, "%s: cannot read the configuration", rd->path);
        }
        return NULL;
    }
    if (c == EOF && n == 0)
        return NULL;
    text[n] = '\n';
    memcpy(out, text, n + 1);
    out[n + 1] = '\0';
    return out;
}

static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *rd = user;
    if (rd->result < 0)
        return 0;
    char key[128], where[512];
    snprintf(where, sizeof where, "%s:%u", rd->path, rd->line);
    if (!*section) {
        rd->result = err_set(rd->err, EINVAL,
                             "%s: \"%.80s\" stands before the first section: put it below a line "
                             "such as [server]",
                             where, name);
        return 0;
    }
    const struct conf_option *o = conf_find(section, strlen(section), name);
    size_t index = o ? (size_t)(o - conf_table) : 0;
    if (o && index < sizeof rd->seen_line / sizeof *rd->seen_line) {
        if (rd->seen_line[index]) {
            rd->result = err_set(rd->err, EINVAL,
                                 "%s: %s.%s = \"%.80s\" is given a second time: line %u has it "
                                 "already",
                                 where, section, name, value, rd->seen_line[index]);
            return 0;
        }
        rd->seen_line[index] = rd->line;
    }
    snprintf(key, sizeof key, "%s.%s", section, name);
    rd->result = conf_set(rd->conf, key, value, where, rd->err);
    return rd->result == 0;
}

int conf_load(struct conf *c, const char *path, struct err *err)
{
    _cleanup_fclose_ FILE *f = fopen(path, "re");
    if (!f)
        return err_errno(err, "%s: cannot read the configuration", path);
    struct reading rd = {.conf = c, .path = path, .file = f, .err = err};
    ini_use_stack = false; /* the stack's buffer has room for lines of 200 characters only */
    ini_max_line = LINE_BYTES;
    ini_initial_alloc = LINE_BYTES;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    int line = ini_parse_stream(next_line, &rd, on_pair, &rd);
    if (rd.result < 0)
        return rd.result;
    if (line == -2)
        return err_set(err, ENOMEM, "%s: no memory to read the configuration", path);
    if (line != 0)
        return err_set(
            err, EINVAL,
            "%s:%d: the line is neither [section] nor key = value nor a comment (# or ;)", path,
            line);
    return 0;
}
