/* `vitrine init [DIR]`: a new Space from a template. The templates lie in cli/static/init, a folder
 * for each SDK, and are compiled in; README.md is written here. */
#include "cmd.h"
#include "ask.h"
#include "client.h"

#include "common/assets.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "static/init/"
#define FILE_MAX (64 * 1024)

extern const struct asset cli_assets[];

struct sdk {
    const char *name, *app_file, *emoji;
    const char *version; /* of the SDK's package, or NULL */
    const char *text;
};

static const struct sdk sdks[] = {
    {"gradio", "app.py", "🗜️", "6.31.0", "a Python function with a page around it"},
    {"streamlit", "app.py", "📈", "1.67.0", "a Python script as a page"},
    {"static", "index.html", "🎨", NULL, "files that are served as they are"},
    {"python", "app.py", "🐍", NULL, "any Python program that listens on $PORT"},
    {"command", "run", "⚙️", NULL, "any executable that listens on $PORT"},
    {"node", "server.js", "🟢", NULL, "a Node program that listens on $PORT"},
};
#define N_SDKS (sizeof(sdks) / sizeof(*sdks))

struct init {
    const struct sdk *sdk;
    const char *dir; /* as it was given, or NULL */
    char name[100], sdk_name[16], title[120], emoji[40];
    bool yes, json;
};

static const struct sdk *find_sdk(const char *name)
{
    for (size_t i = 0; i < N_SDKS; i++)
        if (!strcmp(sdks[i].name, name))
            return &sdks[i];
    return NULL;
}

/* "my-first_demo" as "My first demo". */
static void title_of(const char *name, char *out, size_t len)
{
    snprintf(out, len, "%s", name);
    for (char *s = out; *s; s++)
        if (*s == '-' || *s == '_')
            *s = ' ';
    *out = (char)toupper((unsigned char)*out);
}

/* One line of text. */
static int check_text(const char *what, const char *text, struct err *err)
{
    if (!*text)
        return err_set(err, EINVAL, "the %s is empty", what);
    for (const char *s = text; *s; s += utf8_len(s)) {
        if (!utf8_len(s))
            return err_set(err, EINVAL, "the %s is not UTF-8", what);
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return err_set(err, EINVAL, "the %s is to be one line without control characters",
                           what);
    }
    return 0;
}

static int take_sdk(struct init *in, struct err *err)
{
    in->sdk = find_sdk(in->sdk_name);
    return in->sdk ? 0
                   : err_set(err, EINVAL,
                             "there is no template for sdk \"%s\": it must be gradio, streamlit, "
                             "static, python, command or node",
                             in->sdk_name);
}

/* What was not given is asked for, or has its default with --yes. */
static int settle(struct init *in, struct err *err)
{
    bool title_given = *in->title != 0, emoji_given = *in->emoji != 0,
         sdk_given = *in->sdk_name != 0;
    int r = 0;
    if (!in->dir && !in->yes)
        r = ask_line("Name of the Space, and of its folder", in->name, sizeof(in->name), err);
    if (r == 0)
        r = name_check(in->name, "name", err);
    if (r == 0 && !sdk_given) {
        snprintf(in->sdk_name, sizeof(in->sdk_name), "gradio");
        for (size_t i = 0; !in->yes && i < N_SDKS; i++)
            fprintf(stderr, "  %-10s %s\n", sdks[i].name, sdks[i].text);
        if (!in->yes)
            r = ask_line("SDK", in->sdk_name, sizeof(in->sdk_name), err);
    }
    if (r == 0)
        r = take_sdk(in, err);
    if (r < 0)
        return r;
    if (!title_given)
        title_of(in->name, in->title, sizeof(in->title));
    if (!title_given && !in->yes)
        r = ask_line("Title", in->title, sizeof(in->title), err);
    if (!emoji_given)
        snprintf(in->emoji, sizeof(in->emoji), "%s", in->sdk->emoji);
    if (r == 0 && !emoji_given && !in->yes)
        r = ask_line("Emoji", in->emoji, sizeof(in->emoji), err);
    if (r == 0)
        r = check_text("title", in->title, err);
    return r < 0 ? r : check_text("emoji", in->emoji, err);
}

