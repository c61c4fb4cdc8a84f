/*
 * One pass over the value. Words gather in `words` until a character says what they were: "<" a display name, "@" a local
 * part, ":" a group's name, "," or the end an address that lacks its domain.
 */
#include "base/ascii.h"
#include "mail/field.h"
#include "mail/field_scan.h"

struct addresses {
	struct span s;
	size_t at;
	bool (*on_address)(void *arg, const struct field_address *a);
	void *arg;
	size_t given;
	bool in_group, is_stopped;

	/* the present address */
	struct buf words, name, route, local, domain, comment;
	bool has_words, has_name, has_route, has_local, has_domain, has_comment, has_angle;
	bool has_gap; /* blanks since the last word */
};

static void clear(struct addresses *a)
{
	buf_clear(&a->words);
	buf_clear(&a->name);
	buf_clear(&a->route);
	buf_clear(&a->local);
	buf_clear(&a->domain);
	buf_clear(&a->comment);
	a->has_words = a->has_name = a->has_route = a->has_local = a->has_domain = false;
	a->has_comment = a->has_angle = a->has_gap = false;
}

static struct span text_if(bool is_there, const struct buf *b)
{
	if (!is_there)
		return SPAN_NONE;
	return b->n > 0 ? buf_span(b) : SPAN_LIT("");
}

static void give(struct addresses *a, const struct field_address *address)
{
	if (a->is_stopped)
		return;
	if (a->given == FIELD_ADDRESSES_LIMIT || !a->on_address(a->arg, address))
		a->is_stopped = true;
	a->given++;
}

static void take_words(struct addresses *a, struct buf *into, bool *has)
{
	struct buf was = *into;

	*into = a->words;
	a->words = was;
	*has = a->has_words;
	buf_clear(&a->words);
	a->has_words = a->has_gap = false;
}

static void finish(struct addresses *a)
{
	struct field_address out = {.kind = FIELD_MAILBOX};

	/* Several words alone are a name, one may be a mailbox here. */
	if (!a->has_angle && !a->has_local && a->words.n > 0 &&
	    memchr(a->words.p, ' ', a->words.n)) {
		take_words(a, &a->name, &a->has_name);
		a->has_angle = true;
	} else if (!a->has_angle && !a->has_local && a->has_words) {
		take_words(a, &a->local, &a->has_local);
	}
	if (a->has_angle || a->has_local || a->has_domain) {
		out.name = text_if(a->has_name, &a->name);
		if (!a->has_name)
			out.name = text_if(a->has_comment, &a->comment);
		out.route = text_if(a->has_route, &a->route);
		out.local = text_if(a->has_local, &a->local);
		out.domain = text_if(a->has_domain, &a->domain);
		give(a, &out);
	}
	clear(a);
}

static void group(struct addresses *a, enum field_address_kind kind)
{
	struct field_address out = {.kind = kind};

	if (kind == FIELD_GROUP_START)
		out.name = text_if(true, &a->words);
	give(a, &out);
	clear(a);
	a->in_group = kind == FIELD_GROUP_START;
}

static bool is_special(unsigned char c)
{
	return c == '"' || c == '(' || c == '<' || c == '>' || c == '@' || c == ',' || c == ';' ||
	       c == ':' || scan_is_blank(c);
}

/* An atom (dots and stray bytes included) or a quoted string at a->at, added to b. */
static void word(struct addresses *a, struct buf *b)
{
	if (a->s.p[a->at] == '"') {
		a->at = scan_quoted(a->s, a->at, b);
		return;
	}
	do {
		if (a->s.p[a->at] == '\\' && a->at + 1 < a->s.n)
			a->at++;
		(void)buf_append_byte(b, a->s.p[a->at++]);
	} while (a->at < a->s.n && !is_special(a->s.p[a->at]));
}

/* What follows an "@": until something that cannot be in a domain. Blanks around dots are obsolete and left out. */
static void domain(struct addresses *a)
{
	a->has_domain = true;
	while (a->at < a->s.n) {
		unsigned char c = a->s.p[a->at];

		if (scan_is_blank(c) || c == '(') {
			size_t next = scan_blanks(a->s, a->at);
			bool goes_on = next < a->s.n && a->domain.n > 0 &&
				       (a->s.p[next] == '.' || a->domain.p[a->domain.n - 1] == '.');

			if (a->domain.n > 0 && !goes_on)
				return;
			a->at = next;
			continue;
		}
		if (c == '[') {
			while (a->at < a->s.n && a->s.p[a->at] != ']')
				(void)buf_append_byte(&a->domain, a->s.p[a->at++]);
			continue;
		}
		if (is_special(c))
			return;
		(void)buf_append_byte(&a->domain, c);
		a->at++;
	}
}

