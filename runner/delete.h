/* The end of a Space: its trees, volume, logs and rows, once no process of it is left. */
#pragma once

struct space;

/* In state DELETING without workers: removes its files, then its rows, answers the commands that
 * wait and frees it. Harmless if that is under way already. Where it fails the Space stays DELETING
 * with the reason; a delete command or the next start tries again. */
void delete_files(struct space *s);
