#include "smtp/client_reply.h"

#include "base/ascii.h"
#include "mail/address.h"

void smtp_reply_init(struct smtp_reply_reader *r)
{
	*r = (struct smtp_reply_reader){0};
	buf_init(&r->line, SMTP_REPLY_LINE_LIMIT_BYTES);
	buf_init(&r->lines, SMTP_REPLY_LIMIT_BYTES);
}

void smtp_reply_fini(struct smtp_reply_reader *r)
{
	buf_fini(&r->line);
	buf_fini(&r->lines);
}

void smtp_reply_reset(struct smtp_reply_reader *r)
{
	buf_clear(&r->line);
	buf_clear(&r->lines);
	r->lines_n = 0;
	r->code = 0;
	r->is_complete = false;
}

static bool code_of(struct span line, uint16_t *out_code)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
	    !ascii_is_digit(line.p[2]))
		return false;
	*out_code =
		(uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
	return true;
}

/* One whole line. OK: it was the last of a reply. */
static enum rc take_line(struct smtp_reply_reader *r, struct span line)
{
	uint16_t code;
	bool is_last;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (!code_of(line, &code) || (r->lines_n && code != r->code))
		return REFUSED;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return REFUSED;
	is_last = line.n == 3 || line.p[3] == ' ';
	r->code = code;
	if (++r->lines_n > SMTP_REPLY_LINES_LIMIT || !buf_append(&r->lines, span_from(line, 4)) ||
	    !buf_append_byte(&r->lines, '\n'))
		return REFUSED;
	return is_last ? OK : MORE;
}

enum rc smtp_reply_feed(struct smtp_reply_reader *r, struct span *bytes)
{
	if (r->is_complete)
		smtp_reply_reset(r);
	while (bytes->n) {
		ssize_t end = span_chr(*bytes, '\n');
		size_t n = end < 0 ? bytes->n : (size_t)end;
		enum rc rc;

		if (!buf_append(&r->line, span_first(*bytes, n)))
			return REFUSED;
		*bytes = span_from(*bytes, end < 0 ? n : n + 1);
		if (end < 0)
			return MORE;
		rc = take_line(r, buf_span(&r->line));
		buf_clear(&r->line);
		r->is_complete = rc == OK;
		if (rc != MORE)
			return rc;
	}
	return MORE;
}

/* Bytes of the character at p, 0 if it is none or a C1 control (U+0080..U+009F). */
static size_t text_length(const unsigned char *p, size_t n)
{
	size_t bytes = utf8_length(p, n);

	return bytes == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : bytes;
}

void smtp_text_clean(char *out, size_t out_n, struct span raw)
{
	size_t used = 0;

	for (size_t i = 0; i < raw.n;) {
		unsigned char c = raw.p[i];
		size_t n = c < 128 ? 1 : text_length(raw.p + i, raw.n - i);

		if (used + (n ? n : 1) >= out_n)
			break;
		if (c < 128)
			out[used++] = c < 32 || c == 127 ? ' ' : (char)c;
		else if (!n)
			out[used++] = '?';
		else
			memcpy(out + used, raw.p + i, n);
		used += n > 1 ? n : 0;
		i += n ? n : 1;
	}
	while (used && out[used - 1] == ' ')
		used--;
	out[used] = '\0';
}

/* Bytes of an enhanced status code of this class at the start (RFC 2034): "5.1.10", 0: none. */
static size_t enhanced_length(struct span line, unsigned char class)
{
	size_t at = 2;

	if (line.n < 5 || line.p[0] != class || line.p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t from = at;

		while (at < line.n && at - from < 3 && ascii_is_digit(line.p[at]))
			at++;
		if (at == from || (part == 0 && (at == line.n || line.p[at] != '.')))
			return 0;
		at += part == 0;
	}
	return at == line.n || line.p[at] == ' ' ? at : 0;
}

void smtp_reply_get(const struct smtp_reply_reader *r, struct smtp_reply *out)
{
	unsigned char class = (unsigned char)('0' + r->code / 100);
	struct span rest = buf_span(&r->lines);
	size_t used = 0;

	*out = (struct smtp_reply){.code = r->code};
	while (rest.n) {
		struct span line = span_cut(&rest, '\n');
		size_t n = enhanced_length(line, class);

		if (n && !out->enhanced[0]) {
			memcpy(out->enhanced, line.p, n);
			out->enhanced[n] = '\0';
		}
		line = span_trim(span_from(line, n));
		if (!line.n || used + 2 >= sizeof out->text)
			continue;
		if (used)
			out->text[used++] = ' ';
		smtp_text_clean(out->text + used, sizeof out->text - used, line);
		used += strlen(out->text + used);
	}
}
