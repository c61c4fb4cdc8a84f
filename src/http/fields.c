/* See fields.h. RFC 9110 s5.6, s8, s12.5.3, s13.1.2, s14.1.2; RFC 6265bis; RFC 6266 and 8187. */
#include "http/fields.h"

#include <stdio.h>

#include "base/ascii.h"

/* ---- percent encoding, queries ---- */

bool http_decode(struct buf *out, struct span text, bool is_query)
{
	size_t before = out->n;

	for (size_t i = 0; i < text.n; i++) {
		int c = text.p[i];

		if (c == '%') {
			if (text.n - i < 3 || ascii_hex(text.p[i + 1]) < 0 ||
			    ascii_hex(text.p[i + 2]) < 0)
				break;
			c = ascii_hex(text.p[i + 1]) << 4 | ascii_hex(text.p[i + 2]);
			i += 2;
		} else if (c == '+' && is_query) {
			c = ' ';
		}
		if (c == 0 || !buf_append_byte(out, (unsigned char)c))
			break;
		if (i + 1 == text.n)
			return true;
	}
	if (text.n == 0)
		return true;
	out->n = before;
	return false;
}

bool http_query_next(struct span *rest, struct span *out_name, struct span *out_value)
{
	while (rest->n) {
		struct span value = span_cut(rest, '&');
		struct span name = span_cut(&value, '=');

		if (!name.n)
			continue;
		*out_name = name;
		*out_value = value;
		return true;
	}
	return false;
}

bool http_query_find(struct span query, const char *name, struct span *out_value)
{
	struct span at, value;

	while (http_query_next(&query, &at, &value)) {
		if (!span_eq(at, span_str(name)))
			continue;
		*out_value = value;
		return true;
	}
	return false;
}

/* ---- fields ---- */

bool http_cookie_find(struct span field, const char *name, struct span *out_value)
{
	while (field.n) {
		struct span value = span_trim(span_cut(&field, ';'));
		struct span at = span_cut(&value, '=');

		if (!span_eq(span_trim(at), span_str(name)))
			continue;
		*out_value = span_trim(value);
		return true;
	}
	return false;
}

bool http_list_next(struct span *rest, struct span *out_element)
{
	while (rest->n) {
		struct span element = span_trim(span_cut(rest, ','));

		if (!element.n)
			continue;
		*out_element = element;
		return true;
	}
	return false;
}

struct span http_type_of(struct span content_type)
{
	return span_trim(span_cut(&content_type, ';'));
}

/* "q=0", "q=0.000": not wanted. */
static bool is_refused(struct span parameters)
{
	while (parameters.n) {
		struct span p = span_trim(span_cut(&parameters, ';'));

		if (!span_starts_nocase(p, SPAN_LIT("q=0")))
			continue;
		p = span_from(p, 3);
		while (p.n && (p.p[0] == '0' || p.p[0] == '.'))
			p = span_from(p, 1);
		return p.n == 0;
	}
	return false;
}

bool http_accepts_gzip(struct span accept_encoding)
{
	struct span element;
	bool takes_any = false;

	while (http_list_next(&accept_encoding, &element)) {
		struct span coding = span_trim(span_cut(&element, ';'));

		if (span_eq_nocase(coding, SPAN_LIT("gzip")))
			return !is_refused(element);
		if (span_eq(coding, SPAN_LIT("*")))
			takes_any = !is_refused(element);
	}
	return takes_any;
}

bool http_tag_matches(struct span if_none_match, struct span tag)
{
	struct span element;

	while (http_list_next(&if_none_match, &element)) {
		if (span_starts(element, SPAN_LIT("W/")))
			element = span_from(element, 2);
		if (span_eq(element, tag) || span_eq(element, SPAN_LIT("*")))
			return true;
	}
	return false;
}

/* ---- ranges ---- */

static enum rc suffix_range(struct span digits, uint64_t size, struct http_range *out)
{
	uint64_t n;

	if (!span_to_u64(digits, UINT64_MAX, &n))
		return MORE;
	if (n == 0 || size == 0)
		return REFUSED;
	out->bytes = n < size ? n : size;
	out->first = size - out->bytes;
	return OK;
}

enum rc http_range_parse(struct span field, uint64_t size, struct http_range *out)
{
	uint64_t first, last = UINT64_MAX;
	struct span a, b;

	if (!span_starts_nocase(field, SPAN_LIT("bytes=")) || span_chr(field, ',') >= 0 ||
	    span_chr(field, '-') < 0)
		return MORE;
	b = span_trim(span_from(field, 6));
	a = span_cut(&b, '-');
	if (!a.n)
		return suffix_range(b, size, out);
	if (!span_to_u64(a, UINT64_MAX, &first) || (b.n && !span_to_u64(b, UINT64_MAX, &last)) ||
	    last < first)
		return MORE;
	if (first >= size)
		return REFUSED;
	out->first = first;
	out->bytes = (last < size - 1 ? last : size - 1) - first + 1;
	return OK;
}

/* ---- dates, words, names ---- */

/* The calendar by arithmetic (days from civil, reversed), for engines know no clock and no libc time. */
void http_date(int64_t seconds, char out[HTTP_DATE_BYTES])
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t most = 253402300799; /* the end of the year 9999 */
	int64_t t = seconds < 0 ? 0 : seconds > most ? most : seconds;
	int64_t day = t / 86400, z = day + 719468;
	int64_t era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 2 : mp - 10); /* from 0 */
	int year = (int)(yoe + era * 400) + (month < 2), s = (int)(t % 86400);

	char text[64];

	(void)snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		       days + day % 7 * 3, (int)(doy - (153 * mp + 2) / 5 + 1), months + month * 3,
		       year, s / 3600, s / 60 % 60, s % 60);
	memcpy(out, text, HTTP_DATE_BYTES);
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} reasons[] = {
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{416, "Range Not Satisfiable"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return "Other";
}

static void put_plain_name(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];
		bool is_fine = c >= ' ' && c < 127 && !strchr("\"\\%/", c);

		if ((c & 0xc0) != 0x80) /* one for each character */
			(void)buf_append_byte(out, is_fine ? c : '_');
	}
}

void http_disposition(struct buf *out, struct span name)
{
	(void)buf_append(out, SPAN_LIT("attachment"));
	if (!name.n)
		return;
	(void)buf_append(out, SPAN_LIT("; filename=\""));
	put_plain_name(out, name);
	(void)buf_append(out, SPAN_LIT("\"; filename*=UTF-8''"));
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		if (ascii_is_alnum(c) || (c && strchr("!#$&+-.^_`|~", c)))
			(void)buf_append_byte(out, c);
		else
			(void)buf_printf(out, "%%%02X", c);
	}
}
