#include "mail/dsn.h"

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/must.h"
#include "mail/address.h"
#include "mail/received.h"

enum { FIELD_LIMIT_BYTES = 900, ORIGINAL_NAME_LIMIT = 500 };

const char *dsn_action_name(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED:
		return "failed";
	case DSN_DELAYED:
		return "delayed";
	case DSN_RELAYED:
		return "relayed";
	}
	return "?";
}

/*
 * FNV-1a with 128 bits. Not a secret and no proof: message_id is 128 random bits of ours, so that nobody can aim at
 * another message's notification.
 */
static unsigned __int128 fnv(unsigned __int128 h, struct span s)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * prime;
	return (h ^ 0x100) * prime; /* an end no byte can be */
}

void dsn_id(const struct dsn_facts *facts, char out[DSN_ID_BYTES])
{
	unsigned __int128 h = ((unsigned __int128)0x6c62272e07bb0142 << 64) | 0x62b821756295c58d;
	unsigned char bytes[16];

	h = fnv(h, facts->message_id);
	h = fnv(h, facts->rcpt);
	h = fnv(h, span_str(dsn_action_name(facts->action)));
	put_u64(bytes, (uint64_t)h);
	put_u64(bytes + 8, (uint64_t)(h >> 64));
	hex_encode(out, span_of(bytes, sizeof bytes));
}

/* ---- making foreign bytes harmless (D1) ---- */

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 128)
			return false;
	}
	return true;
}

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] >= 127)
			return false;
	}
	return true;
}

/* For a header field: printable ASCII, all else '?'. */
static void put_ascii(struct buf *out, struct span s)
{
	s = span_first(s, FIELD_LIMIT_BYTES);
	for (size_t i = 0; i < s.n; i++)
		buf_append_byte(out, s.p[i] >= 32 && s.p[i] < 127 ? s.p[i] : '?');
}

/* For the text for people: UTF-8 without control characters. */
static void put_utf8(struct buf *out, struct span s)
{
	s = span_first(s, FIELD_LIMIT_BYTES);
	while (s.n) {
		size_t n = s.p[0] < 128 ? 1 : utf8_length(s.p, s.n);
		bool is_control = n == 0 || s.p[0] < 32 || s.p[0] == 127 ||
				  (n == 2 && s.p[0] == 0xc2 && s.p[1] < 0xa0);

		if (is_control)
			buf_append_byte(out, '?');
		else
			buf_append(out, span_first(s, n));
		s = span_from(s, n ? n : 1);
	}
}

static uint32_t utf8_value(const unsigned char *p, size_t n)
{
	uint32_t value = n == 2 ? p[0] & 0x1f : n == 3 ? p[0] & 0x0f : p[0] & 0x07;

	for (size_t i = 1; i < n; i++)
		value = value << 6 | (p[i] & 0x3f);
	return value;
}

/* An address for a 7-bit field: "rfc822; a@b", or RFC 6533 s3's utf-8-addr-xtext "utf-8; \x{E9}@b". */
static void put_address(struct buf *out, struct span address)
{
	bool plain = is_ascii(address);

	address = span_first(address, FIELD_LIMIT_BYTES / 2);
	buf_printf(out, "%s; ", plain ? "rfc822" : "utf-8");
	while (address.n) {
		size_t n = address.p[0] < 128 ? 1 : utf8_length(address.p, address.n);

		if (n == 1 && !plain &&
		    (address.p[0] == '\\' || address.p[0] == '+' || address.p[0] == '='))
			buf_printf(out, "\\x{%02X}", address.p[0]);
		else if (n == 1)
			put_ascii(out, span_first(address, 1));
		else if (n)
			buf_printf(out, "\\x{%X}", utf8_value(address.p, n));
		else
			buf_append_byte(out, '?');
		address = span_from(address, n ? n : 1);
	}
}

/* Decodes xtext (RFC 3461 s4) when every decoded byte is printable ASCII; else false and *out is as before. */
static bool put_xtext(struct buf *out, struct span s)
{
	size_t was = out->n;

	if (!s.n || s.n > ORIGINAL_NAME_LIMIT)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '+') {
			int high = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				goto undo;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (!ascii_is_graph(c) || c == '=') {
			goto undo;
		}
		if (c < 32 || c >= 127)
			goto undo;
		buf_append_byte(out, c);
	}
	return true;
undo:
	out->n = was;
	return false;
}

/* Value of a field whose xtext decodes to something unprintable: the xtext itself, if it is at least that. */
static bool is_raw_xtext(struct span s)
{
	if (!s.n || s.n > ORIGINAL_NAME_LIMIT)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_graph(s.p[i]))
			return false;
	}
	return true;
}

