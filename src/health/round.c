/* One probing of all primaries of a site, folded into one result, and what its failure is worth. */
#include "health/internal.h"

#include "base/must.h"

void health_text(char *out, size_t n, struct span s)
{
	size_t k = s.n < n - 1 ? s.n : n - 1;

	for (size_t i = 0; i < k; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\t')
			out[i] = ' ';
		else
			out[i] = s.p[i] >= 32 && s.p[i] < 127 ? (char)s.p[i] : '?';
	}
	out[k] = 0;
}

void health_round_begin(struct health_round *r, unsigned primaries)
{
	must(primaries >= 1 && primaries <= HEALTH_PRIMARIES_MAX);
	*r = (struct health_round){.asked = primaries};
}

bool health_round_add(struct health_round *r, const struct health_probe *one,
		      struct health_probe *out)
{
	bool good = one->answer == ANSWER_OK;

	must(r->answered < r->asked);
	r->answered++;
	if (r->is_over)
		return false;
	if (good || one->layer > r->layer || r->answered == 1) {
		r->layer = good ? LAYER_NONE : one->layer;
		r->answer = one->answer;
		r->code = one->code;
		health_text(r->detail, sizeof r->detail, one->detail);
	}
	if (!good && r->answered < r->asked)
		return false;
	r->is_over = true;
	*out = (struct health_probe){
		.layer = r->layer,
		.answer = r->answer,
		.code = r->code,
		.detail = span_str(r->detail),
	};
	return true;
}

/*
 * A refused connection is as plain as it gets. DNS may be our own resolver. A 4xx to RCPT may be
 * greylisting and a 5xx there a probe recipient that does not exist: less sure, but held all the
 * same, because mail is safe here and a primary that refuses its postmaster may refuse everybody
 * (N-05).
 */
uint8_t health_confidence(const struct health_probe *p)
{
	switch (p->layer) {
	case LAYER_NONE:
		return 90;
	case LAYER_DNS:
		return 60;
	case LAYER_TCP:
		return p->answer == ANSWER_REFUSED ? 95 : 90;
	case LAYER_TLS:
	case LAYER_MAIL:
		return 80;
	case LAYER_GREETING:
	case LAYER_EHLO:
		return 90;
	case LAYER_RCPT:
		return p->answer == ANSWER_4XX ? 60 : 70;
	case LAYER_CANARY:
	case LAYER_IMAP:
	case LAYER_SUBMISSION:
	case LAYER_DELIVERY:
		return 80;
	case LAYER_OPERATOR:
		break;
	}
	return 100;
}
