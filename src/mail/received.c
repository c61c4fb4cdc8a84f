#include "mail/received.h"

#include <stdio.h>
#include <time.h>

#include "base/ascii.h"

const char *received_protocol(bool is_esmtp, bool is_tls, bool is_utf8)
{
	if (!is_esmtp)
		return is_tls ? "SMTPS" : "SMTP";
	if (is_utf8)
		return is_tls ? "UTF8SMTPS" : "UTF8SMTP";
	return is_tls ? "ESMTPS" : "ESMTP";
}

void received_date(struct buf *out, uint64_t wall_us)
{
	/* Not strftime: its names follow the locale. */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t at = (time_t)(wall_us / 1000000);
	struct tm t = {0};

	if (!gmtime_r(&at, &t))
		t = (struct tm){.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
	buf_printf(out, "%.3s, %d %.3s %04d %02d:%02d:%02d +0000", days + 3 * t.tm_wday, t.tm_mday,
		   months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* A peer's word inside the field: graphic, and nothing that opens or closes a comment or ends the
 * field's part. */
static void put_word(struct buf *out, struct span word)
{
	for (size_t i = 0; i < word.n; i++) {
		unsigned char c = word.p[i];
		bool is_good = (ascii_is_graph(c) || c >= 128) && c != '(' && c != ')' &&
			       c != ';' && c != '\\' && c != '"';

		buf_append_byte(out, is_good ? c : '?');
	}
}

static void put_from(struct buf *out, const struct received_facts *f)
{
	buf_append(out, SPAN_LIT("Received: from "));
	put_word(out, span_is_empty(f->helo) ? SPAN_LIT("unknown") : f->helo);
	buf_append(out, SPAN_LIT(" ("));
	if (!span_is_empty(f->host)) {
		put_word(out, f->host);
		buf_append_byte(out, ' ');
	}
	buf_append(out, span_chr(f->address, ':') >= 0 ? SPAN_LIT("[IPv6:") : SPAN_LIT("["));
	put_word(out, f->address);
	buf_append(out, SPAN_LIT("])\r\n\t"));
}

void received_mark(struct buf *out, struct span node)
{
	buf_append(out, SPAN_LIT("by "));
	put_word(out, node);
	buf_append(out, SPAN_LIT(" (Holdfast) with "));
}

void received_write(struct buf *out, const struct received_facts *f)
{
	if (span_is_empty(f->address))
		buf_append(out, SPAN_LIT("Received: "));
	else
		put_from(out, f);
	received_mark(out, f->node);
	buf_printf(out, "%.*s id %.*s", SPAN_FMT(f->protocol), SPAN_FMT(f->id));
	if (!span_is_empty(f->tls)) {
		struct span rest = f->tls;

		buf_append(out, SPAN_LIT("\r\n\t("));
		put_word(out, span_cut(&rest, ' '));
		while (!span_is_empty(rest)) {
			buf_append_byte(out, ' ');
			put_word(out, span_cut(&rest, ' '));
		}
		buf_append_byte(out, ')');
	}
	if (!span_is_empty(f->recipient))
		buf_printf(out, "\r\n\tfor <%.*s>", SPAN_FMT(f->recipient));
	buf_append(out, SPAN_LIT("; "));
	received_date(out, f->at_us);
	buf_append(out, SPAN_LIT("\r\n"));
}

void authres_write(struct buf *out, const struct authres_facts *f)
{
	bool is_bounce = span_is_empty(f->domain);

	buf_append(out, SPAN_LIT("Authentication-Results: "));
	put_word(out, f->node);
	buf_append(out, SPAN_LIT(";\r\n\tspf="));
	put_word(out, f->spf);
	buf_append(out, is_bounce ? SPAN_LIT(" smtp.helo=") : SPAN_LIT(" smtp.mailfrom="));
	put_word(out, is_bounce ? f->helo : f->domain);
	buf_append(out, SPAN_LIT("\r\n"));
}
