/* The link to webui: commands to do, jobs, logs, and what it is told as it happens. */
#pragma once

#include <stdint.h>

struct runner;
struct space;
struct worker;
struct worker_stats;

/* Takes the descriptor over; it replaces an earlier one. */
void control_connect(struct runner *r, int fd);
void control_changed(const struct space *s);
void control_deleted(const struct space *s);
void control_command_done(struct runner *r, uint64_t command_id, int code, const char *message);
void control_worker_stats(struct worker *w, const struct worker_stats *stats);
