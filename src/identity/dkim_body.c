/* The body's hash, streaming (RFC 6376 s3.4.3, s3.4.4, s3.7). */
#include "base/must.h"
#include "identity/dkim_internal.h"

void dkim_body_init(struct dkim_body *b, enum dkim_canon canon)
{
	*b = (struct dkim_body){.canon = canon, .limit = UINT64_MAX};
	b->sha = EVP_MD_CTX_new();
	must(b->sha && EVP_DigestInit_ex(b->sha, EVP_sha256(), NULL) == 1);
}

static void flush(struct dkim_body *b)
{
	must(EVP_DigestUpdate(b->sha, b->out, b->out_n) == 1);
	b->out_n = 0;
}

static void put(struct dkim_body *b, unsigned char c)
{
	if (b->hashed >= b->limit)
		return;
	b->hashed++;
	b->out[b->out_n++] = c;
	if (b->out_n == sizeof b->out)
		flush(b);
}

static void put_line_end(struct dkim_body *b)
{
	put(b, '\r');
	put(b, '\n');
}

static void put_content(struct dkim_body *b, unsigned char c)
{
	for (; b->empty_lines; b->empty_lines--)
		put_line_end(b);
	if (b->has_blank)
		put(b, ' ');
	b->has_blank = false;
	b->is_inside = true;
	put(b, c);
}

static void end_line(struct dkim_body *b)
{
	b->has_blank = false;
	if (b->is_inside)
		put_line_end(b);
	else
		b->empty_lines++;
	b->is_inside = false;
}

static void take(struct dkim_body *b, unsigned char c)
{
	if (b->has_cr) {
		b->has_cr = false;
		if (c == '\n') {
			end_line(b);
			return;
		}
		put_content(b, '\r');
	}
	if (c == '\r')
		b->has_cr = true;
	else if (b->canon == DKIM_RELAXED && (c == ' ' || c == '\t'))
		b->has_blank = true;
	else
		put_content(b, c);
}

void dkim_body_feed(struct dkim_body *b, struct span piece)
{
	for (size_t i = 0; i < piece.n; i++)
		take(b, piece.p[i]);
}

void dkim_body_end(struct dkim_body *b, unsigned char out[DKIM_HASH_BYTES])
{
	if (b->has_cr)
		put_content(b, '\r');
	if (b->is_inside || (b->canon == DKIM_SIMPLE && !b->hashed))
		put_line_end(b); /* the last line's missing one; an empty body of the simple form */
	flush(b);
	must(EVP_DigestFinal_ex(b->sha, out, NULL) == 1);
	EVP_MD_CTX_free(b->sha);
	b->sha = NULL;
}
