/* MAIL and RCPT (RFC 5321 s4.1.1.2, s4.1.1.3). */
#include "smtp/server_internal.h"

static bool has_wide(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 128)
			return true;
	}
	return false;
}

/* Takes "FROM:" or "TO:" and the blanks many senders put behind it. */
static bool take_keyword(struct span *args, struct span keyword)
{
	if (!span_starts_nocase(*args, keyword))
		return false;
	*args = span_from(*args, keyword.n);
	while (args->n && args->p[0] == ' ')
		*args = span_from(*args, 1);
	return true;
}

static void refuse_sender(struct smtp_server *s, enum address_fault fault)
{
	switch (fault) {
	case ADDRESS_FINE:
		return;
	case ADDRESS_SYNTAX:
		server_reply(
			s, 501, "5.1.7",
			"The sender's address is not written as RFC 5321 says: FROM:<user@domain>");
		return;
	case ADDRESS_ROUTED:
		server_reply(s, 553, "5.1.7",
			     "Source routes are not accepted in the sender's address");
		return;
	case ADDRESS_NO_DOMAIN:
		server_reply(s, 553, "5.1.7", "The sender's address has no domain");
		return;
	case ADDRESS_BAD_DOMAIN:
		server_reply(s, 553, "5.1.8", "The domain of the sender's address is not valid");
		return;
	case ADDRESS_TOO_LONG:
		server_reply(s, 501, "5.1.7",
			     "The sender's address is longer than RFC 5321 allows");
		return;
	case ADDRESS_NOT_ASCII:
		server_reply(s, 553, "5.6.7", "The sender's address is not valid UTF-8");
		return;
	}
}

/* Refusals of S-15 read alike, whatever the form: what we do not take mail for we do not relay to.
 * */
static void refuse_rcpt(struct smtp_server *s, enum address_fault fault)
{
	s->rcpts_tried++;
	switch (fault) {
	case ADDRESS_FINE:
		return;
	case ADDRESS_SYNTAX:
		server_reply(s, 501, "5.1.3",
			     "The recipient's address is not written as RFC 5321 says: "
			     "TO:<user@domain>");
		return;
	case ADDRESS_ROUTED:
		server_reply(s, 550, "5.7.1", "Routes in the recipient's address are not relayed");
		return;
	case ADDRESS_NO_DOMAIN:
		server_reply(s, 550, "5.7.1", "The recipient's address has no domain: not relayed");
		return;
	case ADDRESS_BAD_DOMAIN:
		server_reply(s, 550, "5.7.1",
			     "The domain of the recipient's address is not valid: not relayed");
		return;
	case ADDRESS_TOO_LONG:
		server_reply(s, 501, "5.1.3",
			     "The recipient's address is longer than RFC 5321 allows");
		return;
	case ADDRESS_NOT_ASCII:
		server_reply(s, 553, "5.6.7", "The recipient's address is not valid UTF-8");
		return;
	}
}

static bool mail_params_fit(struct smtp_server *s, const struct smtp_params *p, bool is_wide)
{
	if (is_wide && !p->has_smtputf8) {
		server_reply(s, 553, "5.6.7",
			     "An address that is not ASCII needs the parameter SMTPUTF8");
		return false;
	}
	if (s->service->limits.message_bytes && p->size > s->service->limits.message_bytes) {
		server_reply(s, 552, "5.3.4",
			     "The message is larger than is taken here; EHLO shows the limit");
		return false;
	}
	return true;
}

void server_on_mail(struct smtp_server *s, struct span args)
{
	struct address sender;
	struct smtp_params p;
	struct smtp_envelope *e = &s->envelope;
	enum address_fault fault;
	struct span path;

	if (s->service->needs_auth && !s->is_authenticated) {
		server_reply(s, 530, "5.7.0",
			     s->is_tls || s->service->auth_in_clear
				     ? "Log in first: AUTH"
				     : "Issue STARTTLS first, then log in");
		return;
	}
	if (!take_keyword(&args, SPAN_LIT("FROM:"))) {
		server_reply(s, 501, "5.5.4", "Write MAIL FROM:<address>");
		return;
	}
	path = args;
	fault = address_parse_path(&args, true, &sender);
	if (fault != ADDRESS_FINE) {
		refuse_sender(s, fault);
		return;
	}
	if (!server_mail_params(s, args, &p) ||
	    !mail_params_fit(s, &p, has_wide(span_first(path, path.n - args.n))))
		return;
	*e = (struct smtp_envelope){
		.sender = arena_span(&s->arena, address_span(&sender)),
		.envid = arena_span(&s->arena, p.envid),
		.size_declared = p.size,
		.body = p.body,
		.ret = p.ret,
		.smtputf8 = p.has_smtputf8,
	};
	server_ask(s, SMTP_MAIL);
}

