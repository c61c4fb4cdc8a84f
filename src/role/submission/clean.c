/*
 * The header section of a submitted message, and what is made of it (RFC 6409 s8). The body is stored as it came: fields
 * that are missing (Date, Message-ID) stand in the trace before it, and Bcc fields become cuts, so that the author's own
 * copy has them and nobody else's. Received names no address and no machine of the author: it is the account's affair.
 *
 * From (or, of a message sent on, the first Resent-From) must be an address that the account may send as, and so must
 * Sender (Resent-Sender): else 550 5.7.1. A message sent on whose From is somebody else's is not signed (is_sent_on): DKIM
 * would vouch for them. What is no field and not the end of the header makes the message refused: programs do not agree
 * on where the header of such a one ends, and what they would read was looked at by nobody.
 */
#include <stdio.h>

#include "base/must.h"
#include "mail/received.h"
#include "role/submission/internal.h"

void submission_begin(struct edge_session *s)
{
	struct submitter *w = submitter_of(s);

	buf_clear(&w->header);
	w->is_too_long = false;
	w->lacks_date = w->lacks_id = w->is_sent_on = false;
	w->cuts_n = 0;
	w->made_id[0] = '\0';
	w->has_8bit = false;
}

static bool is_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 127)
			return true;
	return false;
}

void submission_piece(struct edge_session *s, struct span piece)
{
	struct submitter *w = submitter_of(s);
	const struct header_walk *h = intake_header(s->intake);
	uint64_t room = UINT64_MAX;

	if (w->inner && !w->has_8bit)
		w->has_8bit = is_8bit(piece);
	if (h->is_done)
		room = h->header_bytes > w->header.n ? h->header_bytes - w->header.n : 0;
	if (room < piece.n)
		piece.n = (size_t)room;
	if (w->header.cap == 0)
		buf_init(&w->header, SUBMISSION_HEADER_BYTES);
	if (!w->is_too_long && !buf_append(&w->header, piece))
		w->is_too_long = true;
}

/* ---- what stands in it ---- */

struct found {
	struct edge_session *session;
	struct submitter *who;
	unsigned from_n;
	bool has_date, has_id, has_resent, is_foreign, has_too_many_cuts, is_malformed;
};

static void cut_out(struct found *found, uint64_t offset, size_t bytes)
{
	struct submitter *w = found->who;

	if (w->cuts_n == SUBMISSION_CUTS_LIMIT)
		found->has_too_many_cuts = true;
	else
		w->cuts[w->cuts_n++] = (struct msg_cut){.offset = offset, .bytes = bytes};
}

static void on_field(struct found *found, struct span name, struct span value, bool is_sent_on)
{
	bool is_first = found->from_n == 0;

	if (is_sent_on && span_eq_nocase(name, SPAN_LIT("From")) &&
	    !submission_authors_are_own(found->who, value))
		found->who->is_sent_on = true;

	if (span_eq_nocase(name, SPAN_LIT("Date")))
		found->has_date = true;
	else if (span_eq_nocase(name, SPAN_LIT("Message-ID")))
		found->has_id = true;
	else if (span_eq_nocase(name, is_sent_on ? SPAN_LIT("Resent-From") : SPAN_LIT("From"))) {
		found->from_n++;
		if (!is_sent_on || is_first)
			found->is_foreign =
				found->is_foreign || !submission_authors_are_own(found->who, value);
	} else if (span_eq_nocase(name,
				  is_sent_on ? SPAN_LIT("Resent-Sender") : SPAN_LIT("Sender"))) {
		found->is_foreign =
			found->is_foreign || !submission_authors_are_own(found->who, value);
	}
}

static bool is_sent_on(struct span header)
{
	struct span name, value, whole;

	while (header_next(&header, &name, &value, &whole)) {
		if (span_eq_nocase(name, SPAN_LIT("Resent-From")))
			return true;
	}
	return false;
}

