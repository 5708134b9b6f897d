/* What `vitrine check` says about HTTPS. */
#include "certs.h"
#include "checks.h"

#include <stdio.h>
#include <unistd.h>

static void weak(void *arg, const char *text)
{
    checks_add(arg, CHECK_WEAK, false, "certificate", "", "%.380s", text);
}

void checks_tls(struct checks *k, const struct conf *conf)
{
    _cleanup_certs_ struct certs *c = NULL;
    struct err err = {0};
    char text[380];

    if (*conf->tls_challenges && access(conf->tls_challenges, R_OK | X_OK) < 0)
        checks_add(k, CHECK_WEAK, false, "challenges", "make the folder, or correct tls.challenges",
                   "cannot read %.300s: %m", conf->tls_challenges);
    if (!*conf->tls_listen)
        return;
    int r = certs_open(&c, conf, &err);
    if (r == 0 && certs_none_named(c)) {
        checks_add(k, CHECK_WEAK, false, "certificate", "set tls.certificates",
                   "none is configured: one that signs itself is used, which browsers warn of");
        return;
    }
    if (r == 0)
        r = certs_read(c, &err);
    if (r < 0) {
        checks_add(k, CHECK_MISSING, false, "certificate", "", "%.380s", err.msg);
        return;
    }
    certs_describe(c, text, sizeof(text));
    checks_add(k, CHECK_OK, false, "certificate", "", "%s", text);
    certs_warn(c, weak, k);
}