static void put_original_recipient(struct buf *out, struct span orcpt)
{
	struct span rest = orcpt, type = span_cut(&rest, ';');
	size_t was = out->n;

	for (size_t i = 0; i < type.n; i++) {
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return;
	}
	if (!type.n || type.n > 40)
		return;
	buf_printf(out, "Original-Recipient: %.*s; ", SPAN_FMT(type));
	if (!put_xtext(out, rest)) {
		if (!is_raw_xtext(rest)) {
			out->n = was;
			return;
		}
		buf_append(out, rest);
	}
	buf_append(out, SPAN_LIT("\r\n"));
}

static void put_envelope_id(struct buf *out, struct span envid)
{
	size_t was = out->n;

	buf_append(out, SPAN_LIT("Original-Envelope-Id: "));
	if (!put_xtext(out, envid)) {
		if (!is_raw_xtext(envid)) {
			out->n = was;
			return;
		}
		buf_append(out, envid);
	}
	buf_append(out, SPAN_LIT("\r\n"));
}

/* ---- the parts ---- */

static bool is_status(struct span s, enum dsn_action action)
{
	char class = action == DSN_FAILED ? '5' : action == DSN_DELAYED ? '4' : '2';

	return s.n >= 5 && s.n <= 9 && is_text(s) && s.p[0] == class;
}

/* The status of RFC 3463: the peer's if it fits the action, else what the action alone says. */
static struct span status_of(const struct dsn_facts *f)
{
	if (is_status(f->enhanced, f->action))
		return f->enhanced;
	switch (f->action) {
	case DSN_FAILED:
		return SPAN_LIT("5.0.0");
	case DSN_DELAYED:
		return SPAN_LIT("4.0.0");
	case DSN_RELAYED:
		return SPAN_LIT("2.0.0");
	}
	return SPAN_LIT("5.0.0");
}

static void put_header(struct buf *out, const struct dsn_facts *f, const char *id,
		       struct span boundary)
{
	static const char *const subjects[] = {
		[DSN_FAILED] = "Undelivered mail: your message could not be delivered",
		[DSN_DELAYED] = "Delayed mail: your message has not been delivered yet",
		[DSN_RELAYED] = "Your message was passed on",
	};

	buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\nTo: <",
		   SPAN_FMT(f->node));
	put_utf8(out, f->sender);
	buf_append(out, SPAN_LIT(">\r\nDate: "));
	received_date(out, f->now_us);
	buf_printf(out, "\r\nMessage-ID: <%s@%.*s>\r\nSubject: %s\r\n", id, SPAN_FMT(f->node),
		   subjects[f->action]);
	buf_printf(out,
		   "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		   "Content-Type: multipart/report; "
		   "report-type=delivery-status;\r\n\tboundary=\"%.*s\"\r\n",
		   SPAN_FMT(boundary));
}

static void put_answer(struct buf *out, const struct dsn_facts *f)
{
	if (!f->text.n && !f->code)
		return;
	if (f->host.n) {
		buf_append(out, SPAN_LIT("The mail server "));
		put_utf8(out, f->host);
		buf_append(out, SPAN_LIT(" answered:\r\n\r\n    "));
	} else {
		buf_append(out, SPAN_LIT("The reason:\r\n\r\n    "));
	}
	if (f->code)
		buf_printf(out, "%u ", f->code);
	if (f->enhanced.n) {
		put_utf8(out, span_first(f->enhanced, 11));
		buf_append_byte(out, ' ');
	}
	put_utf8(out, span_first(f->text, FIELD_LIMIT_BYTES - 100));
	buf_append(out, SPAN_LIT("\r\n\r\n"));
}

static void put_people(struct buf *out, const struct dsn_facts *f)
{
	static const char *const says[] = {
		[DSN_FAILED] = "could not be delivered to this recipient:",
		[DSN_DELAYED] =
			"has not been delivered to this recipient yet; you need not send it again:",
		[DSN_RELAYED] = ("was passed on to a mail server that does not confirm delivery, "
				"for this recipient:"),
	};

	buf_printf(out, "This is the mail server %.*s.\r\n\r\nYour message of ", SPAN_FMT(f->node));
	received_date(out, f->received_us);
	buf_printf(out, "\r\n%s\r\n\r\n    ", says[f->action]);
	put_utf8(out, f->rcpt);
	buf_append(out, SPAN_LIT("\r\n\r\n"));
	put_answer(out, f);
	if (f->action == DSN_FAILED)
		buf_append(out, SPAN_LIT("No further attempt will be made.\r\n"));
}