/* As the inside of a string in YAML, Python or JavaScript. */
static int put_quoted(struct buf *out, const char *text)
{
    _cleanup_json_ json_t *j = json_string(text);
    _cleanup_free_ char *s = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
    return s ? buf_append(out, s + 1, strlen(s) - 2) : -ENOMEM;
}

static int put_value(struct buf *out, const struct init *in, const char *key, size_t len)
{
    if (len == 5 && !memcmp(key, "TITLE", 5))
        return put_quoted(out, in->title);
    if (len == 10 && !memcmp(key, "TITLE_HTML", 10))
        return buf_html(out, in->title);
    int r = 0;
    for (const char *s = in->name; r >= 0 && *s; s++) /* NAME: of an npm package */
        r = buf_printf(out, "%c", isalnum((unsigned char)*s) ? tolower((unsigned char)*s) : '-');
    return r;
}

/* @TITLE@, @TITLE_HTML@ and @NAME@ are filled in. */
static int fill(struct buf *out, const struct init *in, const char *text, size_t len)
{
    int r = 0;
    while (r >= 0 && len) {
        const char *at = memchr(text, '@', len);
        size_t plain = at ? (size_t)(at - text) : len;
        r = buf_append(out, text, plain);
        text += plain;
        len -= plain;
        size_t key = at ? strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") : 0;
        if (r < 0 || !at)
            continue;
        if (key && key + 1 < len && at[key + 1] == '@') {
            r = put_value(out, in, at + 1, key);
            text += key + 2;
            len -= key + 2;
        } else {
            r = buf_append(out, text++, 1);
            len--;
        }
    }
    return r;
}

static int readme(struct buf *out, const struct init *in)
{
    const struct sdk *k = in->sdk;
    int r = buf_puts(out, "---\ntitle: \"");
    if (r >= 0)
        r = put_quoted(out, in->title);
    if (r >= 0)
        r = buf_puts(out, "\"\nemoji: \"");
    if (r >= 0)
        r = put_quoted(out, in->emoji);
    if (r >= 0)
        r = buf_printf(out, "\"\ncolorFrom: indigo\ncolorTo: green\nsdk: %s\n", k->name);
    if (r >= 0 && k->version)
        r = buf_printf(out, "sdk_version: %s\n", k->version);
    if (r >= 0)
        r = buf_printf(out, "app_file: %s\n---\n# %s\n\n", k->app_file, in->title);
    if (r >= 0)
        r = buf_printf(
            out,
            "`vitrine dev` runs this folder on your machine and starts it again whenever "
            "a file is saved;\n`vitrine deploy . OWNER/%s` puts it on show.\n",
            in->name);
    return r;
}

/* Each is made, never written over; made executable where its first bytes are "#!". */
static int write_file(int dir_fd, const char *name, const struct buf *text, struct err *err)
{
    bool program = text->len > 2 && !memcmp(text->data, "#!", 2);
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, program ? 0777 : 0666);
    if (fd < 0 && errno == EEXIST)
        return err_set(err, EEXIST, "%s is there already; nothing is written over", name);
    if (fd < 0)
        return err_errno(err, "cannot make %s", name);
    int r = write_all(fd, text->data, text->len);
    return r < 0 ? err_set(err, -r, "cannot write %s: %s", name, strerror(-r)) : 0;
}

/* The name of a template's file, or NULL for another template's. */
static const char *file_of(const struct init *in, const struct asset *a)
{
    size_t cut = sizeof(PREFIX) - 1, len = strlen(in->sdk->name);
    const char *s = a->name + cut;
    return !strncmp(a->name, PREFIX, cut) && !strncmp(s, in->sdk->name, len) && s[len] == '/'
               ? s + len + 1
               : NULL;
}

