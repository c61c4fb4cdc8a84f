#include "mail/html.h"

#include "base/ascii.h"
#include "mail/text.h"

void html_strip_init(struct html_strip *h)
{
	*h = (struct html_strip){.at = HTML_TEXT};
}

static bool is_one_of(struct span name, const char *list)
{
	char padded[HTML_NAME_BYTES + 3];

	padded[0] = ' ';
	memcpy(padded + 1, name.p, name.n);
	padded[name.n + 1] = ' ';
	padded[name.n + 2] = '\0';
	return strstr(list, padded) != NULL;
}

/* A tag has ended: those that stand inside words leave nothing, others a blank. */
static bool tag_ends(struct html_strip *h, struct buf *out)
{
	static const char inside_words[] =
		" a b i u s em strong span font small big sub sup code tt wbr abbr mark ";
	struct span name = span_of(h->name, h->name_n);
	bool is_end = name.n > 0 && name.p[0] == '/';

	h->at = HTML_TEXT;
	if (is_end)
		name = span_from(name, 1);
	if (h->until) {
		if (is_end && span_eq(name, span_str(h->until)))
			h->until = NULL;
		return true;
	}
	if (!is_end && span_eq(name, SPAN_LIT("style")))
		h->until = "style";
	else if (!is_end && span_eq(name, SPAN_LIT("script")))
		h->until = "script";
	return is_one_of(name, inside_words) || buf_append_byte(out, ' ');
}

static bool tag_byte(struct html_strip *h, unsigned char c, struct buf *out)
{
	if (h->quote) {
		if (c == h->quote)
			h->quote = 0;
		return true;
	}
	if (c == '>')
		return tag_ends(h, out);
	if (h->name_is_open && h->name_n < sizeof h->name &&
	    (h->name_n == 0 ? ascii_is_alpha(c) || c == '/' || c == '!' || c == '?'
			    : ascii_is_alnum(c) || c == '-')) {
		h->name[h->name_n++] = ascii_lower(c);
		if (span_eq(span_of(h->name, h->name_n), SPAN_LIT("!--"))) {
			h->at = HTML_COMMENT;
			h->dashes = 0;
		}
		return true;
	}
	if (h->name_is_open && h->name_n == 0) { /* "<" that begins no tag */
		h->at = HTML_TEXT;
		return h->until || (buf_append_byte(out, '<') && buf_append_byte(out, c));
	}
	h->name_is_open = false;
	if ((c == '"' || c == '\'') && !h->until)
		h->quote = c;
	return true;
}

static uint64_t number_of(struct span digits)
{
	uint64_t code = 0;
	bool is_hex = digits.n > 0 && digits.p[0] == 'x';

	for (size_t i = is_hex; i < digits.n; i++) {
		int v = ascii_hex(digits.p[i]);

		if (v < 0 || (!is_hex && v > 9) || code > 0x10ffff)
			return 0;
		code = code * (is_hex ? 16 : 10) + (uint64_t)v;
	}
	return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : code;
}

/* A character reference is complete (or none): what it stands for, or as it was. */
static bool entity_ends(struct html_strip *h, bool has_semicolon, struct buf *out)
{
	static const struct {
		const char *name, *text;
	} known[] = {
		{"amp", "&"},	 {"lt", "<"},	  {"gt", ">"},	   {"quot", "\""},  {"apos", "'"},
		{"nbsp", " "},	 {"auml", "ä"},	  {"ouml", "ö"},   {"uuml", "ü"},   {"szlig", "ß"},
		{"eacute", "é"}, {"egrave", "è"}, {"ecirc", "ê"},  {"agrave", "à"}, {"aacute", "á"},
		{"acirc", "â"},	 {"aring", "å"},  {"aelig", "æ"},  {"oslash", "ø"}, {"ccedil", "ç"},
		{"ntilde", "ñ"}, {"oacute", "ó"}, {"iacute", "í"}, {"uacute", "ú"}, {"ocirc", "ô"},
		{"euro", "€"},	 {"hellip", "…"}, {"ndash", "–"},  {"mdash", "—"},  {"lsquo", "‘"},
		{"rsquo", "’"},	 {"ldquo", "“"},  {"rdquo", "”"},  {"copy", "©"},   {"reg", "®"},
		{"shy", ""},	 {"bdquo", "„"},  {"middot", "·"}, {"bull", "•"},   {"trade", "™"},
	};
	struct span name = span_of(h->name, h->name_n);
	unsigned char utf8[4];
	uint64_t code = name.n > 1 && name.p[0] == '#' ? number_of(span_from(name, 1)) : 0;

	h->at = HTML_TEXT;
	if (code > 0)
		return buf_append(out, span_of(utf8, text_put_utf8((uint32_t)code, utf8)));
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (span_eq(name, span_str(known[i].name)))
			return buf_append(out, span_str(known[i].text));
	return buf_append_byte(out, '&') && buf_append(out, name) &&
	       (!has_semicolon || buf_append_byte(out, ';'));
}

static bool text_byte(struct html_strip *h, unsigned char c, struct buf *out)
{
	if (c == '<') {
		h->at = HTML_TAG;
		h->name_n = 0;
		h->name_is_open = true;
		h->quote = 0;
		return true;
	}
	if (h->until)
		return true;
	if (c == '&') {
		h->at = HTML_ENTITY;
		h->name_n = 0;
		return true;
	}
	return buf_append_byte(out, c);
}

static bool step(struct html_strip *h, unsigned char c, struct buf *out)
{
	switch (h->at) {
	case HTML_TEXT:
		break;
	case HTML_TAG:
		return tag_byte(h, c, out);
	case HTML_COMMENT:
		if (c == '>' && h->dashes >= 2)
			h->at = HTML_TEXT;
		h->dashes = c == '-' ? h->dashes + 1 : 0;
		return true;
	case HTML_ENTITY:
		if ((ascii_is_alnum(c) || (c == '#' && h->name_n == 0)) &&
		    h->name_n < sizeof h->name) {
			h->name[h->name_n++] = ascii_lower(c);
			return true;
		}
		if (!entity_ends(h, c == ';', out))
			return false;
		if (c == ';')
			return true;
		break;
	}
	return text_byte(h, c, out);
}

bool html_strip_feed(struct html_strip *h, struct span piece, struct buf *out)
{
	for (size_t i = 0; i < piece.n; i++)
		if (!step(h, piece.p[i], out))
			return false;
	return true;
}
