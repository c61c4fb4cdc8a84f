/* A message gives the same table, digest and words in one piece and in pieces of (first byte + 1) bytes (M1), its parts lie
 * within each other (M4), and every section lies within the message. */
#include "mail/digest.h"

#include <stdlib.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct digest_maker *made(struct span message, size_t step)
{
	struct digest_maker *d = digest_maker_new(true);

	if (!d)
		return NULL;
	for (size_t at = 0; at < message.n; at += step)
		digest_maker_feed(d, span_first(span_from(message, at), step));
	digest_maker_end(d);
	return d;
}

static void check_parts(const struct mime *m)
{
	for (int i = 0; i < mime_parts(m); i++) {
		const struct mime_part *p = mime_part(m, i);

		must(p->header_at <= p->body_at && p->body_at <= p->end && p->end <= mime_bytes(m));
		if (p->parent != MIME_NONE)
			must(p->parent < i && mime_part(m, p->parent)->body_at <= p->header_at &&
			     p->end <= mime_part(m, p->parent)->end);
		if (p->next != MIME_NONE)
			must(p->next > i && p->end <= mime_part(m, p->next)->header_at);
	}
}

static void check_sections(const struct mime *m)
{
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t path[] = {1 + (i & 3), 1 + (i >> 2 & 3)};
		struct mime_range r;

		for (size_t n = 0; n <= 2; n++)
			if (mime_section(m, path, n, (enum mime_section)(i >> 4), &r))
				must(r.from <= r.to && r.to <= mime_bytes(m) &&
				     r.part < mime_parts(m));
	}
}

static void check_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		must(s.p[i] >= 0x20 || s.p[i] == '\n');
}

static void check_equal(struct digest_maker *a, struct digest_maker *b)
{
	struct mail_digest da, db;
	bool has_a = digest_maker_digest(a, &da), has_b = digest_maker_digest(b, &db);

	must(has_a == has_b &&
	     mime_parts(digest_maker_mime(a)) == mime_parts(digest_maker_mime(b)));
	if (!has_a)
		return;
	must(span_eq(da.envelope, db.envelope) && span_eq(da.body, db.body) &&
	     span_eq(da.bodystructure, db.bodystructure) && da.header_bytes == db.header_bytes &&
	     da.sent_us == db.sent_us);
	for (int i = 0; i <= MAIL_TEXT_BCC; i++) {
		must(span_eq(digest_maker_text(a, (enum mail_text)i),
			     digest_maker_text(b, (enum mail_text)i)));
		check_text(digest_maker_text(a, (enum mail_text)i));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest_maker *whole, *pieces;
	struct span message;

	if (size < 1)
		return 0;
	message = span_of(data + 1, size - 1);
	whole = made(message, size);
	pieces = made(message, (size_t)data[0] + 1);
	if (whole && pieces) {
		check_parts(digest_maker_mime(whole));
		check_sections(digest_maker_mime(whole));
		check_equal(whole, pieces);
	}
	digest_maker_free(whole);
	digest_maker_free(pieces);
	return 0;
}
