#include "jmap/measure.h"

/* Behind the closing quote; the end when there is none. */
static size_t skip_string(struct span text, size_t at)
{
	while (at < text.n && text.p[at] != '"')
		at += text.p[at] == '\\' ? 2 : 1;
	return at < text.n ? at + 1 : text.n;
}

/* Every value but the first of an array or object stands behind a comma, a colon or a bracket: these are counted. */
enum jmap_measure jmap_measured(struct span text, unsigned depth_most, size_t values_most)
{
	unsigned depth = 0;
	size_t values = 0;

	for (size_t i = 0; i < text.n;) {
		switch (text.p[i++]) {
		case '"':
			i = skip_string(text, i);
			continue;
		case '[':
		case '{':
			if (++depth > depth_most)
				return JMAP_TOO_DEEP;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			continue;
		case ',':
		case ':':
			break;
		default:
			continue;
		}
		if (++values > values_most)
			return JMAP_TOO_MANY;
	}
	return JMAP_FITS;
}
