/* What the configuration names on the disk: recipients files, certificate and key, data directory. Reads, never writes. */
#pragma once

#include "config/fill.h"

struct msg_config;

/* Reads a whole file that is at most limit bytes. False: a problem was added at line and column of the configuration
 * (0: the configuration itself). */
bool files_read(struct config_context *c, const char *path, size_t limit, unsigned line,
		unsigned column, struct span *out);

/* Recipients files and trust anchors into the configuration. */
void files_read_named(struct config_context *c, const struct fill_result *rest,
		      struct msg_config *config);

/* O-02: a key that others can read, files of a strange owner, a data directory that is open to all. */
void files_check(struct config_context *c, const struct fill_result *rest,
		 const struct msg_config *config);
