/* Between spf.c (the machine), spf_record.c (records into terms) and spf_macro.c (expansion). */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "identity/spf.h"

enum spf_term_kind {
	SPF_TERM_ALL,
	SPF_TERM_INCLUDE,
	SPF_TERM_A,
	SPF_TERM_MX,
	SPF_TERM_PTR,
	SPF_TERM_IP4,
	SPF_TERM_IP6,
	SPF_TERM_EXISTS,
};

struct spf_term {
	enum spf_term_kind kind;
	enum spf_result match;	 /* what its qualifier says */
	struct span domain;	 /* domain-spec, not expanded; empty: the current domain */
	unsigned char bytes[16]; /* ip4, ip6 */
	unsigned cidr4, cidr6;
};

/* A parsed record; spans point into its text. */
struct spf_record {
	struct spf_term *terms;
	size_t n;
	struct span redirect; /* domain-specs; empty: none */
	struct span explain;
};

/* Is this TXT record a version 1 SPF record? (s4.5) */
bool spf_record_is(struct span text);
/* REFUSED: syntax error (why); LATER: no memory left in the arena. text outlives *out. */
enum rc spf_record_parse(struct arena *a, struct span text, struct spf_record *out,
			 struct fault *why) MUST_USE;

/* What macros stand for. */
struct spf_macros {
	struct span sender, local, sender_domain; /* s l o */
	struct span domain;			  /* d */
	struct span validated;			  /* p */
	struct span helo, receiver;		  /* h r */
	unsigned char client[16];		  /* i c v: 4 or 16 bytes */
	bool is_v6;
	uint64_t now_s; /* t */
};

/* Well-formed macro-string (s7.1)? With letters c, r and t only where is_explanation. */
bool spf_macro_is_good(struct span spec, bool is_explanation,
		       bool *out_ends_in_macro);  /* out: may be NULL */
bool spf_macro_needs_validated(struct span spec); /* has %{p} */
/* Appends the expansion of a good spec; false when out's limit is reached. */
bool spf_macro_expand(struct span spec, const struct spf_macros *m, struct buf *out);

/* "4.3.2.1", "1.0.0. ... .E.F.A.C": the address for %{i}, in reading order. out: 64 bytes. */
void spf_macro_address(const struct spf_macros *m, char out[64]);