static void look(struct found *found)
{
	struct submitter *w = found->who;
	struct span rest = buf_span(&w->header), name, value, whole;
	bool resent = is_sent_on(rest);

	found->has_resent = resent;
	while (header_next(&rest, &name, &value, &whole)) {
		if (span_eq_nocase(name, SPAN_LIT("Bcc")) ||
		    span_eq_nocase(name, SPAN_LIT("Resent-Bcc")))
			cut_out(found, (uint64_t)(whole.p - w->header.p), whole.n);
		else
			on_field(found, name, value, resent);
	}
	found->is_malformed = rest.n && !span_eq(rest, SPAN_LIT("\r\n"));
	w->lacks_date = !found->has_date;
	w->lacks_id = !found->has_id;
}

static bool refuse(struct edge_session *s, unsigned code, const char *enhanced, const char *text)
{
	edge_count(METRIC_MESSAGES_REFUSED, 1);
	edge_message_drop(s);
	edge_answer(s, code, enhanced, text, 0);
	return false;
}

/* With an empty line, or with the message. */
static bool ends_well(const struct edge_session *s)
{
	struct span header = buf_span(&submitter_of((struct edge_session *)s)->header);

	return intake_bytes(s->intake) <= header.n ||
	       span_ends_nocase(header, SPAN_LIT("\r\n\r\n")) || span_eq(header, SPAN_LIT("\r\n"));
}

bool submission_accepts(struct edge_session *s)
{
	struct submitter *w = submitter_of(s);
	struct found found = {.session = s, .who = w};

	if (w->is_too_long)
		return refuse(s, 552, "5.3.4", "The header of the message is too long");
	look(&found);
	if (found.is_malformed || !ends_well(s))
		return refuse(s, 554, "5.6.0", "The header has a line that is no field");
	if (found.from_n == 0)
		return refuse(s, 554, "5.6.0", "The message has no From field");
	if (found.from_n > 1 && !found.has_resent)
		return refuse(s, 554, "5.6.0", "The message has more than one From field");
	if (found.is_foreign)
		return refuse(s, 550, "5.7.1",
			      "From or Sender names an address that is not one of your account's");
	if (found.has_too_many_cuts)
		return refuse(s, 554, "5.6.0", "The message has too many Bcc fields");
	return true;
}

/* ---- what is added ---- */

/* RFC 3848: with the login. */
static const char *protocol_of(const struct edge_session *s)
{
	bool is_utf8 = smtp_server_envelope(s->smtp)->smtputf8;

	if (s->is_inner)
		return "HTTP";
	if (conn_is_tls(s->conn))
		return is_utf8 ? "UTF8SMTPSA" : "ESMTPSA";
	return is_utf8 ? "UTF8SMTPA" : "ESMTPA";
}

void submission_trace(struct edge_session *s, struct buf *out)
{
	struct submitter *w = submitter_of(s);

	received_write(out, &(struct received_facts){
				    .node = s->policy->node,
				    .id = span_str(s->id),
				    .protocol = span_str(protocol_of(s)),
				    .tls = span_str(conn_tls_text(s->conn)),
				    .at_us = s->received_us,
			    });
	if (w->lacks_date) {
		buf_append(out, SPAN_LIT("Date: "));
		received_date(out, s->received_us);
		buf_append(out, SPAN_LIT("\r\n"));
	}
	if (w->lacks_id) {
		(void)snprintf(w->made_id, sizeof w->made_id, "<%s@%.*s>", s->id,
			       SPAN_FMT(s->policy->node));
		buf_printf(out, "Message-ID: %s\r\n", w->made_id);
	}
}

void submission_meta(struct edge_session *s, struct msg_message_meta *m)
{
	struct submitter *w = submitter_of(s);

	m->origin = 1;
	m->account = span_str(w->account);
	m->sender_verified = true;
	m->cuts = w->cuts;
	m->cuts_n = w->cuts_n;
	m->is_sent_on = w->is_sent_on;
	m->protocol = span_str(protocol_of(s));
	if (w->lacks_id) {
		m->message_id = span_str(w->made_id);
		header_refs(intake_header(s->intake), m->message_id, &w->refs);
		m->refs = w->refs.ids;
		m->refs_n = w->refs.n;
	}
	if (!w->inner)
		return;
	m->body_kind = w->has_8bit; /* nobody declared it */
	m->sent_copy = SPAN_LIT("none");
	m->email = w->email;
	m->email_form = w->email_form;
	m->identity = w->identity;
}
