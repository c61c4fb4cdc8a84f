/* Section paths (RFC 9051 s6.4.5): part numbers count within a multipart; the body of anything else is its part 1. */
#include "mail/mime.h"

/* The n-th child; MIME_NONE. */
static int child(const struct mime *m, int part, uint32_t n)
{
	int i = mime_part(m, part)->first_child;

	while (i != MIME_NONE && n > 1) {
		i = mime_part(m, i)->next;
		n--;
	}
	return n == 0 ? MIME_NONE : i;
}

/* One step down from `part`; as_message: its parts are meant, not those of what is in it. */
static int step(const struct mime *m, int part, bool as_message, uint32_t n)
{
	const struct mime_part *p = mime_part(m, part);

	if (!as_message && p->kind == MIME_MESSAGE) {
		part = p->first_child;
		if (part == MIME_NONE)
			return MIME_NONE;
		p = mime_part(m, part);
		as_message = true;
	}
	if (p->kind == MIME_MULTIPART)
		return child(m, part, n);
	/* A multipart that could not be taken apart is shown as one with a part of plain text (structure.c). */
	return (as_message || span_eq(p->type, SPAN_LIT("multipart"))) && n == 1 ? part : MIME_NONE;
}

static void whole(const struct mime_part *p, int part, struct mime_range *out)
{
	*out = (struct mime_range){p->body_at, p->end, part};
}

bool mime_section(const struct mime *m, const uint32_t *path, size_t n, enum mime_section what,
		  struct mime_range *out)
{
	const struct mime_part *p;
	int part = 0;

	if (mime_parts(m) == 0)
		return false;
	for (size_t i = 0; i < n && part != MIME_NONE; i++)
		part = step(m, part, i == 0, path[i]);
	if (part == MIME_NONE)
		return false;
	p = mime_part(m, part);
	if (n > 0 && (what == MIME_SECTION_HEADER || what == MIME_SECTION_TEXT)) {
		if (p->kind != MIME_MESSAGE || p->first_child == MIME_NONE)
			return false;
		part = p->first_child;
		p = mime_part(m, part);
	}
	switch (what) {
	case MIME_SECTION_BODY:
		whole(p, part, out);
		if (n == 0)
			out->from = p->header_at;
		return true;
	case MIME_SECTION_HEADER:
		*out = (struct mime_range){p->header_at, p->body_at, part};
		return true;
	case MIME_SECTION_TEXT:
		whole(p, part, out);
		return true;
	case MIME_SECTION_MIME:
		if (n == 0)
			return false;
		*out = (struct mime_range){p->header_at, p->body_at, part};
		return true;
	}
	return false;
}
