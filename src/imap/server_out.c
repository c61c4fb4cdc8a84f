/* Output: one buffer; what a response is made of. */
#include "imap/server_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/ascii.h"

void imap_put(struct imap_server *s, const char *format, ...)
{
	char text[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n > 0)
		imap_put_span(s,
			      span_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}

void imap_put_span(struct imap_server *s, struct span bytes)
{
	if (s->state != IMAP_ST_GONE)
		(void)buf_append(&s->out, bytes);
}

void imap_put_number(struct imap_server *s, uint64_t n)
{
	unsigned char text[20];
	size_t at = sizeof text;

	do {
		text[--at] = (unsigned char)('0' + n % 10);
		n /= 10;
	} while (n);
	imap_put_span(s, span_of(text + at, sizeof text - at));
}

bool imap_is_full(const struct imap_server *s)
{
	return s->out.n >= IMAP_OUT_FLUSH;
}

void imap_put_string(struct buf *out, struct span text)
{
	bool is_plain = text.n <= 1000;

	for (size_t i = 0; is_plain && i < text.n; i++)
		is_plain = text.p[i] >= ' ' && text.p[i] < 127;
	if (!is_plain) {
		(void)buf_printf(out, "{%zu}\r\n", text.n);
		(void)buf_append(out, text);
		return;
	}
	(void)buf_append_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			(void)buf_append_byte(out, '\\');
		(void)buf_append_byte(out, text.p[i]);
	}
	(void)buf_append_byte(out, '"');
}

void imap_put_astring(struct buf *out, struct span text)
{
	bool is_atom = text.n > 0;

	for (size_t i = 0; is_atom && i < text.n; i++)
		is_atom = ascii_is_graph(text.p[i]) && !memchr("(){%*\"\\", text.p[i], 7);
	if (is_atom)
		(void)buf_append(out, text);
	else
		imap_put_string(out, text);
}

/* Always quoted: our names hold no controls, and in UTF-8 a quoted string may hold them (RFC 9051 s4.3). */
void imap_put_mailbox(struct imap_server *s, struct span utf8_name)
{
	struct buf text = {0};

	if (s->is_utf8)
		(void)buf_append(&text, utf8_name);
	else
		imap_utf7_encode(utf8_name, &text);
	imap_put(s, "\"");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			imap_put_span(s, SPAN_LIT("\\"));
		imap_put_span(s, span_of(text.p + i, 1));
	}
	imap_put(s, "\"");
	buf_fini(&text);
}

void imap_put_flags(struct buf *out, uint32_t flags, struct span keywords)
{
	static const struct {
		uint32_t bit;
		struct span name;
	} names[] = {
		{MAIL_ANSWERED, {(const unsigned char *)"\\Answered", 9}},
		{MAIL_FLAGGED, {(const unsigned char *)"\\Flagged", 8}},
		{MAIL_DELETED, {(const unsigned char *)"\\Deleted", 8}},
		{MAIL_SEEN, {(const unsigned char *)"\\Seen", 5}},
		{MAIL_DRAFT, {(const unsigned char *)"\\Draft", 6}},
	};
	bool is_first = true;

	(void)buf_append_byte(out, '(');
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!(flags & names[i].bit))
			continue;
		if (!is_first)
			(void)buf_append_byte(out, ' ');
		(void)buf_append(out, names[i].name);
		is_first = false;
	}
	if (keywords.n && !is_first)
		(void)buf_append_byte(out, ' ');
	(void)buf_append(out, keywords);
	(void)buf_append_byte(out, ')');
}

/* Days since 1970 of a date (proleptic Gregorian; after H. Hinnant). */
int64_t imap_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year =
		(153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void imap_put_date_time(struct buf *out, uint64_t us)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t seconds = us / 1000000;
	int64_t days = (int64_t)(seconds / 86400) + 719468;
	int64_t era = days / 146097, of_era = days % 146097;
	int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	int64_t shifted = (5 * of_year + 2) / 153;
	int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
	int64_t year = years + era * 400 + (month <= 2);
	unsigned of_day = (unsigned)(seconds % 86400);

	(void)buf_printf(out, "\"%2d-%.3s-%04d %02u:%02u:%02u +0000\"",
			 (int)(of_year - (153 * shifted + 2) / 5 + 1), months + 3 * (month - 1),
			 (int)year, of_day / 3600, of_day / 60 % 60, of_day % 60);
}
