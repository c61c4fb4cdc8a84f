/*
 * Where nobody can log in for a person: what they sent goes to them as a message, clearly marked, with the originals attached.
 * It is a MESSAGE of our lane in one atomic group with the results that say so, so that it cannot double; the clerk shows it
 * here and hands it to the primary like any mail.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/received.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/courier/home.h"

enum { WHOLE_BYTES = 96 << 10 }; /* of all attachments together: the record stays in one piece */

#define BOUNDARY "holdfast-what-you-sent"

/* All of the message, or false: it does not fit or cannot be read. */
static bool add_original(struct home *h, const struct msg_home_item *item, struct buf *out)
{
	struct home_bytes *bytes = NULL;
	struct fault why = {0};
	size_t before = out->n;
	struct span piece;
	enum rc rc;

	if (item->bytes > WHOLE_BYTES - (out->n < WHOLE_BYTES ? out->n : WHOLE_BYTES) ||
	    home_bytes_open(h->c->reader, item, &bytes, &why) != OK)
		return false;
	buf_append(out, SPAN_LIT("--" BOUNDARY "\r\nContent-Type: message/rfc822\r\n"
				 "Content-Disposition: attachment; filename=\"sent.eml\"\r\n\r\n"));
	while ((rc = home_bytes_next(bytes, &piece, &why)) == OK)
		buf_append(out, piece);
	home_bytes_close(bytes);
	buf_append(out, SPAN_LIT("\r\n"));
	if (rc != MORE)
		out->n = before;
	return rc == MORE;
}

/* What a header said, as text that breaks no line. */
static void add_plain(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n && i < 200; i++)
		buf_append_byte(out, s.p[i] >= 32 && s.p[i] < 127 ? s.p[i] : '?');
}

static void add_text(const struct home *h, struct buf *out)
{
	buf_printf(
		out,
		"--" BOUNDARY "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"While your mail server was away you sent mail by way of its stand-in "
		"(Holdfast).\r\n"
		"It was delivered to those you wrote to, but it could not be put into your Sent\r\n"
		"folder: that needs you to log in to the stand-in once more, or an "
		"administrator's\r\n"
		"account on your server.\r\n\r\n"
		"Sent messages listed here: %zu\r\n",
		h->lease.items_n);
	for (size_t i = 0; i < h->lease.items_n; i++) {
		const struct msg_home_item *item = &h->lease.items[i];

		buf_append(out, SPAN_LIT("\r\n  "));
		received_date(out, item->received_us);
		buf_append(out, SPAN_LIT("  "));
		add_plain(out, span_trim(item->message_id));
	}
	buf_append(out, SPAN_LIT("\r\n\r\nThose that are not attached are too large; they stay in "
				 "Sent at the stand-in.\r\n\r\n"));
}

static struct span site_of_domain(const struct courier *c, struct span domain)
{
	const struct msg_config *config = role_config(c->role);

	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq_nocase(config->domains[i].name, domain))
			return config->domains[i].site;
	}
	return SPAN_NONE;
}

static size_t add_head(struct home *h, const char *message_id, uint64_t now_us, struct buf *out)
{
	struct span node = role_config(h->c->role)->node;

	buf_printf(out,
		   "From: Mail stand-in <postmaster@%.*s>\r\nTo: <%.*s>\r\nDate: ", SPAN_FMT(node),
		   SPAN_FMT(h->lease.name));
	received_date(out, now_us);
	buf_printf(out,
		   "\r\nMessage-ID: %s\r\nSubject: [Not in your Sent folder] What you sent while "
		   "your server was away\r\n"
		   "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		   "Content-Type: multipart/mixed; boundary=\"" BOUNDARY "\"\r\n\r\n",
		   message_id);
	return out->n;
}

static void encode_meta(struct home *h, const char *id, const char *message_id, size_t header_bytes,
			struct span body, struct buf *out)
{
	struct header_refs refs;
	struct msg_rcpt rcpt = {.address = h->lease.name, .notify = 1};
	struct msg_message_meta meta = {
		.id = span_str(id),
		.rcpts = &rcpt,
		.rcpts_n = 1,
		.body_kind = 1,
		.size_declared = body.n,
		.protocol = SPAN_LIT("local"),
		.subject = SPAN_LIT(
			"[Not in your Sent folder] What you sent while your server was away"),
		.from = SPAN_LIT("Mail stand-in"),
		.message_id = span_str(message_id),
		.is_dsn = true,
		.origin = 3,
		.header_bytes = (uint32_t)header_bytes};
	struct span local;

	header_refs_of(span_first(body, header_bytes), &refs);
	meta.refs = refs.ids;
	meta.refs_n = refs.n;
	meta.subject_hash = refs.subject;
	if (address_split(h->lease.name, &local, &rcpt.domain))
		rcpt.site = site_of_domain(h->c, rcpt.domain);
	msg_message_meta_encode(out, &meta);
}

void home_notice_make(struct home *h, struct buf *meta, struct buf *body)
{
	uint64_t now_us = os_wall_us(h->c->os);
	unsigned char random[16];
	char id[33], message_id[400];
	size_t header_bytes;

	os_random(h->c->os, random, sizeof random);
	hex_encode(id, span_of(random, sizeof random));
	(void)snprintf(message_id, sizeof message_id, "<%s@%.*s>", id,
		       SPAN_FMT(span_first(role_config(h->c->role)->node, 255)));
	header_bytes = add_head(h, message_id, now_us, body);
	add_text(h, body);
	for (size_t i = 0; i < h->lease.items_n; i++)
		(void)add_original(h, &h->lease.items[i], body);
	buf_append(body, SPAN_LIT("--" BOUNDARY "--\r\n"));
	encode_meta(h, id, message_id, header_bytes, buf_span(body), meta);
}
