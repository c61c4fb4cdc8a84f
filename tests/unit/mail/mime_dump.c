/* mime_dump [-s STEP] FILE...: each message's structure as our parser sees it, one JSON object a line; for the referees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/digest.h"
#include "mail/field.h"
#include "mail/text.h"
#include "mail/transfer.h"

enum { DECODED_LIMIT = 1 << 20 };

static struct buf message;

static void json(struct span s)
{
	if (!s.p) {
		printf("null");
		return;
	}
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] > 126)
			printf("\\u%04x", s.p[i]);
		else
			putchar(s.p[i]);
	}
	putchar('"');
}

static void named(const char *name, struct span s)
{
	printf(", \"%s\": ", name);
	json(s);
}

static void file_name(const struct mime_part *p)
{
	struct buf name;
	bool is_there;

	buf_init(&name, 0);
	is_there = (p->fields[MIME_CONTENT_DISPOSITION].p &&
		    field_param(p->fields[MIME_CONTENT_DISPOSITION], "filename", &name)) ||
		   (p->fields[MIME_CONTENT_TYPE].p &&
		    field_param(p->fields[MIME_CONTENT_TYPE], "name", &name));
	named("filename", is_there ? (name.n ? buf_span(&name) : SPAN_LIT("")) : SPAN_NONE);
	buf_fini(&name);
}

static void decoded(const struct mime_part *p)
{
	struct transfer t;
	struct buf out;

	buf_init(&out, 0);
	transfer_init(&t, p->encoding);
	(void)transfer_feed(&t, span_of(message.p + p->body_at, p->end - p->body_at), &out);
	(void)transfer_end(&t, &out);
	printf(", \"decoded\": \"");
	for (size_t i = 0; i < out.n && i < DECODED_LIMIT; i++)
		printf("%02x", out.p[i]);
	putchar('"');
	buf_fini(&out);
}

static void part(const struct mime *m, int i)
{
	static const char *const kinds[] = {"leaf", "multipart", "message"};
	const struct mime_part *p = mime_part(m, i);

	printf("%s{\"i\": %d, \"kind\": \"%s\", \"parent\": %d, \"is_message\": %s, \"encoding\": "
	       "%d",
	       i ? ", " : "", i, kinds[p->kind], p->parent, p->is_message ? "true" : "false",
	       p->encoding);
	printf(", \"header_at\": %llu, \"body_at\": %llu, \"end\": %llu, \"header_lines\": %llu, "
	       "\"lines\": %llu",
	       (unsigned long long)p->header_at, (unsigned long long)p->body_at,
	       (unsigned long long)p->end, (unsigned long long)p->header_lines,
	       (unsigned long long)p->body_lines);
	named("type", p->type);
	named("subtype", p->subtype);
	named("disposition", p->fields[MIME_CONTENT_DISPOSITION]);
	if (p->kind == MIME_LEAF) {
		file_name(p);
		decoded(p);
	}
	printf("}");
}

static void subject(const struct mime *m)
{
	struct buf text;

	buf_init(&text, 0);
	(void)text_header(mime_part(m, 0)->heads[MIME_SUBJECT], &text);
	named("subject_text", buf_span(&text));
	buf_fini(&text);
}

static void dump(const char *path, const struct digest_maker *d, const struct mail_digest *digest)
{
	static const char *const texts[] = {"header", "body_text", "subject", "from",
					    "to",     "cc",	   "bcc"};
	const struct mime *m = digest_maker_mime(d);

	printf("{\"file\": ");
	json(span_str(path));
	printf(", \"bytes\": %llu, \"limits\": %u, \"sent_us\": %llu, \"header_bytes\": %llu",
	       (unsigned long long)mime_bytes(m), mime_limits(m),
	       (unsigned long long)digest->sent_us, (unsigned long long)digest->header_bytes);
	subject(m);
	named("envelope", digest->envelope);
	named("body", digest->body);
	named("bodystructure", digest->bodystructure);
	for (int i = 0; i <= MAIL_TEXT_BCC; i++)
		named(texts[i], digest_maker_text(d, (enum mail_text)i));
	printf(", \"parts\": [");
	for (int i = 0; i < mime_parts(m); i++)
		part(m, i);
	printf("]}\n");
}

static int one(const char *path, size_t step)
{
	static unsigned char bytes[1 << 16];
	struct digest_maker *d = digest_maker_new(true);
	struct mail_digest digest;
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t n;
	int bad = 1;

	if (f && d) {
		buf_clear(&message);
		while ((n = fread(bytes, 1, step, f)) > 0) {
			digest_maker_feed(d, span_of(bytes, n));
			(void)buf_append(&message, span_of(bytes, n));
		}
		digest_maker_end(d);
		if (digest_maker_digest(d, &digest)) {
			dump(path, d, &digest);
			bad = 0;
		}
	}
	if (f && f != stdin)
		fclose(f);
	digest_maker_free(d);
	return bad;
}

int main(int argc, char **argv)
{
	size_t step = 1 << 16;
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			step = (size_t)atoi(argv[++i]);
		else
			bad |= one(argv[i], step);
	}
	return bad;
}
