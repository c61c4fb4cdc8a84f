/* Macros (RFC 7208 s7). A spec is checked when its record is parsed and expanded when its term is reached. */
#include "identity/internal.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/ascii.h"
#include "base/must.h"

#define DELIMITERS  ".-+,/_="
#define PARTS_LIMIT 128
#define VALUE_LIMIT 1024

/* One %{...}, taken apart. */
struct macro {
	char letter; /* lower case */
	bool is_escaped;
	bool is_reversed;
	unsigned keep; /* right-hand parts; 0: all */
	char delimiters[sizeof DELIMITERS];
};

static bool is_delimiter(unsigned char c)
{
	return c && strchr(DELIMITERS, c) != NULL;
}

/* body: what stands between the braces. */
static bool macro_parse(struct span body, bool is_explanation, struct macro *out)
{
	struct macro m = {.delimiters = "."};
	size_t digits = 0, n = 0;

	if (!body.n)
		return false;
	m.letter = (char)(body.p[0] | 0x20);
	if (!strchr(is_explanation ? "slodipvhcrt" : "slodipvh", m.letter))
		return false;
	m.is_escaped = body.p[0] != (unsigned char)m.letter;
	body = span_from(body, 1);
	for (; body.n && ascii_is_digit(body.p[0]); body = span_from(body, 1), digits++) {
		m.keep = m.keep * 10 + (unsigned)(body.p[0] - '0');
		if (m.keep > PARTS_LIMIT)
			m.keep = PARTS_LIMIT;
	}
	if (digits && !m.keep)
		return false;
	if (body.n && (body.p[0] | 0x20) == 'r') {
		m.is_reversed = true;
		body = span_from(body, 1);
	}
	for (; body.n; body = span_from(body, 1)) {
		if (!is_delimiter(body.p[0]))
			return false;
		if (!strchr(m.delimiters, body.p[0]) || !n) {
			if (n < sizeof m.delimiters - 1)
				m.delimiters[n++] = (char)body.p[0];
			m.delimiters[n] = '\0';
		}
	}
	*out = m;
	return true;
}

/* Takes one piece off the front of *spec: a macro (true in *out_is_macro), or literal bytes. False: malformed. */
static bool take_piece(struct span *spec, bool is_explanation, struct macro *out,
		       bool *out_is_macro, struct span *out_literal)
{
	ssize_t at = span_chr(*spec, '%'), end;

	*out_is_macro = false;
	if (at != 0) {
		*out_literal = at < 0 ? *spec : span_first(*spec, (size_t)at);
		*spec = span_from(*spec, out_literal->n);
		return true;
	}
	if (spec->n < 2)
		return false;
	switch (spec->p[1]) {
	case '%':
		*out_literal = SPAN_LIT("%");
		break;
	case '_':
		*out_literal = SPAN_LIT(" ");
		break;
	case '-':
		*out_literal = SPAN_LIT("%20");
		break;
	case '{':
		end = span_chr(*spec, '}');
		if (end < 0 ||
		    !macro_parse(span_of(spec->p + 2, (size_t)end - 2), is_explanation, out))
			return false;
		*out_is_macro = true;
		*spec = span_from(*spec, (size_t)end + 1);
		return true;
	default:
		return false;
	}
	*spec = span_from(*spec, 2);
	return true;
}

bool spf_macro_is_good(struct span spec, bool is_explanation, bool *out_ends_in_macro)
{
	struct span literal;
	struct macro m;
	bool is_macro, ends_in_macro = false;

	while (spec.n) {
		ends_in_macro = spec.p[0] == '%';
		if (!take_piece(&spec, is_explanation, &m, &is_macro, &literal))
			return false;
		for (size_t i = 0; !is_macro && i < literal.n; i++) {
			unsigned char c = literal.p[i];

			if (c < 0x20 || c > 0x7e)
				return false;
		}
	}
	if (out_ends_in_macro)
		*out_ends_in_macro = ends_in_macro;
	return true;
}

