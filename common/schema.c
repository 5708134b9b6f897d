#include "schema.h"

#include <stddef.h>

/* site.db: what people said. webui writes, the runner reads. */
const char *const schema_site[] = {
    /* 1 */
    "CREATE TABLE spaces ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " owner TEXT NOT NULL COLLATE NOCASE,"
    " name TEXT NOT NULL COLLATE NOCASE,"
    " label TEXT NOT NULL UNIQUE," /* host label (util.h host_label) */
    " version_id INTEGER,"         /* what should run; NULL while nothing was submitted */
    " sleep_after_ms INTEGER,"     /* NULL: the configuration's */
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " deleted_ms INTEGER," /* set by webui; the row goes once the runner did the delete command */
    " UNIQUE (owner, name));"
    "CREATE TABLE versions (" /* one a submission; the tree is versions/SPACE_ID/SHA */
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " sha TEXT NOT NULL,"
    " title TEXT NOT NULL, emoji TEXT NOT NULL, color_from TEXT NOT NULL, color_to TEXT NOT NULL,"
    " short_description TEXT NOT NULL,"
    " sdk TEXT NOT NULL, app_file TEXT NOT NULL, app_port INTEGER NOT NULL, base_path TEXT NOT "
    "NULL,"
    " start_timeout_ms INTEGER," /* NULL: the configuration's */
    " card TEXT NOT NULL,"       /* the whole front matter as JSON, unknown keys included */
    " files INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " message TEXT NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE INDEX versions_space ON versions (space_id, id);"
    "CREATE TABLE commands (" /* the runner's inbox: what it did is in life.db's commands_done */
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " space_id INTEGER NOT NULL,"
    " verb TEXT NOT NULL," /* deploy start stop restart pause resume refresh delete */
    " version_id INTEGER," /* deploy */
    " created_ms INTEGER NOT NULL);"
    "CREATE TABLE login_links (hash TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, used_ms "
    "INTEGER);"
    "CREATE TABLE sessions (hash TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, expires_ms INTEGER "
    "NOT NULL);",
    /* 2: the README's text below its front matter, for the Space's page */
    "ALTER TABLE versions ADD COLUMN readme TEXT NOT NULL DEFAULT '';",
    /* 3: limits that an operator gave to one Space (space_limits.h), in the option's unit */
    "CREATE TABLE space_limits ("
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY (space_id, name)) WITHOUT ROWID;",
    /* 4: users and organisations: one namespace; who may do what there; their tokens */
    "CREATE TABLE owners ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
    " is_org INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL);"
    "CREATE TABLE members ("
    " org_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " user_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " role TEXT NOT NULL," /* read write admin */
    " PRIMARY KEY (org_id, user_id)) WITHOUT ROWID;"
    "CREATE INDEX members_user ON members (user_id);"
    "CREATE TABLE tokens ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " hash TEXT NOT NULL UNIQUE," /* SHA-256 of the token, hex */
    " user_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL,"
    " role TEXT NOT NULL," /* read write admin: the most that it may */
    " created_ms INTEGER NOT NULL,"
    " used_ms INTEGER," /* to the minute */
    " expires_ms INTEGER);"
    "CREATE INDEX tokens_user ON tokens (user_id);",
    /* 5: secrets and variables (space_env.h); `value` of a secret is sealed (sealed.h) */
    "CREATE TABLE space_env ("
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL, secret INTEGER NOT NULL, value TEXT NOT NULL,"
    " bytes INTEGER NOT NULL," /* of NAME=VALUE and its NUL */
    " description TEXT NOT NULL, updated_ms INTEGER NOT NULL,"
    " PRIMARY KEY (space_id, name)) WITHOUT ROWID;",
    /* 6: Spaces that were made before anything was submitted; discussions and likes */
    "ALTER TABLE spaces ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE discussions ("
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " num INTEGER NOT NULL," /* 1, 2, ... of its Space */
    " title TEXT NOT NULL,"
    " status TEXT NOT NULL," /* open closed */
    " author TEXT NOT NULL," /* a user's name, who may be gone */
    " created_ms INTEGER NOT NULL,"
    " PRIMARY KEY (space_id, num)) WITHOUT ROWID;"
    "CREATE TABLE discussion_events ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " space_id INTEGER NOT NULL, num INTEGER NOT NULL,"
    " type TEXT NOT NULL," /* comment status-change title-change */
    " author TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " text TEXT NOT NULL,"              /* the comment, the new status, the new title */
    " before TEXT NOT NULL DEFAULT ''," /* the title that it had */
    " edited INTEGER NOT NULL DEFAULT 0, hidden INTEGER NOT NULL DEFAULT 0,"
    " FOREIGN KEY (space_id, num) REFERENCES discussions (space_id, num) ON DELETE CASCADE);"
    "CREATE INDEX discussion_events_of ON discussion_events (space_id, num, id);"
    "CREATE TABLE likes ("
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " user_id INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " created_ms INTEGER NOT NULL,"
    " PRIMARY KEY (space_id, user_id)) WITHOUT ROWID;",
    /* 7: the hash over a version's files, which is the same for every commit of them */
    "ALTER TABLE versions ADD COLUMN content TEXT NOT NULL DEFAULT '';",
    /* 8: who may see a Space: public private protected (its files are private); what a version's
     * card asks of the gateway (headers.h: numbers of values) */
    "ALTER TABLE spaces ADD COLUMN visibility TEXT NOT NULL DEFAULT 'public';"
    "ALTER TABLE versions ADD COLUMN no_embedding INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE versions ADD COLUMN coep INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE versions ADD COLUMN coop INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE versions ADD COLUMN corp INTEGER NOT NULL DEFAULT 0;",
    /* 9: the flavour (flavours.h) that was chosen for a Space, and that a version's card suggests;
     * '' for none. What a card says for the gallery */
    "ALTER TABLE spaces ADD COLUMN hardware TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE versions ADD COLUMN hardware TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE versions ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE versions ADD COLUMN thumbnail TEXT NOT NULL DEFAULT '';",
    /* 10: a submission is under way, whose commit may be in the repository before it is here */
    "ALTER TABLE spaces ADD COLUMN submitting INTEGER NOT NULL DEFAULT 0;",
    /* 11: names and host labels that Spaces had before they were moved, until somebody takes them
     */
    "CREATE TABLE moved_spaces ("
    " owner TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE NOCASE,"
    " label TEXT NOT NULL,"
    " space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,"
    " PRIMARY KEY (owner, name)) WITHOUT ROWID;"
    "CREATE INDEX moved_spaces_label ON moved_spaces (label);"
    "CREATE INDEX moved_spaces_of ON moved_spaces (space_id);",
    NULL,
};

