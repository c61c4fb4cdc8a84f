/* EmailSubmission (RFC 8621 s7): what its methods share. */
#pragma once

#include "jmap/identity.h"
#include "mail/address.h"

enum {
	JMAP_RECIPIENTS_MOST = 1000,
	JMAP_HEADER_BYTES = 256 << 10, /* of a header that an envelope is made from */
};

/* An envelope, in the call's arena. */
struct jmap_envelope {
	struct span sender, *rcpts;
	size_t n;
};
/* The envelope property, when it is given. NULL: fine; else the SetError. */
json_t *jmap_envelope_read(struct jmap_call *c, json_t *envelope, struct jmap_envelope *out);
/* From Sender or From, To, Cc and Bcc of a header section. send_as: of the identity. */
json_t *jmap_envelope_from(struct jmap_call *c, struct span header, struct span send_as,
			   struct jmap_envelope *out);
json_t *jmap_envelope_json(const struct jmap_envelope *e);
/* May this identity be the sender? */
bool jmap_envelope_allows(struct span send_as, struct span address);