static void put_status(struct buf *out, const struct dsn_facts *f)
{
	buf_printf(out, "Reporting-MTA: dns; %.*s\r\n", SPAN_FMT(f->node));
	put_envelope_id(out, f->envid);
	buf_append(out, SPAN_LIT("Arrival-Date: "));
	received_date(out, f->received_us);
	buf_append(out, SPAN_LIT("\r\n\r\n"));
	put_original_recipient(out, f->orcpt);
	buf_append(out, SPAN_LIT("Final-Recipient: "));
	put_address(out, f->rcpt);
	buf_printf(out, "\r\nAction: %s\r\nStatus: %.*s\r\n", dsn_action_name(f->action),
		   SPAN_FMT(status_of(f)));
	if (f->host.n) {
		buf_append(out, SPAN_LIT("Remote-MTA: dns; "));
		put_ascii(out, f->host);
		buf_append(out, SPAN_LIT("\r\n"));
	}
	if (f->code && f->host.n) {
		buf_printf(out, "Diagnostic-Code: smtp; %u ", f->code);
		if (f->enhanced.n) {
			put_ascii(out, span_first(f->enhanced, 11));
			buf_append_byte(out, ' ');
		}
		put_ascii(out, span_first(f->text, FIELD_LIMIT_BYTES - 100));
		buf_append(out, SPAN_LIT("\r\n"));
	}
	if (f->action == DSN_DELAYED && f->retry_until_us) {
		buf_append(out, SPAN_LIT("Will-Retry-Until: "));
		received_date(out, f->retry_until_us);
		buf_append(out, SPAN_LIT("\r\n"));
	}
}

/* What is returned (D3). *out_full says which of the two it is. */
static struct span returned(const struct dsn_facts *f, bool *out_full)
{
	struct span header = f->original;
	ssize_t end;

	*out_full = f->return_full && f->original.n <= DSN_RETURN_LIMIT_BYTES;
	if (*out_full)
		return f->original;
	if (f->header_bytes && f->header_bytes < header.n)
		header = span_first(header, f->header_bytes);
	if (header.n <= DSN_HEADER_LIMIT_BYTES)
		return header;
	header = span_first(header, DSN_HEADER_LIMIT_BYTES);
	end = span_rchr(header, '\n');
	return span_first(header, end < 0 ? 0 : (size_t)end + 1);
}

static bool contains(struct span s, struct span what)
{
	return s.n && memmem(s.p, s.n, what.p, what.n) != NULL;
}

/* A boundary that the returned message has not, whoever wrote it. */
static void choose_boundary(struct buf *out, const char *id, struct span content)
{
	for (unsigned n = 0;; n++) {
		buf_clear(out);
		buf_printf(out, "=_report_%s_%u", id, n);
		if (!contains(content, buf_span(out)))
			return;
	}
}

static void put_part(struct buf *out, struct span boundary, const char *type, bool is_8bit)
{
	buf_printf(out, "--%.*s\r\nContent-Type: %s\r\n", SPAN_FMT(boundary), type);
	if (is_8bit)
		buf_append(out, SPAN_LIT("Content-Transfer-Encoding: 8bit\r\n"));
	buf_append(out, SPAN_LIT("\r\n"));
}

static void put_returned(struct buf *out, struct span boundary, struct span content, bool is_full)
{
	put_part(out, boundary, is_full ? "message/rfc822" : "text/rfc822-headers",
		 !is_ascii(content));
	buf_append(out, content);
	if (content.n && content.p[content.n - 1] != '\n')
		buf_append(out, SPAN_LIT("\r\n"));
}

void dsn_build(struct buf *out, const struct dsn_facts *facts, struct dsn_made *made)
{
	char id[DSN_ID_BYTES];
	bool is_full;
	struct span content = returned(facts, &is_full);
	struct buf boundary, people;
	size_t from = out->n;

	dsn_id(facts, id);
	buf_init(&boundary, 0);
	buf_init(&people, 0);
	choose_boundary(&boundary, id, content);
	put_header(out, facts, id, buf_span(&boundary));
	put_people(&people, facts);
	made->is_8bit = !is_ascii(buf_span(&people)) || !is_ascii(content);
	made->needs_smtputf8 = !is_ascii(facts->sender);
	if (made->is_8bit)
		buf_append(out, SPAN_LIT("Content-Transfer-Encoding: 8bit\r\n"));
	buf_append(out, SPAN_LIT("\r\n"));
	made->header_bytes = out->n - from;
	put_part(out, buf_span(&boundary), "text/plain; charset=utf-8",
		 !is_ascii(buf_span(&people)));
	buf_append(out, buf_span(&people));
	buf_append(out, SPAN_LIT("\r\n"));
	put_part(out, buf_span(&boundary), "message/delivery-status", false);
	put_status(out, facts);
	buf_append(out, SPAN_LIT("\r\n"));
	put_returned(out, buf_span(&boundary), content, is_full);
	buf_printf(out, "\r\n--%.*s--\r\n", SPAN_FMT(buf_span(&boundary)));
	buf_fini(&people);
	buf_fini(&boundary);
}
