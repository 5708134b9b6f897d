/* What is left of those whom we started, as a child subreaper. */
#pragma once

/* SIGKILL to every child that is no zombie; as we are the subreaper, their children come next. The
 * number killed. */
int children_kill(void);