/* "<postmaster>" alone belongs to our first domain (RFC 5321 s4.5.1). */
static enum address_fault parse_rcpt(struct smtp_server *s, struct span *args, struct address *out)
{
	char text[ADDRESS_TEXT_BYTES];
	struct span name = SPAN_LIT("<postmaster>"), domain = s->service->postmaster_domain;

	if (!span_starts_nocase(*args, name) || domain.n == 0 || domain.n > ADDRESS_DOMAIN_LIMIT)
		return address_parse_path(args, true, out);
	*args = span_from(*args, name.n);
	memcpy(text, "postmaster@", 11);
	memcpy(text + 11, domain.p, domain.n);
	return address_parse(span_of(text, 11 + domain.n), true, out);
}

static bool is_named_already(const struct smtp_server *s, struct span address)
{
	for (size_t i = 0; i < s->envelope.rcpts_n; i++) {
		if (span_eq(s->envelope.rcpts[i].address, address))
			return true;
	}
	return false;
}

/* The lengths were checked when they were parsed. */
static struct span copy_to(unsigned char *out, struct span bytes)
{
	if (bytes.n)
		memcpy(out, bytes.p, bytes.n);
	return span_of(out, bytes.n);
}

static void ask_rcpt(struct smtp_server *s, const struct address *rcpt, const struct smtp_params *p)
{
	if (s->envelope.rcpts_n >= s->service->limits.recipients) {
		server_reply(s, 452, "4.5.3",
			     "Too many recipients; send the rest in another transaction");
		return;
	}
	if (is_named_already(s, address_span(rcpt))) {
		server_reply(s, 250, "2.1.5", "Named before; one copy will be kept");
		server_count_idle(s);
		return;
	}
	s->asked_rcpt = (struct smtp_rcpt){
		.address = copy_to(s->asked_address, address_span(rcpt)),
		.orcpt = copy_to(s->asked_orcpt, p->orcpt),
		.notify = p->notify,
	};
	server_ask(s, SMTP_RCPT);
}

void server_on_rcpt(struct smtp_server *s, struct span args)
{
	struct address rcpt;
	struct smtp_params p;
	enum address_fault fault;
	struct span path;

	if (!take_keyword(&args, SPAN_LIT("TO:"))) {
		server_reply(s, 501, "5.5.4", "Write RCPT TO:<address>");
		return;
	}
	path = args;
	fault = parse_rcpt(s, &args, &rcpt);
	if (fault == ADDRESS_FINE && rcpt.n == 0)
		fault = ADDRESS_SYNTAX;
	if (fault == ADDRESS_FINE && address_is_routed(&rcpt))
		fault = ADDRESS_ROUTED;
	if (fault != ADDRESS_FINE) {
		refuse_rcpt(s, fault);
		return;
	}
	if (has_wide(span_first(path, path.n - args.n)) && !s->envelope.smtputf8) {
		s->rcpts_tried++;
		server_reply(s, 553, "5.6.7",
			     "An address that is not ASCII needs SMTPUTF8 at MAIL");
		return;
	}
	if (server_rcpt_params(s, args, s->envelope.smtputf8, &p))
		ask_rcpt(s, &rcpt, &p);
}

bool server_keep_rcpt(struct smtp_server *s, uint64_t tag)
{
	struct smtp_envelope *e = &s->envelope;
	struct smtp_rcpt rcpt = s->asked_rcpt;

	rcpt.address = arena_span(&s->arena, rcpt.address);
	rcpt.orcpt = arena_span(&s->arena, rcpt.orcpt);
	rcpt.tag = tag;
	if (!rcpt.address.p || !rcpt.orcpt.p)
		return false;
	if (e->rcpts_n == s->rcpts_cap) {
		size_t cap = s->rcpts_cap ? 2 * s->rcpts_cap : 4;
		struct smtp_rcpt *grown = arena_array(&s->arena, cap, sizeof *grown);

		if (!grown)
			return false;
		if (e->rcpts_n)
			memcpy(grown, e->rcpts, e->rcpts_n * sizeof *grown);
		e->rcpts = grown;
		s->rcpts_cap = cap;
	}
	e->rcpts[e->rcpts_n++] = rcpt;
	return true;
}
