/*
 * The refusal table of design section 6, row by row, in the order in which a row may win. Rows are read from the top; the
 * first that fits decides. What the table does not say is answered the way that keeps the mail.
 */
#include "queue/verdict.h"

#include "base/must.h"

enum { REFUSALS_BEFORE_DECISION = 3, VALVE_LEAST_ATTEMPTS = 20, VALVE_PER_CENT = 5 };

/* Up: the site is trusted to mean what it says, except about recipients that are known to exist. */
static enum disposition refused_for_good(const struct verdict_in *in)
{
	if (in->known == KNOWN_GOOD)
		return in->refusals_24h >= REFUSALS_BEFORE_DECISION || in->lifetime_over
			       ? DISPOSE_DECIDE
			       : DISPOSE_RETRY;
	/* No backscatter: only a sender that was verified at reception is told; else an operator looks (S-17). */
	return in->sender_verified && !in->wants_no_dsn ? DISPOSE_DSN : DISPOSE_DECIDE;
}

static enum disposition refused(const struct verdict_in *in)
{
	switch (in->phase) {
	case PHASE_DOWN:
		return DISPOSE_HOLD;
	case PHASE_PROBATION:
		return DISPOSE_RETRY; /* half restored: nothing it refuses counts yet */
	case PHASE_UP:
		break;
	}
	if (in->attempt == ATTEMPT_5XX)
		return refused_for_good(in);
	return in->lifetime_over ? DISPOSE_DECIDE : DISPOSE_RETRY;
}

/* RFC 5321 s4.2.1, s4.5.4.1: what it says for good is final, and so is the end of the lifetime. */
static enum disposition refused_by_world(const struct verdict_in *in)
{
	if (in->attempt != ATTEMPT_5XX && !in->lifetime_over)
		return DISPOSE_RETRY;
	return in->sender_verified && !in->wants_no_dsn ? DISPOSE_DSN : DISPOSE_DECIDE;
}

enum disposition verdict(const struct verdict_in *in)
{
	switch (in->attempt) {
	case ATTEMPT_ACCEPTED:
		return DISPOSE_DELIVERED;
	case ATTEMPT_LOST: /* P4: once more, byte-identical; a second time an operator must look */
		return in->unsure_before ? DISPOSE_DECIDE : DISPOSE_UNSURE;
	case ATTEMPT_UNREACHED:
		if (in->is_world)
			return refused_by_world(in);
		return DISPOSE_HOLD; /* says nothing about the message, however old it is */
	case ATTEMPT_4XX:
	case ATTEMPT_5XX:
		return in->is_world ? refused_by_world(in) : refused(in);
	}
	must_never("an attempt of no kind");
	return DISPOSE_HOLD;
}

const char *disposition_name(enum disposition d)
{
	switch (d) {
	case DISPOSE_DELIVERED:
		return "delivered";
	case DISPOSE_HOLD:
		return "hold";
	case DISPOSE_RETRY:
		return "retry";
	case DISPOSE_DECIDE:
		return "decide";
	case DISPOSE_DSN:
		return "dsn";
	case DISPOSE_UNSURE:
		return "unsure";
	}
	return "?";
}

bool verdict_valve_closes(unsigned attempts, unsigned known_good_5xx)
{
	return attempts >= VALVE_LEAST_ATTEMPTS &&
	       (uint64_t)known_good_5xx * 100 > (uint64_t)attempts * VALVE_PER_CENT;
}