bool spf_macro_needs_validated(struct span spec)
{
	struct span literal;
	struct macro m;
	bool is_macro;

	while (spec.n && take_piece(&spec, true, &m, &is_macro, &literal)) {
		if (is_macro && m.letter == 'p')
			return true;
	}
	return false;
}

void spf_macro_address(const struct spf_macros *m, char out[64])
{
	if (!m->is_v6) {
		must(inet_ntop(AF_INET, m->client, out, 64) != NULL);
		return;
	}
	for (size_t i = 0; i < 16; i++) {
		out[4 * i] = "0123456789ABCDEF"[m->client[i] >> 4];
		out[4 * i + 2] = "0123456789ABCDEF"[m->client[i] & 15];
		out[4 * i + 1] = out[4 * i + 3] = '.';
	}
	out[63] = '\0';
}

/* scratch holds what must be written out first. */
static struct span value_of(char letter, const struct spf_macros *m, char scratch[64])
{
	switch (letter) {
	case 's':
		return m->sender;
	case 'l':
		return m->local;
	case 'o':
		return m->sender_domain;
	case 'd':
		return m->domain;
	case 'p':
		return m->validated;
	case 'h':
		return m->helo;
	case 'r':
		return m->receiver.n ? m->receiver : SPAN_LIT("unknown");
	case 'v':
		return m->is_v6 ? SPAN_LIT("ip6") : SPAN_LIT("in-addr");
	case 'i':
		spf_macro_address(m, scratch);
		return span_str(scratch);
	case 'c':
		must(inet_ntop(m->is_v6 ? AF_INET6 : AF_INET, m->client, scratch, 64) != NULL);
		return span_str(scratch);
	case 't':
		(void)snprintf(scratch, 64, "%llu", (unsigned long long)m->now_s);
		return span_str(scratch);
	default:
		must_never("a macro letter that was let in");
	}
}

/* The parts between delimiters; what goes beyond PARTS_LIMIT stays together in the last one. */
static size_t split(struct span value, const char *delimiters, struct span parts[PARTS_LIMIT])
{
	size_t n = 0, from = 0;

	for (size_t i = 0; i < value.n && n < PARTS_LIMIT - 1; i++) {
		if (value.p[i] && strchr(delimiters, value.p[i])) {
			parts[n++] = span_of(value.p + from, i - from);
			from = i + 1;
		}
	}
	parts[n++] = span_from(value, from);
	return n;
}

/* s7.3: an upper-case letter asks for URL escaping. */
static bool put(struct buf *out, struct span s, bool is_escaped)
{
	for (size_t i = 0; is_escaped && i < s.n; i++) {
		unsigned char c = s.p[i];
		bool is_plain = ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';

		if (!(is_plain ? buf_append_byte(out, c) : buf_printf(out, "%%%02X", c)))
			return false;
	}
	return is_escaped || buf_append(out, s);
}

static bool expand_macro(const struct macro *how, const struct spf_macros *m, struct buf *out)
{
	struct span parts[PARTS_LIMIT];
	char scratch[64];
	struct span value = span_first(value_of(how->letter, m, scratch), VALUE_LIMIT);
	size_t n = split(value, how->delimiters, parts);
	size_t keep = how->keep && how->keep < n ? how->keep : n;

	for (size_t i = n - keep; i < n; i++) {
		struct span part = parts[how->is_reversed ? n - 1 - i : i];

		if (i > n - keep && !buf_append_byte(out, '.'))
			return false;
		if (!put(out, part, how->is_escaped))
			return false;
	}
	return true;
}

bool spf_macro_expand(struct span spec, const struct spf_macros *m, struct buf *out)
{
	struct span literal;
	struct macro how;
	bool is_macro;

	while (spec.n) {
		if (!take_piece(&spec, true, &how, &is_macro, &literal))
			return false;
		if (!(is_macro ? expand_macro(&how, m, out) : buf_append(out, literal)))
			return false;
	}
	return true;
}
