/* The inbox: rows of site.db's `commands`, done in order for each Space, each recorded in life.db
 * together with what it led to. A command without such a row is done again after a restart; doing
 * one twice is harmless. */
#pragma once

#include <stdint.h>

struct runner;
struct space;

/* Writes down what could not be when it was done. From time to time, and at the end. */
void commands_record(struct runner *r);
/* Reads what is new and does it. Cheap where there is nothing. */
void commands_poll(struct runner *r);
/* Goes on with the Space's commands, if its first one does not wait for anything any more. */
void commands_progress(struct space *s);
/* The first command of the Space cannot be done: answered with the reason. */
void commands_fail(struct space *s, int code, const char *message);
/* The Space is gone, so every command that waits is done: recorded, within the caller's
 * transaction; then, after the commit, answered and freed. */
void commands_record_deleted(struct space *s);
void commands_answer_deleted(struct space *s);
