/*
 * Addresses of RFC 5321 (s4.1.2 Mailbox and Path, s4.1.3 literals) and RFC 6531 (SMTPUTF8). Pure;
 * used by every role that reads an address, so that one address has one spelling everywhere.
 *
 * Normal form: "local@domain". The local part is unquoted where it may be (`"a"` is `a`), else
 * quoted with no more backslashes than needed, its case as received; the domain is lower case in
 * A-labels (IDNA2008 by libidn2), or a literal "[192.0.2.1]", "[IPv6:2001:db8::1]" as inet_ntop
 * writes it. The null sender is "".
 *
 *   A1  What does not parse is refused, never repaired. Source routes (RFC 5321 appendix C) are
 * recognised and refused. A2  Limits: 64 bytes of local part, 255 of domain, 63 of a label (RFC
 * 5321 s4.5.3.1). A3  Two addresses are the same mailbox for Holdfast when their keys (address_key)
 * are equal: the local part is compared without ASCII case, as every server in use does.
 */
#pragma once

#include "base/span.h"

enum {
	ADDRESS_LOCAL_LIMIT = 64,
	ADDRESS_DOMAIN_LIMIT = 255,
	ADDRESS_LABEL_LIMIT = 63,
	ADDRESS_TEXT_BYTES =
		2 + 2 * ADDRESS_LOCAL_LIMIT + 1 + ADDRESS_DOMAIN_LIMIT + 1, /* with the NUL */
};

struct address {
	char text[ADDRESS_TEXT_BYTES];
	size_t n;
	size_t local_n;	 /* the domain begins at local_n + 1; 0 for the null sender */
	bool is_literal; /* the domain is an address literal */
	bool needs_utf8; /* the local part is not ASCII: cannot go to a server without SMTPUTF8 */
};

enum address_fault {
	ADDRESS_FINE,
	ADDRESS_SYNTAX,
	ADDRESS_ROUTED,	   /* a source route, or more than one unquoted @ */
	ADDRESS_NO_DOMAIN, /* nothing after, or no, @ */
	ADDRESS_BAD_DOMAIN,
	ADDRESS_TOO_LONG,
	ADDRESS_NOT_ASCII, /* bytes above 127 without SMTPUTF8, or not UTF-8 */
};

/* A sentence part for a reply or a log: "is longer than the standard allows". */
const char *address_fault_text(enum address_fault fault);

/* A Mailbox. allows_utf8: SMTPUTF8 was given. *out is written only when ADDRESS_FINE. */
enum address_fault address_parse(struct span text, bool allows_utf8, struct address *out);

/*
 * A Path at the start of *rest: "<" Mailbox ">" or, as null sender, "<>". *rest becomes what
 * follows ">". On a fault *rest and *out are as before.
 */
enum address_fault address_parse_path(struct span *rest, bool allows_utf8, struct address *out);

/* A domain (no literal), normalised to lower-case A-labels; out has ADDRESS_DOMAIN_LIMIT + 1 bytes.
 */
enum address_fault domain_normalise(struct span text, bool allows_utf8, char *out, size_t *out_n);

struct span address_span(const struct address *a);
struct span address_local(const struct address *a);
struct span address_domain(const struct address *a);

/* The key of A3: text with the ASCII letters of the local part in lower case. Returns its length.
 */
size_t address_key(const struct address *a, char out[ADDRESS_TEXT_BYTES]);
/* The same for an address already in normal form, as records hold it. 0: it does not fit. */
size_t address_key_of(struct span normal, char out[ADDRESS_TEXT_BYTES]);

/* Splits a normal form at its last @. False: there is none. */
bool address_split(struct span normal, struct span *out_local, struct span *out_domain);

/* "user+detail@domain" gives "user@domain". False: no detail (or nothing before it), *out
 * untouched. */
bool address_without_detail(const struct address *a, struct address *out);

/* The local part would make some servers send the mail on: %, !, @ or a character that looks like
 * one of them. */
bool address_is_routed(const struct address *a);

/* One character of valid UTF-8 (RFC 3629) at p: its length, 0 when it is none. Control characters
 * are valid here. */
size_t utf8_length(const unsigned char *p, size_t n);
