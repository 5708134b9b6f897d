#include "webui/markdown.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void markdown_init(void)
{
    cmark_gfm_core_extensions_ensure_registered();
}

int markdown_html(struct buf *out, const char *text)
{
    static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_DEFAULT | CMARK_OPT_VALIDATE_UTF8);
    if (!parser)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        cmark_syntax_extension *e = cmark_find_syntax_extension(extensions[i]);
        if (e)
            cmark_parser_attach_syntax_extension(parser, e);
    }
    cmark_parser_feed(parser, text, strlen(text));
    cmark_node *doc = cmark_parser_finish(parser);
    char *html =
        doc ? cmark_render_html(doc, CMARK_OPT_DEFAULT, cmark_parser_get_syntax_extensions(parser))
            : NULL;
    int r = html ? buf_puts(out, html) : -ENOMEM;
    free(html);
    if (doc)
        cmark_node_free(doc);
    cmark_parser_free(parser);
    return r;
}