/* life.db: what happened. The runner writes, webui reads. */
const char *const schema_life[] = {
    /* 1 */
    "CREATE TABLE spaces ("
    " space_id INTEGER PRIMARY KEY,"
    " uid_index INTEGER NOT NULL UNIQUE," /* userns.h */
    " stage TEXT NOT NULL,"
    " reason TEXT NOT NULL," /* a sentence: why it failed, sleeps, ... */
    " paused INTEGER NOT NULL DEFAULT 0,"
    " version_id INTEGER," /* what runs, or would at a wake */
    " worker_id INTEGER,"  /* the one that serves */
    " updated_ms INTEGER NOT NULL);"
    "CREATE TABLE workers ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " space_id INTEGER NOT NULL,"
    " version_id INTEGER NOT NULL,"
    " state TEXT NOT NULL," /* starting ready stopping gone failed */
    " boot_id TEXT NOT NULL,"
    " pid INTEGER NOT NULL," /* of PID 1, as the runner sees it */
    " port INTEGER NOT NULL,"
    " restarts INTEGER NOT NULL," /* crashes in a row before this one */
    " created_ms INTEGER NOT NULL, ready_ms INTEGER, ended_ms INTEGER,"
    " requests INTEGER NOT NULL DEFAULT 0," /* last known */
    " exit_reason TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX workers_space ON workers (space_id, id);"
    "CREATE INDEX workers_alive ON workers (state) WHERE ended_ms IS NULL;"
    "CREATE TABLE events (" /* append-only; the runner forgets old ones */
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at_ms INTEGER NOT NULL,"
    " space_id INTEGER, space TEXT NOT NULL,"
    " worker_id INTEGER,"
    " event TEXT NOT NULL," /* dotted: worker.ready */
    " detail TEXT NOT NULL);"
    "CREATE INDEX events_space ON events (space_id, id);"
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is "
    "append-only'); END;"
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is "
    "append-only'); END;"
    "CREATE TABLE commands_done ("
    " command_id INTEGER PRIMARY KEY, code INTEGER NOT NULL, message TEXT NOT NULL, at_ms INTEGER "
    "NOT NULL);",
    /* 2: what is old may go, or a disk would fill; the newest thousand can never be taken away */
    "DROP TRIGGER events_no_delete;"
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN OLD.id > (SELECT MAX(id) FROM "
    "events) - 1000 BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;",
    /* 3: the limits that a worker ran into, in words (limits_met.h) */
    "ALTER TABLE workers ADD COLUMN ran_into TEXT NOT NULL DEFAULT '';",
    /* 4: what /data of a Space takes, NULL before it was measured; how its quota is enforced; the
     * project that everything in it belongs to */
    "ALTER TABLE spaces ADD COLUMN data_bytes INTEGER;"
    "ALTER TABLE spaces ADD COLUMN data_inodes INTEGER;"
    "ALTER TABLE spaces ADD COLUMN data_quota TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE spaces ADD COLUMN data_project INTEGER NOT NULL DEFAULT 0;",
    /* 5: builds, one row a try: `env` is the environment that its version runs in, '' for none. An
     * environment is envs/KEY; which one a set of requirements led to is remembered for its owner.
     */
    "CREATE TABLE builds ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " space_id INTEGER NOT NULL, version_id INTEGER NOT NULL,"
    " state TEXT NOT NULL," /* queued resolving installing done failed cancelled replaced */
    " env TEXT NOT NULL DEFAULT '',"
    " created_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER,"
    " reason TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX builds_version ON builds (space_id, version_id, id);"
    "CREATE TABLE envs ("
    " key TEXT PRIMARY KEY,"
    " owner TEXT NOT NULL,"  /* '' for one that is shared by all */
    " python TEXT NOT NULL," /* its interpreter */
    " bytes INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " used_ms INTEGER NOT NULL) WITHOUT ROWID;" /* when a version last needed it */
    "CREATE TABLE resolutions ("
    " request TEXT PRIMARY KEY," /* hash over what was asked for, and by whom */
    " env TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX resolutions_env ON resolutions (env);",
    /* 6: the Debian packages of a version, laid over its root: envs/KEY as well, '' for none */
    "ALTER TABLE builds ADD COLUMN layer TEXT NOT NULL DEFAULT '';",
    /* 7: its cache of models: envs/KEY as well, '' for none */
    "ALTER TABLE builds ADD COLUMN models TEXT NOT NULL DEFAULT '';",
    /* 8: whether the Python files of an environment are compiled: 0 they are to be, 1 they are, or
     * there are none, 2 that failed */
    "ALTER TABLE envs ADD COLUMN bytecode INTEGER NOT NULL DEFAULT 1;",
    /* 9: the GPUs that a worker has: devices, with a blank between them */
    "ALTER TABLE workers ADD COLUMN gpus TEXT NOT NULL DEFAULT '';",
    NULL,
};
