/*
 * Parsing of addresses: one pass, no recursion, no allocation but libidn2's for domains that are
 * not ASCII. Underscores in domains are let through although RFC 5321 has none: sending hosts use
 * them.
 */
#include "mail/address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

const char *address_fault_text(enum address_fault fault)
{
	switch (fault) {
	case ADDRESS_FINE:
		return "is fine";
	case ADDRESS_SYNTAX:
		return "is not written as RFC 5321 says";
	case ADDRESS_ROUTED:
		return "names a route or more than one @";
	case ADDRESS_NO_DOMAIN:
		return "has no domain";
	case ADDRESS_BAD_DOMAIN:
		return "has no valid domain";
	case ADDRESS_TOO_LONG:
		return "is longer than RFC 5321 allows";
	case ADDRESS_NOT_ASCII:
		return "has bytes that need SMTPUTF8 and valid UTF-8";
	}
	return "?";
}

/* ---- characters ---- */

size_t utf8_length(const unsigned char *p, size_t n)
{
	/* Second byte's range by first byte: RFC 3629 section 4. */
	size_t length;
	unsigned char low = 0x80, high = 0xbf;

	if (n == 0 || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
		return 0;
	if (p[0] < 0x80)
		return 1;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	if (p[0] == 0xed)
		high = 0x9f;
	if (p[0] == 0xf0)
		low = 0x90;
	if (p[0] == 0xf4)
		high = 0x8f;
	if (n < length || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

static bool is_atext(unsigned char c)
{
	return ascii_is_alnum(c) || (c != 0 && c < 128 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* A character of a local part that is not ASCII: valid, and no C1 control (U+0080 to U+009F). */
static size_t wide_length(struct span s)
{
	size_t n = utf8_length(s.p, s.n);

	if (n < 2 || (s.p[0] == 0xc2 && s.p[1] < 0xa0))
		return 0;
	return n;
}

/* What compatibility mapping makes @ % ! of: U+FF20 U+FE6B U+FF05 U+FE6A U+FF01 U+FE57. */
static bool has_wide_mark(struct span s)
{
	static const char marks[][4] = {"\xef\xbc\xa0", "\xef\xb9\xab", "\xef\xbc\x85",
					"\xef\xb9\xaa", "\xef\xbc\x81", "\xef\xb9\x97"};

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		if (s.n && memmem(s.p, s.n, marks[i], 3))
			return true;
	}
	return false;
}

/* ---- local part ---- */

struct local {
	unsigned char content[ADDRESS_LOCAL_LIMIT]; /* without quotes and backslashes */
	size_t n;
	bool needs_quotes, is_wide;
};

static enum address_fault local_add(struct local *l, struct span bytes)
{
	if (bytes.n > sizeof l->content - l->n)
		return ADDRESS_TOO_LONG;
	memcpy(l->content + l->n, bytes.p, bytes.n);
	l->n += bytes.n;
	return ADDRESS_FINE;
}

/* Takes one character above 127. */
static enum address_fault local_wide(struct local *l, struct span *rest, bool allows_utf8)
{
	size_t n = allows_utf8 ? wide_length(*rest) : 0;
	enum address_fault fault;

	if (n == 0)
		return ADDRESS_NOT_ASCII;
	l->is_wide = true;
	fault = local_add(l, span_first(*rest, n));
	*rest = span_from(*rest, n);
	return fault;
}

/* Dot-string, up to the @ or the end. */
static enum address_fault local_dotted(struct local *l, struct span *rest, bool allows_utf8)
{
	bool after_dot = true;
	enum address_fault fault;

	while (rest->n && rest->p[0] != '@') {
		unsigned char c = rest->p[0];

		if (c >= 128) {
			fault = local_wide(l, rest, allows_utf8);
			if (fault != ADDRESS_FINE)
				return fault;
			after_dot = false;
			continue;
		}
		if (c == '.' ? after_dot : !is_atext(c))
			return ADDRESS_SYNTAX;
		after_dot = c == '.';
		fault = local_add(l, span_first(*rest, 1));
		if (fault != ADDRESS_FINE)
			return fault;
		*rest = span_from(*rest, 1);
	}
	return after_dot ? ADDRESS_SYNTAX : ADDRESS_FINE;
}

/* Quoted-string, *rest behind its first quote; ends behind the last. */
static enum address_fault local_quoted(struct local *l, struct span *rest, bool allows_utf8)
{
	enum address_fault fault = ADDRESS_FINE;

	while (rest->n && rest->p[0] != '"' && fault == ADDRESS_FINE) {
		if (rest->p[0] >= 128) {
			fault = local_wide(l, rest, allows_utf8);
			continue;
		}
		if (rest->p[0] == '\\')
			*rest = span_from(*rest, 1);
		if (rest->n == 0 || rest->p[0] < 32 || rest->p[0] > 126)
			return ADDRESS_SYNTAX;
		fault = local_add(l, span_first(*rest, 1));
		*rest = span_from(*rest, 1);
	}
	if (fault != ADDRESS_FINE)
		return fault;
	if (rest->n == 0)
		return ADDRESS_SYNTAX;
	*rest = span_from(*rest, 1);
	return ADDRESS_FINE;
}

/* Whether the content must stand in quotes: it is no Dot-string. */
static bool local_wants_quotes(const struct local *l)
{
	bool after_dot = true;

	for (size_t i = 0; i < l->n; i++) {
		unsigned char c = l->content[i];

		if (c == '.' ? after_dot : c < 128 && !is_atext(c))
			return true;
		after_dot = c == '.';
	}
	return after_dot;
}

static size_t local_write(const struct local *l, char *out)
{
	size_t n = 0;

	if (!l->needs_quotes) {
		memcpy(out, l->content, l->n);
		return l->n;
	}
	out[n++] = '"';
	for (size_t i = 0; i < l->n; i++) {
		if (l->content[i] == '"' || l->content[i] == '\\')
			out[n++] = '\\';
		out[n++] = (char)l->content[i];
	}
	out[n++] = '"';
	return n;
}

/* ---- domain ---- */

static bool is_label_byte(unsigned char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* Lower case, checked label by label. */
static enum address_fault domain_ascii(struct span text, char *out, size_t *out_n)
{
	size_t label = 0;

	if (text.n > ADDRESS_DOMAIN_LIMIT)
		return ADDRESS_TOO_LONG;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (c == '.' && (label == 0 || text.p[i - 1] == '-'))
			return ADDRESS_BAD_DOMAIN;
		if (c != '.' && (!is_label_byte(c) || (label == 0 && c == '-')))
			return ADDRESS_BAD_DOMAIN;
		label = c == '.' ? 0 : label + 1;
		if (label > ADDRESS_LABEL_LIMIT)
			return ADDRESS_TOO_LONG;
		out[i] = (char)ascii_lower(c);
	}
	if (label == 0 || text.p[text.n - 1] == '-')
		return ADDRESS_BAD_DOMAIN;
	out[text.n] = '\0';
	*out_n = text.n;
	return ADDRESS_FINE;
}

static enum address_fault domain_wide(struct span text, char *out, size_t *out_n)
{
	char copy[ADDRESS_DOMAIN_LIMIT + 1];
	uint8_t *ascii = NULL;
	enum address_fault fault;
	int rc;

	if (text.n > ADDRESS_DOMAIN_LIMIT)
		return ADDRESS_TOO_LONG;
	if (has_wide_mark(text))
		return ADDRESS_BAD_DOMAIN;
	for (size_t i = 0, n; i < text.n; i += n) {
		n = utf8_length(text.p + i, text.n - i);
		if (n == 0)
			return ADDRESS_NOT_ASCII;
		if (text.p[i] <= 32 || text.p[i] == 127)
			return ADDRESS_BAD_DOMAIN;
	}
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	rc = idn2_lookup_u8((const uint8_t *)copy, &ascii,
			    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
	if (rc != IDN2_OK)
		return ADDRESS_BAD_DOMAIN;
	fault = domain_ascii(span_str((const char *)ascii), out, out_n);
	idn2_free(ascii);
	return fault;
}

enum address_fault domain_normalise(struct span text, bool allows_utf8, char *out, size_t *out_n)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] >= 128)
			return allows_utf8 ? domain_wide(text, out, out_n) : ADDRESS_NOT_ASCII;
	}
	return domain_ascii(text, out, out_n);
}

/* "[...]" with an IPv4 or IPv6 address; other tags of RFC 5321 s4.1.3 are registered by nobody. */
static enum address_fault domain_literal(struct span text, char *out, size_t *out_n)
{
	char inner[INET6_ADDRSTRLEN + 8];
	unsigned char address[16];
	bool is_v6;
	struct span body;

	if (text.n < 3 || text.p[text.n - 1] != ']')
		return ADDRESS_BAD_DOMAIN;
	body = (struct span){text.p + 1, text.n - 2};
	is_v6 = span_starts_nocase(body, SPAN_LIT("IPv6:"));
	if (is_v6)
		body = span_from(body, 5);
	if (body.n == 0 || body.n >= sizeof inner || memchr(body.p, 0, body.n))
		return ADDRESS_BAD_DOMAIN;
	memcpy(inner, body.p, body.n);
	inner[body.n] = '\0';
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, inner, address) != 1)
		return ADDRESS_BAD_DOMAIN;
	must(inet_ntop(is_v6 ? AF_INET6 : AF_INET, address, inner, sizeof inner));
	*out_n = 0;
	for (const char *part = is_v6 ? "[IPv6:" : "["; *part; part++)
		out[(*out_n)++] = *part;
	for (const char *part = inner; *part; part++)
		out[(*out_n)++] = *part;
	out[(*out_n)++] = ']';
	out[*out_n] = '\0';
	return ADDRESS_FINE;
}

