/* Which properties of Emails and body parts a call asks for, read once (RFC 8621 s4.1.2, s4.1.3, s4.2). */
#pragma once

#include "jmap/internal.h"

enum jmap_form {
	JMAP_RAW,
	JMAP_AS_TEXT,
	JMAP_AS_ADDRESSES,
	JMAP_AS_GROUPED,
	JMAP_AS_MESSAGE_IDS,
	JMAP_AS_DATE,
	JMAP_AS_URLS,
};

struct jmap_header_want {
	struct span name;
	enum jmap_form form;
	bool is_all;
};

enum jmap_prop_kind {
	JMAP_P_META,   /* id, mailboxIds ...: not from the message's bytes */
	JMAP_P_DIGEST, /* preview, hasAttachment */
	JMAP_P_HEADERS,
	JMAP_P_HEADER,
	JMAP_P_STRUCTURE,
	JMAP_P_VALUES,
	JMAP_P_TEXT,
	JMAP_P_HTML,
	JMAP_P_ATTACHMENTS,
	/* of parts */
	JMAP_B_PART_ID,
	JMAP_B_BLOB_ID,
	JMAP_B_SIZE,
	JMAP_B_NAME,
	JMAP_B_TYPE,
	JMAP_B_CHARSET,
	JMAP_B_DISPOSITION,
	JMAP_B_CID,
	JMAP_B_LANGUAGE,
	JMAP_B_LOCATION,
	JMAP_B_SUBPARTS,
};

struct jmap_prop {
	const char *name; /* as asked, borrowed from the call */
	enum jmap_prop_kind kind;
	struct jmap_header_want header;
};

struct jmap_want {
	struct jmap_prop *props, *body;
	size_t props_n, body_n;
	bool fetches_text, fetches_html, fetches_all;
	uint64_t value_bytes;			   /* 0: no limit of the client's */
	bool needs_head, needs_body, needs_digest; /* of the message */
	bool needs_parts_heads, needs_sizes;
};

/* "header:Name:asForm:all". False: no such property, or a form the field does not have (RFC 8621 s4.1.2). */
bool jmap_header_want_read(struct span property, struct jmap_header_want *out);
/* messageId, from, subject ...: the header property each stands for. */
bool jmap_header_shorthand(struct span property, struct jmap_header_want *out);
