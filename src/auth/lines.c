#include "auth/lines.h"

#include "base/bytes.h"

void lines_put_text(struct buf *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c <= ' ' || *c == '%' || *c == 127)
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
		else
			buf_append_byte(out, (unsigned char)*c);
	}
}

void lines_put_hex(struct buf *out, const void *p, size_t n)
{
	char text[2 * 64 + 1];

	hex_encode(text, span_of(p, n));
	buf_append(out, span_str(text));
}

bool lines_get_text(struct span s, char *out, size_t limit)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || !hex_decode(&c, 1, span_of(s.p + i + 1, 2)))
				return false;
			i += 2;
		}
		if (n + 1 >= limit || !c)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}