/* "@a,@b:" in front of an address in angle brackets. */
static void route(struct addresses *a)
{
	size_t at = a->at;

	while (at < a->s.n && a->s.p[at] != ':' && a->s.p[at] != '>')
		at++;
	if (at >= a->s.n || a->s.p[at] != ':')
		return;
	for (; a->at < at; a->at++)
		if (!scan_is_blank(a->s.p[a->at]))
			(void)buf_append_byte(&a->route, a->s.p[a->at]);
	a->has_route = true;
	a->at++;
}

/* Behind a "<", to behind its ">" or before a comma. */
static void angle(struct addresses *a)
{
	a->at = scan_blanks(a->s, a->at);
	if (a->at < a->s.n && a->s.p[a->at] == '@')
		route(a);
	while (a->at < a->s.n && a->s.p[a->at] != '>' && a->s.p[a->at] != ',') {
		unsigned char c = a->s.p[a->at];

		if (scan_is_blank(c) || c == '(') {
			a->at = scan_blanks(a->s, a->at);
		} else if (c == '@' && !a->has_domain) {
			a->at++;
			domain(a);
		} else if (a->has_domain || c == '<' || c == ':' || c == ';' || c == '@') {
			a->at++;
		} else {
			a->has_local = true;
			word(a, &a->local);
		}
	}
	if (a->at < a->s.n && a->s.p[a->at] == '>')
		a->at++;
}

static void plain_word(struct addresses *a)
{
	bool is_joined = a->s.p[a->at] == '.' ||
			 (a->words.n > 0 && a->words.p[a->words.n - 1] == '.' && !a->has_gap);

	if (a->has_gap && a->words.n > 0 && !is_joined)
		(void)buf_append_byte(&a->words, ' ');
	a->has_words = true;
	a->has_gap = false;
	word(a, &a->words);
}

/* A "<" comes: what stood before it is the display name, an unquoted address too. */
static void name_ends(struct addresses *a)
{
	if (!a->has_local && !a->has_domain) {
		take_words(a, &a->name, &a->has_name);
		return;
	}
	(void)buf_append(&a->name, buf_span(&a->local));
	(void)buf_append_byte(&a->name, '@');
	(void)buf_append(&a->name, buf_span(&a->domain));
	a->has_name = true;
	buf_clear(&a->words);
	buf_clear(&a->local);
	buf_clear(&a->domain);
	a->has_words = a->has_local = a->has_domain = false;
}

static void step(struct addresses *a)
{
	unsigned char c = a->s.p[a->at];

	switch (c) {
	case '(':
		buf_clear(&a->comment);
		a->at = scan_comment(a->s, a->at, &a->comment);
		a->has_comment = true;
		a->has_gap = true;
		return;
	case ',':
	case ';':
		finish(a);
		if (c == ';' && a->in_group)
			group(a, FIELD_GROUP_END);
		break;
	case '<':
		a->at++;
		if (a->has_angle)
			return;
		name_ends(a);
		a->has_angle = true;
		angle(a);
		return;
	case '@':
		a->at++;
		if (a->has_angle || a->has_domain)
			return;
		take_words(a, &a->local, &a->has_local);
		domain(a);
		return;
	case ':':
		if (!a->in_group && !a->has_angle && !a->has_local)
			group(a, FIELD_GROUP_START);
		break;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		a->has_gap = true;
		break;
	case '>':
		break;
	default:
		plain_word(a);
		return;
	}
	a->at++;
}

bool field_addresses(struct span value,
		     bool (*on_address)(void *arg, const struct field_address *a), void *arg)
{
	struct addresses a = {.s = value, .on_address = on_address, .arg = arg};
	struct buf *const bufs[] = {&a.words, &a.name, &a.route, &a.local, &a.domain, &a.comment};

	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		buf_init(bufs[i], value.n + 64);
	while (a.at < value.n && !a.is_stopped)
		step(&a);
	finish(&a);
	if (a.in_group)
		group(&a, FIELD_GROUP_END);
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		buf_fini(bufs[i]);
	return !a.is_stopped;
}
