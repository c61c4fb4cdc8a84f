/* Names of health's enums in the ledger, in status and in logs. They are formats: only add. */
#include "health/health.h"

#include "base/must.h"

static const char *const state_names[HEALTH_STATES] = {
	[HEALTH_UNKNOWN] = "unknown",	  [HEALTH_UP] = "up",
	[HEALTH_SUSPECT] = "suspect",	  [HEALTH_DOWN] = "down",
	[HEALTH_PROBATION] = "probation", [HEALTH_STOPPED] = "stopped",
};

static const char *const hold_names[] = {"auto", "on", "off"};

const char *health_state_name(enum health_state state)
{
	must((unsigned)state < HEALTH_STATES);
	return state_names[state];
}

bool health_state_parse(struct span name, enum health_state *out)
{
	for (unsigned i = 0; i < HEALTH_STATES; i++) {
		if (span_eq(name, span_str(state_names[i]))) {
			*out = (enum health_state)i;
			return true;
		}
	}
	return false;
}

enum site_phase health_phase(enum health_state state)
{
	switch (state) {
	case HEALTH_UP:
	case HEALTH_SUSPECT:
		return PHASE_UP;
	case HEALTH_PROBATION:
		return PHASE_PROBATION;
	case HEALTH_UNKNOWN:
	case HEALTH_DOWN:
	case HEALTH_STOPPED:
		break;
	}
	return PHASE_DOWN;
}

const char *health_hold_name(enum health_hold hold)
{
	must((unsigned)hold <= HOLD_OFF);
	return hold_names[hold];
}

bool health_hold_parse(struct span name, enum health_hold *out)
{
	for (unsigned i = 0; i <= HOLD_OFF; i++) {
		if (span_eq(name, span_str(hold_names[i]))) {
			*out = (enum health_hold)i;
			return true;
		}
	}
	return false;
}

const char *health_layer_name(enum health_layer layer)
{
	switch (layer) {
	case LAYER_NONE:
		return "";
	case LAYER_DNS:
		return "dns";
	case LAYER_TCP:
		return "tcp";
	case LAYER_TLS:
		return "tls";
	case LAYER_GREETING:
		return "greeting";
	case LAYER_EHLO:
		return "ehlo";
	case LAYER_MAIL:
		return "mail";
	case LAYER_RCPT:
		return "rcpt";
	case LAYER_CANARY:
		return "canary";
	case LAYER_IMAP:
		return "imap";
	case LAYER_SUBMISSION:
		return "submission";
	case LAYER_DELIVERY:
		return "delivery";
	case LAYER_OPERATOR:
		break;
	}
	return "operator";
}

const char *health_verb_name(enum health_verb verb)
{
	switch (verb) {
	case HEALTH_SITE_STATE:
		return "site.state";
	case HEALTH_SITE_SEEN:
		return "site.seen";
	case HEALTH_DRAIN_STOP:
		return "drain.stop";
	case HEALTH_HOLD_END:
		break;
	}
	return "hold.set";
}
