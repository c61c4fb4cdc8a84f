/* Comma-separated values (RFC 4180), read record by record; LF alone ends a line too, and a BOM in front is no text. */
#pragma once

#include "base/arena.h"
#include "base/fault.h"
#include "base/rc.h"

enum { CSV_FIELDS = 16 };

struct csv {
	struct span rest;
	unsigned line; /* of the record read last, from 1 */
	unsigned next_line;
	struct span fields[CSV_FIELDS]; /* of the record; in the arena where they were quoted */
	size_t fields_n;
};

void csv_init(struct csv *c, struct span text);
/* OK: a record with at least one field that is not empty. MORE: the end. REFUSED: why says what, with the line. */
enum rc csv_next(struct csv *c, struct arena *m, struct fault *why) MUST_USE;
