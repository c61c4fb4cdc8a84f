/* Shared by the files that fill struct msg_config. */
#pragma once

#include "config/fill.h"
#include "config/schema.h"
#include "config/tree.h"
#include "config/units.h"
#include "ipc/msg.h"

struct fill {
	struct config_context *c;
	struct fill_result *rest;
};

/* Where to point: the node, or what encloses it. */
void fill_bad(struct fill *f, const struct tree *at, const char *hint, const char *format, ...)
	PRINTF_LIKE(4, 5);
void fill_warn(struct fill *f, const struct tree *at, const char *hint, const char *format, ...)
	PRINTF_LIKE(4, 5);

struct span fill_text(struct fill *f, const char *text); /* a copy in the arena; NULL is "" */
uint32_t fill_number(struct fill *f, const uint32_t *given, uint32_t or_else, uint32_t least,
		     uint32_t most, const struct tree *at);
uint64_t fill_duration(struct fill *f, const char *given, uint64_t or_else_ms, uint64_t least_ms,
		       uint64_t most_ms, const struct tree *at);
uint64_t fill_size(struct fill *f, const char *given, uint64_t or_else, uint64_t least,
		   const struct tree *at);
struct span fill_word(const int *given, const cyaml_strval_t *table, const char *or_else);

/* A host name or an address, normalised. */
struct span fill_host(struct fill *f, const char *given, struct tree *at);
/* Texts with one form; want: what to write instead of a bad one. */
void fill_list(struct fill *f, char **items, uint32_t n, struct tree *list, struct span **out,
	       size_t *out_n, bool (*is_good)(struct span text), const char *want);

/* smarthost, window, accounts and the rest of what people need; after listeners. */
void fill_people(struct fill *f, const struct raw_config *raw, struct tree *root,
		 struct msg_config *out);
/* What the portal says in the organisation's name, how long its sessions last. */
void fill_portal(struct fill *f, const struct raw_portal *given, struct tree *t,
		 struct msg_config *out);
void fill_sites(struct fill *f, const struct raw_config *raw, struct tree *root,
		struct msg_config *out);
void fill_domains(struct fill *f, const struct raw_config *raw, struct tree *root,
		  struct msg_config *out);
