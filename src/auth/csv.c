#include "auth/csv.h"

void csv_init(struct csv *c, struct span text)
{
	*c = (struct csv){.rest = text, .next_line = 1};
	if (span_starts(text, SPAN_LIT("\xef\xbb\xbf")))
		c->rest = span_from(text, 3);
}

static bool at_end_of_field(struct span rest)
{
	return !rest.n || rest.p[0] == ',' || rest.p[0] == '\n' || rest.p[0] == '\r';
}

/* Behind the opening quote. False: there is no closing one, or something stands behind it. */
static bool quoted(struct csv *c, struct arena *m, struct span *out)
{
	unsigned char *text = arena_alloc(m, c->rest.n + 1);
	size_t n = 0, at = 0;

	if (!text)
		return false;
	for (; at < c->rest.n; at++) {
		unsigned char b = c->rest.p[at];

		if (b == '"' && (at + 1 >= c->rest.n || c->rest.p[at + 1] != '"'))
			break;
		at += b == '"';
		c->next_line += b == '\n';
		text[n++] = b;
	}
	if (at == c->rest.n)
		return false;
	c->rest = span_from(c->rest, at + 1);
	*out = span_of(text, n);
	return at_end_of_field(c->rest);
}

static bool field(struct csv *c, struct arena *m, struct span *out)
{
	size_t n = 0;

	if (c->rest.n && c->rest.p[0] == '"') {
		c->rest = span_from(c->rest, 1);
		return quoted(c, m, out);
	}
	while (n < c->rest.n && !at_end_of_field(span_from(c->rest, n)))
		n++;
	*out = span_first(c->rest, n);
	c->rest = span_from(c->rest, n);
	return true;
}

static enum rc record(struct csv *c, struct arena *m, struct fault *why)
{
	c->fields_n = 0;
	c->line = c->next_line;
	for (;;) {
		if (c->fields_n == CSV_FIELDS || !field(c, m, &c->fields[c->fields_n])) {
			fault_set(why, "line %u: %s", c->line,
				  c->fields_n == CSV_FIELDS ? "too many fields"
							    : "a quoted field does not end, or "
							      "goes on behind its quote");
			return REFUSED;
		}
		c->fields_n++;
		if (!c->rest.n || c->rest.p[0] != ',')
			break;
		c->rest = span_from(c->rest, 1);
	}
	if (c->rest.n && c->rest.p[0] == '\r')
		c->rest = span_from(c->rest, 1);
	if (c->rest.n && c->rest.p[0] != '\n') {
		fault_set(why, "line %u: a CR that ends no line", c->line);
		return REFUSED;
	}
	c->rest = span_from(c->rest, 1);
	c->next_line++;
	return OK;
}

enum rc csv_next(struct csv *c, struct arena *m, struct fault *why)
{
	while (c->rest.n) {
		enum rc rc = record(c, m, why);

		if (rc != OK)
			return rc;
		for (size_t i = 0; i < c->fields_n; i++) {
			if (c->fields[i].n)
				return OK;
		}
	}
	return MORE;
}