/* ---- whole addresses ---- */

static size_t count_of(struct span s, unsigned char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static enum address_fault parse_local(struct span *rest, bool allows_utf8, struct local *out)
{
	struct span all = *rest;
	enum address_fault fault;

	*out = (struct local){0};
	if (rest->n && rest->p[0] == '"') {
		*rest = span_from(*rest, 1);
		fault = local_quoted(out, rest, allows_utf8);
	} else {
		fault = local_dotted(out, rest, allows_utf8);
	}
	out->needs_quotes = local_wants_quotes(out);
	if (fault == ADDRESS_SYNTAX && count_of(all, '@') > 1)
		return ADDRESS_ROUTED; /* `u\@v@ours` and its like */
	return fault;
}

enum address_fault address_parse(struct span text, bool allows_utf8, struct address *out)
{
	struct span rest = text;
	struct address a = {0};
	struct local local;
	enum address_fault fault;
	size_t domain_n = 0;

	if (text.n > ADDRESS_TEXT_BYTES - 1)
		return ADDRESS_TOO_LONG;
	if (text.n && text.p[0] == '@')
		return ADDRESS_ROUTED;
	fault = parse_local(&rest, allows_utf8, &local);
	if (fault != ADDRESS_FINE)
		return fault;
	if (rest.n == 0)
		return ADDRESS_NO_DOMAIN;
	if (rest.p[0] != '@')
		return ADDRESS_SYNTAX;
	rest = span_from(rest, 1);
	if (rest.n == 0)
		return ADDRESS_NO_DOMAIN;
	if (span_chr(rest, '@') >= 0)
		return ADDRESS_ROUTED;
	a.local_n = local_write(&local, a.text);
	a.needs_utf8 = local.is_wide;
	a.text[a.local_n] = '@';
	a.is_literal = rest.p[0] == '[';
	fault = a.is_literal
			? domain_literal(rest, a.text + a.local_n + 1, &domain_n)
			: domain_normalise(rest, allows_utf8, a.text + a.local_n + 1, &domain_n);
	if (fault != ADDRESS_FINE)
		return fault;
	a.n = a.local_n + 1 + domain_n;
	*out = a;
	return ADDRESS_FINE;
}

/* Index of the ">" that ends the path that begins at 1, quotes respected; 0: none. */
static size_t path_end(struct span s)
{
	bool is_quoted = false;

	for (size_t i = 1; i < s.n; i++) {
		if (is_quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			is_quoted = !is_quoted;
		else if (s.p[i] == '>' && !is_quoted)
			return i;
	}
	return 0;
}

enum address_fault address_parse_path(struct span *rest, bool allows_utf8, struct address *out)
{
	size_t end;
	enum address_fault fault = ADDRESS_FINE;

	if (rest->n < 2 || rest->p[0] != '<')
		return ADDRESS_SYNTAX;
	end = path_end(*rest);
	if (end == 0)
		return ADDRESS_SYNTAX;
	if (end == 1)
		*out = (struct address){0};
	else
		fault = address_parse((struct span){rest->p + 1, end - 1}, allows_utf8, out);
	if (fault == ADDRESS_FINE)
		*rest = span_from(*rest, end + 1);
	return fault;
}

struct span address_span(const struct address *a)
{
	return span_of(a->text, a->n);
}

struct span address_local(const struct address *a)
{
	return span_of(a->text, a->local_n);
}

struct span address_domain(const struct address *a)
{
	return a->n ? span_of(a->text + a->local_n + 1, a->n - a->local_n - 1) : SPAN_NONE;
}

bool address_split(struct span normal, struct span *out_local, struct span *out_domain)
{
	ssize_t at = span_rchr(normal, '@');

	if (at < 0)
		return false;
	*out_local = span_first(normal, (size_t)at);
	*out_domain = span_from(normal, (size_t)at + 1);
	return true;
}

size_t address_key_of(struct span normal, char out[ADDRESS_TEXT_BYTES])
{
	if (normal.n >= ADDRESS_TEXT_BYTES)
		return 0;
	for (size_t i = 0; i < normal.n; i++)
		out[i] = (char)ascii_lower(normal.p[i]);
	out[normal.n] = '\0';
	return normal.n;
}

size_t address_key(const struct address *a, char out[ADDRESS_TEXT_BYTES])
{
	return address_key_of(address_span(a), out);
}

bool address_without_detail(const struct address *a, struct address *out)
{
	ssize_t plus = span_chr(address_local(a), '+');
	struct address base = *a;

	if (plus <= 0 || a->text[0] == '"')
		return false;
	memmove(base.text + plus, a->text + a->local_n, a->n - a->local_n + 1);
	base.n -= a->local_n - (size_t)plus;
	base.local_n = (size_t)plus;
	*out = base;
	return true;
}

bool address_is_routed(const struct address *a)
{
	struct span local = address_local(a);

	return has_wide_mark(local) || span_chr(local, '@') >= 0 || span_chr(local, '%') >= 0 ||
	       span_chr(local, '!') >= 0;
}
