/* Inside src/views: the index's database. It borrows the skin over SQLite of the views (sql.c). */
#pragma once

#include "views/digest.h"
#include "views/internal.h"

enum { DIGEST_SCHEMA = 3 };
extern const char digest_schema_sql[];

struct digest_db {
	struct views *v;   /* its db, statements and error alone are used */
	struct arena kept; /* the digest that was asked for last */
	char *path;	   /* a reader's; NULL: the writer */
	uint64_t inode;
};

static inline int64_t digest_key_of(struct digest_key key)
{
	return (int64_t)(key.number * 4 + key.form);
}

/* A reader: has the database been made anew since it was opened? Then its error says so. */
void digest_check_current(struct digest_db *d);

/* The key under which what this form reads is kept: its own, or that of the delivered form. */
int64_t digest_kept_as(struct digest_db *d, struct digest_key key);
