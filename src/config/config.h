/*
 * holdfast.yaml: read, checked, and turned into the struct msg_config that every role gets. Strict: an unknown key, a bad
 * value, a key given twice or a file that is not there is a problem with file, line, column and a suggestion, and
 * nothing of a configuration with a problem is ever used. All problems found are reported at once.
 *
 * Used by the supervisor (start, reload) and the command line (check-config, doctor and the commands that need the
 * data directory). The only code that knows YAML. It reads files, but writes none.
 *
 *   F1  *out is written only when the result is OK, and every span in it lives in the arena.
 *   F2  A result other than OK comes with at least one problem that is not a warning.
 *   F3  Memory and time are bounded by CONFIG_LIMIT_BYTES: anchors and aliases are refused, depth is limited.
 */
#pragma once

#include <stdio.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"

struct buf;
struct msg_config; /* generated from src/ipc/messages/config.msg */

enum {
	CONFIG_LIMIT_BYTES = 1 << 20,
	CONFIG_PROBLEMS = 50,			/* kept; further ones are counted */
	CONFIG_RECIPIENT_FILE_BYTES = 64 << 20, /* of one recipients file */
};

struct config_problem {
	const char *file;      /* the configuration, or a file that it names */
	unsigned line, column; /* from 1; 0: the file as a whole */
	bool is_warning;
	const char *text; /* "unknown key `recipient`" */
	const char *hint; /* "did you mean `recipients`?", "" if there is none */
};

struct config_problems {
	size_t n, more; /* more: found and not kept */
	size_t errors;	/* those that are not warnings, kept or not */
	struct config_problem item[CONFIG_PROBLEMS];
};

/*
 * Reads path and every file that it names. OK, or REFUSED: see the
 * problems, which live in the arena too. Blocks on the disk.
 */
enum rc config_load(const char *path, struct arena *arena, struct msg_config *out,
		    struct config_problems *out_problems) MUST_USE;
/* The same from bytes and without touching the disk: files that are named are not looked at. name: for messages. */
enum rc config_parse(struct span text, const char *name, struct arena *arena,
		     struct msg_config *out, struct config_problems *out_problems) MUST_USE;

/*
 * For commands that talk to a running system while someone has the file half edited: as config_load, but the files it
 * names are not looked at, and *out_data is the data directory also when the rest is wrong ("" when even that is).
 */
enum rc config_peek(const char *path, struct arena *arena, struct msg_config *out,
		    struct span *out_data, struct config_problems *out_problems) MUST_USE;

/* One problem a line: "FILE:LINE:COLUMN: error: text; hint". */
void config_problems_print(const struct config_problems *problems, struct buf *out);
/* The first error in the same form; for a log line. "" if there is none. */
const char *config_problems_first(const struct config_problems *problems, struct arena *arena);

/* Calls on_key with the dotted name of each key that the schema knows: "sites[].probe.every". For the manual's test. */
void config_each_key(void (*on_key)(void *arg, const char *name), void *arg);
