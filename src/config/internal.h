/* What the files of src/config share. */
#pragma once

#include "base/arena.h"
#include "base/fault.h"
#include "config/config.h"

struct tree;

struct config_context {
	struct arena *arena;
	const char *file;
	struct config_problems *problems;
	bool is_hard; /* a problem after which the values cannot be read into structs */
};

/* Adds a problem at line and column. The hint may be NULL. */
void config_bad(struct config_context *c, unsigned line, unsigned column, const char *hint,
		const char *format, ...) PRINTF_LIKE(5, 6);
void config_warn(struct config_context *c, unsigned line, unsigned column, const char *hint,
		 const char *format, ...) PRINTF_LIKE(5, 6);
/* The same in another file than the configuration. */
void config_bad_in(struct config_context *c, const char *file, unsigned line, const char *hint,
		   const char *format, ...) PRINTF_LIKE(5, 6);
const char *config_text(struct config_context *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* Bytes for a message: cut at 80, control bytes shown as "?". */
const char *config_show(struct config_context *c, struct span s);
