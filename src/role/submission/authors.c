/*
 * The addresses of a From or Sender field, for the question whether an account may send as them. Stricter than reading
 * mail is: what is not plainly a list of mailboxes (groups, routes, an open quote or comment) counts as somebody else.
 */
#include "base/ascii.h"
#include "role/submission/internal.h"

struct reader {
	struct span rest;
	char text[ADDRESS_TEXT_BYTES]; /* of the address so far, without blanks and comments */
	size_t n;
	bool has_angle, is_bad;
};

static void put(struct reader *r, unsigned char c)
{
	if (r->n < sizeof r->text - 1)
		r->text[r->n++] = (char)c;
	else
		r->is_bad = true;
}

static unsigned char next(struct reader *r)
{
	unsigned char c = r->rest.p[0];

	r->rest = span_from(r->rest, 1);
	return c;
}

static void pass_comment(struct reader *r)
{
	unsigned depth = 1;

	while (depth && r->rest.n) {
		unsigned char c = next(r);

		if (c == '\\' && r->rest.n)
			(void)next(r);
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
	r->is_bad = r->is_bad || depth;
}

/* Kept with its quotes: it may be a local part. */
static void take_quoted(struct reader *r)
{
	put(r, '"');
	while (r->rest.n) {
		unsigned char c = next(r);

		if (c == '\r' || c == '\n')
			continue; /* folding */
		put(r, c);
		if (c == '"')
			return;
		if (c == '\\' && r->rest.n)
			put(r, next(r));
	}
	r->is_bad = true;
}

/* A display name is no part of the address and may be as long as it likes. */
static void forget_name(struct reader *r)
{
	r->is_bad = r->is_bad && r->n < sizeof r->text - 1;
	r->n = 0;
}

/* From behind "<" to ">". */
static void take_angle(struct reader *r)
{
	forget_name(r);
	r->is_bad = r->is_bad || r->has_angle;
	r->has_angle = true;
	while (r->rest.n) {
		unsigned char c = next(r);

		if (c == '>')
			return;
		if (c == '"')
			take_quoted(r);
		else if (c == '(')
			pass_comment(r);
		else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			put(r, c);
	}
	r->is_bad = true;
}

/* One mailbox, up to its comma or the end; false: there was none. */
static bool take_mailbox(struct reader *r)
{
	bool has_any = false;

	r->n = 0;
	r->has_angle = r->is_bad = false;
	while (r->rest.n) {
		unsigned char c = next(r);

		if (c == ',')
			break;
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		has_any = true;
		if (c == '(')
			pass_comment(r);
		else if (c == '<')
			take_angle(r);
		else if (r->has_angle || c == ':' || c == ';')
			r->is_bad = true;
		else if (c == '"')
			take_quoted(r);
		else
			put(r, c);
	}
	return has_any;
}

bool submission_authors_are_own(const struct submitter *w, struct span value)
{
	struct reader r = {.rest = value};
	struct address a;
	unsigned n = 0;

	while (r.rest.n) {
		if (!take_mailbox(&r))
			continue; /* an empty element: RFC 5322 s4.4 */
		n++;
		if (r.is_bad || address_parse(span_of(r.text, r.n), true, &a) != ADDRESS_FINE ||
		    !submission_may_send_as(w, &a))
			return false;
	}
	return n > 0;
}
