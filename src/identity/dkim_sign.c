/* The field of a signature (RFC 6376 s3.5, s5), relaxed/relaxed. */
#include "base/base64.h"
#include "identity/dkim_internal.h"

/* What is signed if it is there; those of the first part once more than they are there (D3). */
static const char *const oversigned[] = {
	"From",	      "Subject",      "Date",	      "To",
	"Cc",	      "Reply-To",     "Message-ID",   "In-Reply-To",
	"References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"Sender"};
static const char *const signed_if_there[] = {
	"Content-ID", "Content-Description", "Resent-Date",	      "Resent-From",
	"Resent-To",  "Resent-Cc",	     "Resent-Message-ID",     "List-Id",
	"List-Help",  "List-Unsubscribe",    "List-Unsubscribe-Post", "List-Subscribe",
	"List-Post",  "List-Owner",	     "List-Archive"};

struct signing {
	struct dkim_field *fields;
	size_t n;
	struct buf *out, canon;
	size_t line_from; /* of out: where the present line of h= begins */
	bool has_name;
};

static size_t count(const struct signing *s, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += span_eq_nocase(s->fields[i].name, name);
	return n;
}

static void put_name(struct signing *s, struct span name)
{
	if (s->has_name)
		(void)buf_append_byte(s->out, ':');
	if (s->out->n - s->line_from + name.n > 70) {
		(void)buf_append(s->out, SPAN_LIT("\r\n\t "));
		s->line_from = s->out->n;
	}
	s->has_name = true;
	(void)buf_append(s->out, name);
}

static void sign_fields(struct signing *s, struct span name, size_t times)
{
	while (times--) {
		struct dkim_field *f = dkim_take_field(s->fields, s->n, name);

		put_name(s, name);
		if (f)
			dkim_canon_field(&s->canon, f->whole, DKIM_RELAXED, true);
	}
}

static void put_base64(struct buf *out, struct span bytes)
{
	struct buf text = {0};
	struct span rest;

	base64_encode(&text, bytes);
	for (rest = buf_span(&text); rest.n > 70; rest = span_from(rest, 70)) {
		(void)buf_append(out, span_first(rest, 70));
		(void)buf_append(out, SPAN_LIT("\r\n\t "));
	}
	(void)buf_append(out, rest);
	buf_fini(&text);
}

static void put_field(struct signing *s, const struct dkim_sign *in)
{
	struct buf *out = s->out;

	(void)buf_printf(out,
			 "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed; d=%.*s;\r\n\ts=%.*s; "
			 "t=%llu;\r\n\th=",
			 dkim_algorithm_name(in->algorithm), SPAN_FMT(in->domain),
			 SPAN_FMT(in->selector), (unsigned long long)in->at_s);
	s->line_from = out->n - 3;
	for (size_t i = 0; i < sizeof oversigned / sizeof *oversigned; i++)
		sign_fields(s, span_str(oversigned[i]), count(s, span_str(oversigned[i])) + 1);
	for (size_t i = 0; i < sizeof signed_if_there / sizeof *signed_if_there; i++)
		sign_fields(s, span_str(signed_if_there[i]),
			    count(s, span_str(signed_if_there[i])));
	(void)buf_append(out, SPAN_LIT(";\r\n\tbh="));
	put_base64(out, span_of(in->body_hash, DKIM_HASH_BYTES));
	(void)buf_append(out, SPAN_LIT(";\r\n\tb="));
}

enum rc dkim_sign_begin(const struct dkim_sign *in, struct buf *out,
			unsigned char out_hash[DKIM_HASH_BYTES], struct fault *why)
{
	struct signing s = {.out = out};
	size_t from = out->n;
	struct arena a;
	enum rc rc;

	arena_init(&a, 1 << 20);
	rc = dkim_fields(&a, in->header, &s.fields, &s.n, why);
	if (rc == OK && count(&s, SPAN_LIT("From")) == 0) {
		fault_set(why, "the message has no From field");
		rc = REFUSED;
	}
	if (rc == OK) {
		put_field(&s, in);
		dkim_canon_field(&s.canon, span_from(buf_span(out), from), DKIM_RELAXED, false);
		dkim_sha256(buf_span(&s.canon), out_hash);
	}
	buf_fini(&s.canon);
	arena_fini(&a);
	return rc;
}

void dkim_sign_end(struct buf *out, struct span signature)
{
	put_base64(out, signature);
	(void)buf_append(out, SPAN_LIT("\r\n"));
}
