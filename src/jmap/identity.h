/* Identities (RFC 8621 s6): the addresses an account may send as, with what the person says about each, which is kept as a
 * setting. An id is made of the address, so that it stays. */
#pragma once

#include "jmap/internal.h"

enum { JMAP_IDENTITY_ID_BYTES = 18 };
void jmap_identity_id(struct span email, char out[JMAP_IDENTITY_ID_BYTES]);
/* The address of an identity of this person, as send_as has it ("@example.org": any of the domain). False: there is none. */
bool jmap_identity_of(const struct jmap_person *person, struct span id, struct span *out_send_as);
