/*
 * Who may send as whom, and to whom. Without a login nothing is taken (the engine says 530). An account sends as its own
 * addresses alone (553 5.7.1). Recipients of our domains are refused only when they are known to be no one; all others go
 * to the world. Nobody is asked for that (P2): a login is enough.
 */
#include "role/submission/internal.h"

#include "base/must.h"

static bool is_one_of(const struct submitter *w, const struct address *a)
{
	char key[ADDRESS_TEXT_BYTES], own[ADDRESS_TEXT_BYTES];
	struct span text = span_of(key, address_key(a, key));

	for (size_t i = 0; i < w->send_as_n; i++) {
		struct span it = w->send_as[i];
		size_t n;

		if (it.n > 1 && it.p[0] == '@') {
			if (span_eq_nocase(address_domain(a), span_from(it, 1)))
				return true;
			continue;
		}
		n = address_key_of(it, own);
		if (n && span_eq(text, span_of(own, n)))
			return true;
	}
	return false;
}

bool submission_may_send_as(const struct submitter *w, const struct address *a)
{
	struct address base;

	return is_one_of(w, a) || (address_without_detail(a, &base) && is_one_of(w, &base));
}

void submission_judge_mail(struct edge_session *s)
{
	struct submitter *w = submitter_of(s);
	struct span sender = smtp_server_envelope(s->smtp)->sender;
	struct address a;

	if (!edge_judge_may_begin(s))
		return;
	if (!w->account[0]) { /* its account was changed meanwhile */
		edge_answer(s, 421, "4.7.0", "Your account has changed; log in again", 0);
		return;
	}
	/* The null sender is for answers of programs (RFC 3834 s3.3); who it is from, the header says. */
	if (sender.n &&
	    (address_parse(sender, true, &a) != ADDRESS_FINE || !submission_may_send_as(w, &a))) {
		edge_answer(s, 553, "5.7.1",
			    "You may not send as this address; it is not one of your account's", 0);
		return;
	}
	edge_answer(s, 250, "2.1.0", "Sender ok", 0);
}

static bool has_room(struct edge_session *s, const struct submitter *w)
{
	const struct submission *own = s->edge->own;

	return submission_rate_has_room(own->rates, w->account,
					smtp_server_envelope(s->smtp)->rcpts_n + 1, own->per_hour,
					loop_now_us(s->edge->loop));
}

void submission_judge_rcpt(struct edge_session *s)
{
	const struct smtp_rcpt *asked = smtp_server_asked(s->smtp);
	const struct edge_domain *d;
	enum publish_recipient known;
	struct address a;

	must(address_parse(asked->address, true, &a) == ADDRESS_FINE);
	if (a.is_literal) {
		edge_judge_refuse(s, 550, "5.1.2",
				  "Mail is not sent to addresses of machines; name a domain");
		return;
	}
	if (!has_room(s, submitter_of(s))) {
		edge_judge_refuse(s, 450, "4.7.1",
				  "Your account has sent to as many recipients as it may within an "
				  "hour; try again later");
		return;
	}
	d = edge_policy_domain(s->policy, address_domain(&a));
	if (!d) {
		edge_judge_accept(s, s->policy->domains + s->policy->domains_n, address_domain(&a),
				  RECIPIENT_UNKNOWN);
		return;
	}
	if (!edge_judge_site_takes(s, d))
		return;
	known = edge_judge_known(s, d, &a);
	if (known == RECIPIENT_BAD && !edge_judge_is_role_address(&a))
		edge_judge_refuse(s, 550, "5.1.1", "No such recipient here");
	else
		edge_judge_accept(s, d, d->name, known);
}
