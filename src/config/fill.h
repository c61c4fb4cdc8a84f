/* From libcyaml's structs to struct msg_config: defaults, forms, ranges, and checks across sections. */
#pragma once

#include "config/internal.h"

struct raw_config;
struct tree;

/* A file that a domain (recipients) or a site (tls_ca) names, to be read by files.c. */
struct fill_file {
	const char *path; /* absolute, or relative to the configuration */
	unsigned line, column;
	size_t owner; /* index of the domain or site */
	size_t slot;  /* in the domain's recipient_files */
};

struct fill_result {
	struct fill_file *files;
	size_t files_n;
	struct fill_file *anchors;
	size_t anchors_n;
	/* Positions for the checks of files. */
	const struct tree *data, *tls_certificate, *tls_key;
};

/* *out is complete only if no error was added. */
void fill_config(struct config_context *c, const struct raw_config *raw, struct tree *root,
		 struct msg_config *out, struct fill_result *out_rest);
