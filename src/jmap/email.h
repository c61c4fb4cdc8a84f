/* Where an Email is, and its keywords: of all its entries together (mail/store.h). What has \Deleted is not there. */
#pragma once

#include "jmap/internal.h"

struct jmap_places {
	uint64_t *boxes; /* each once */
	size_t boxes_n, cap;
	size_t entries;
	uint32_t flags;	     /* $seen only where all have it */
	struct buf keywords; /* lower case, each once, a blank behind each */
	uint64_t thread, received_us, bytes;
};
/* REFUSED: the account has no such Email. jmap_places_fini in any case. */
enum rc jmap_places_read(const struct mail_store *store, struct mail_email_id id,
			 struct jmap_places *out, struct fault *why) MUST_USE;
void jmap_places_fini(struct jmap_places *p);
bool jmap_places_have(const struct jmap_places *p, uint64_t box);

/* A keyword of JMAP: one of flags (out_flag), or another. */
uint32_t jmap_keyword_flag(struct span keyword); /* 0: none of the system's */
/* Among words with blanks between, in any case of letters. */
bool jmap_keyword_among(struct span keywords, struct span wanted);
json_t *jmap_keywords(uint32_t flags, struct span keywords);
/* RFC 8621 s4.1.1: 1 to 255 characters of an IMAP atom, "]" but no "\\". */
bool jmap_is_keyword(struct span word);