static int check_free(int dir_fd, const struct init *in, struct err *err)
{
    const char *taken =
        faccessat(dir_fd, "README.md", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? "README.md" : NULL;
    for (const struct asset *a = cli_assets; !taken && a->name; a++) {
        const char *name = file_of(in, a);
        if (name && faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            taken = name;
    }
    return taken ? err_set(err, EEXIST,
                           "%s is there already, and nothing is written over; name another folder "
                           "(vitrine init DIR)",
                           taken)
                 : 0;
}

static int write_all_files(int dir_fd, const struct init *in, json_t *names, struct err *err)
{
    int r = check_free(dir_fd, in, err);
    for (const struct asset *a = cli_assets; r == 0 && a->name; a++) {
        const char *name = file_of(in, a);
        _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
        if (!name)
            continue;
        if (fill(&text, in, (const char *)a->data, a->len) < 0)
            return err_set(err, ENOMEM, "out of memory");
        r = write_file(dir_fd, name, &text, err);
        json_array_append_new(names, json_string(name));
    }
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
    if (r == 0 && readme(&text, in) < 0)
        return err_set(err, ENOMEM, "out of memory");
    json_array_append_new(names, json_string("README.md"));
    return r < 0 ? r : write_file(dir_fd, "README.md", &text, err);
}

static int make(const struct init *in, struct err *err)
{
    const char *dir = in->dir ? in->dir : in->name;
    bool here = !in->dir && in->yes; /* no name was asked for */
    _cleanup_json_ json_t *names = json_array();
    if (here)
        dir = ".";
    int r = mkdir_p(dir, 0777, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open the folder %s", dir);
    r = write_all_files(fd, in, names, err);
    if (r < 0)
        return r;
    if (in->json) {
        _cleanup_json_ json_t *out = json_pack("{s:s, s:s, s:s, s:O}", "path", dir, "sdk",
                                               in->sdk->name, "title", in->title, "files", names);
        return json_print(out, err);
    }
    printf("%s\n", dir);
    fprintf(stderr, "Next: vitrine dev %s (try it here), vitrine deploy %s (put it on show)\n", dir,
            dir);
    return 0;
}

/* The folder's own name. */
static int name_of_dir(struct init *in, struct err *err)
{
    const char *dir = in->dir ? in->dir : ".";
    _cleanup_free_ char *full = realpath(dir, NULL);
    if (!full && !in->dir)
        return err_errno(err, "cannot find this folder");
    char path[4096];
    snprintf(path, sizeof(path), "%s", full ? full : dir);
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/';)
        path[--len] = 0;
    const char *slash = strrchr(path, '/');
    snprintf(in->name, sizeof(in->name), "%s", slash ? slash + 1 : path);
    return 0;
}

int cmd_init(int argc, char **argv)
{
    static const struct option longs[] = {
        {"sdk", required_argument, NULL, 's'},   {"title", required_argument, NULL, 't'},
        {"emoji", required_argument, NULL, 'e'}, {"yes", no_argument, NULL, 'y'},
        {"json", no_argument, NULL, 'j'},        {NULL, 0, NULL, 0}};
    struct init in = {0};
    struct err err = {0};
    for (int o; (o = cmd_getopt(argc, argv, "y", longs)) != -1;) {
        if (o == '?')
            return CMD_USAGE;
        in.yes |= o == 'y';
        in.json |= o == 'j';
        char *to = o == 's' ? in.sdk_name : o == 't' ? in.title : o == 'e' ? in.emoji : NULL;
        size_t len = o == 's'   ? sizeof(in.sdk_name)
                     : o == 't' ? sizeof(in.title)
                                : sizeof(in.emoji);
        if (to && (size_t)snprintf(to, len, "%s", optarg) >= len)
            return cmd_usage(argv[0], "\"%.40s...\" is too long", optarg);
    }
    if (argc - optind > 1)
        return cmd_usage(argv[0], "takes at most one folder");
    in.dir = argv[optind];
    if (!in.yes && !isatty(STDIN_FILENO))
        return cmd_usage(argv[0], "there is no terminal to ask at; say --yes, and --sdk, --title "
                                  "and --emoji where the defaults are not wanted");
    int r = in.dir || in.yes ? name_of_dir(&in, &err) : 0;
    if (r == 0)
        r = settle(&in, &err);
    if (r == 0)
        r = make(&in, &err);
    return r < 0 ? cmd_fail(argv[0], &err) : CMD_DONE;
}
