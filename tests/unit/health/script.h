/*
 * Scripts for the health machine: words in a row, run on virtual time. Used by the unit rows and by tests/sim.
 *
 *   good bad silent dns tls greet4 rcpt4 rcpt5     a probe of that result
 *   conn                        a delivery that could not connect
 *   acc:N ref:N unk:N 4xx:N     recipients accepted, refused (known good), refused (unknown), put off
 *   ctl:1 ctl:0                 neutral controls answer, fail
 *   late:N                      refused (known good), granted before all else
 *   waits:N                     the clerk: so many wait
 *   on:S off:S auto             an operator's hold, for S seconds   resume: an operator lets a drain go on
 *   +Ns                         N seconds pass (one tick at the end)   +Nms
 *   =STATE ~STATE               the effective state must be; what is seen must be
 *   !VERB                       the last step must have made a record of this verb ("none": none at all)
 *   class:NAME now calm         class of the last record; the last step asked (did not ask) for a probe at once
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "health/health.h"

struct play {
	struct health h;
	struct health_actions did; /* of the last step */
	uint64_t now;
	unsigned records, states;
	char why[600]; /* "" or what was not as expected */
};

static const struct {
	const char *word;
	struct health_probe probe;
} play_probes[] = {
	{"good", {LAYER_NONE, ANSWER_OK, 250, {0}, 0}},
	{"old", {LAYER_NONE, ANSWER_OK, 250, {0}, 1}}, /* good, begun before all else */
	{"bad", {LAYER_TCP, ANSWER_REFUSED, 0, {0}, 0}},
	{"silent", {LAYER_TCP, ANSWER_SILENT, 0, {0}, 0}},
	{"hang", {LAYER_GREETING, ANSWER_SILENT, 0, {0}, 0}},
	{"greet4", {LAYER_GREETING, ANSWER_4XX, 421, {0}, 0}},
	{"dns", {LAYER_DNS, ANSWER_SILENT, 0, {0}, 0}},
	{"tls", {LAYER_TLS, ANSWER_GARBLED, 0, {0}, 0}},
	{"rcpt4", {LAYER_RCPT, ANSWER_4XX, 450, {0}, 0}},
	{"rcpt5", {LAYER_RCPT, ANSWER_5XX, 550, {0}, 0}},
};

static inline void play_init(struct play *p, uint32_t every_ms, unsigned fail, unsigned recover,
			     enum health_hold configured)
{
	struct health_limits l;

	*p = (struct play){.now = 77 * 1000000ull};
	health_limits_default(&l, every_ms, fail, recover, configured);
	health_init(&p->h, &l, p->now);
}

static inline void play_see(struct play *p, const struct health_observation *o)
{
	health_step(&p->h, o, p->now, &p->did);
	p->records += (unsigned)p->did.records_n;
	for (size_t i = 0; i < p->did.records_n; i++)
		p->states += p->did.records[i].verb == HEALTH_SITE_STATE;
}

static inline void play_wait(struct play *p, uint64_t us)
{
	p->now += us;
	play_see(p, &(struct health_observation){.sight = SIGHT_TICK});
}

static inline bool play_is_word(struct span w, const char *text)
{
	return span_eq(w, span_str(text));
}

static inline bool play_has_verb(const struct play *p, struct span verb)
{
	if (play_is_word(verb, "none"))
		return p->did.records_n == 0;
	for (size_t i = 0; i < p->did.records_n; i++) {
		if (span_eq(verb, span_str(health_verb_name(p->did.records[i].verb))))
			return true;
	}
	return false;
}

static inline bool play_event(struct play *p, struct span name, unsigned n)
{
	struct health_observation o = {.sight = SIGHT_DELIVERY};

	o.delivery.detail = SPAN_LIT("a delivery");
	for (size_t i = 0; i < sizeof play_probes / sizeof *play_probes; i++) {
		if (play_is_word(name, play_probes[i].word)) {
			o.sight = SIGHT_PROBE;
			o.probe = play_probes[i].probe;
			o.probe.detail = name;
		}
	}
	if (o.sight == SIGHT_PROBE)
		;
	else if (play_is_word(name, "conn"))
		o.delivery.attempt = ATTEMPT_UNREACHED, o.delivery.at_connection = true;
	else if (play_is_word(name, "acc"))
		o.delivery.attempt = ATTEMPT_ACCEPTED, o.delivery.accepted = n;
	else if (play_is_word(name, "ref"))
		o.delivery.attempt = ATTEMPT_5XX, o.delivery.refused_good = n;
	else if (play_is_word(name, "late"))
		o.delivery.attempt = ATTEMPT_5XX, o.delivery.refused_good = n,
		o.delivery.granted_us = 1;
	else if (play_is_word(name, "unk"))
		o.delivery.attempt = ATTEMPT_5XX, o.delivery.refused_unknown = n;
	else if (play_is_word(name, "4xx"))
		o.delivery.attempt = ATTEMPT_4XX, o.delivery.deferred = n;
	else if (play_is_word(name, "waits"))
		o.sight = SIGHT_QUEUE, o.waiting = n;
	else if (play_is_word(name, "resume"))
		o.sight = SIGHT_RESUME, o.hold.who = SPAN_LIT("operator test");
	else if (play_is_word(name, "ctl"))
		o.sight = SIGHT_CONTROLS, o.controls.asked = 2, o.controls.good = n;
	else if (health_hold_parse(name, &o.hold.mode))
		o.sight = SIGHT_HOLD, o.hold.for_us = n * 1000000ull,
		o.hold.who = SPAN_LIT("operator test"), o.hold.why = SPAN_LIT("because");
	else
		return false;
	play_see(p, &o);
	return true;
}

static inline bool play_word(struct play *p, struct span word)
{
	struct span rest = span_from(word, 1), name = word, number;
	unsigned n = 1;

	switch (word.p[0]) {
	case '+': {
		unsigned long t = strtoul((const char *)rest.p, NULL, 10);

		play_wait(p, t * (span_ends_nocase(word, SPAN_LIT("ms")) ? 1000ull : 1000000ull));
		return true;
	}
	case '=':
		return play_is_word(rest, health_state_name(p->h.effective));
	case '~':
		return play_is_word(rest, health_state_name(p->h.state));
	case '!':
		return play_has_verb(p, rest);
	default:
		break;
	}
	if (play_is_word(word, "now") || play_is_word(word, "calm"))
		return p->did.probe_now == play_is_word(word, "now");
	number = word;
	name = span_cut(&number, ':');
	if (play_is_word(name, "class"))
		return span_eq(number, span_str(health_layer_name(p->h.layer)));
	if (number.n)
		n = (unsigned)strtoul((const char *)number.p, NULL, 10);
	return play_event(p, name, n);
}

/* False: p->why says at which word. */
static inline bool play(struct play *p, const char *script)
{
	struct span rest = span_str(script), word;

	while (rest.n) {
		word = span_cut(&rest, ' ');
		if (word.n == 0 || play_word(p, word))
			continue;
		snprintf(p->why, sizeof p->why,
			 "at \"%.*s\" (before: \"%.*s\"): state %s seen %s, \"%s\"", SPAN_FMT(word),
			 (int)(word.p - (const unsigned char *)script), script,
			 health_state_name(p->h.effective), health_state_name(p->h.state),
			 p->h.evidence);
		return false;
	}
	return true;
}
