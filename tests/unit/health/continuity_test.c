/*
 * Continuity, one named behaviour a row (N1 to N5 of health/continuity.h). Words of a script: up down stopped probation
 * suspect unknown (the site is that now, and is looked at), waits/empty (the clerk), dead/alive (neutral controls), +Ns
 * (time passes, then a look), on/off:Ns and auto (orders), ask manual (the switch), =off =on =asks (claims), !none (the last look
 * recorded nothing), class:X, lease (the last look ended one), blocked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "health/continuity.h"

#define S     1000000ull
#define AFTER 30

static const struct row {
	const char *name, *script;
} rows[] = {
	{"N1 off at first", "unknown =off !none"},
	{"N1 not before its time", "up down +29s =off !none"},
	{"N1 on after it", "up down +30s =on class:down"},
	{"N1 recorded once", "up down +30s +1s !none"},
	{"N1 looked at again when it is due", "up down due:30"},
	{"N1 stopped counts as an outage", "up stopped +30s =on"},
	{"N1 back in time: never on", "up down +20s up +60s =off"},
	{"N1 a new outage counts anew", "up down +20s up +5s down +20s =off +10s =on"},
	{"N1 probation is no end", "up down +30s probation +600s =on"},
	{"N1 probation is no outage", "up probation +600s =off"},
	{"N1 flapping by way of probation goes on counting",
	 "up down +20s probation +5s down +5s =on"},
	{"N1 up with mail waiting: stays on", "up down +30s waits up +60s =on"},
	{"N1 up and handed back: off", "up down +30s waits up +60s empty look =off class:up"},
	{"N1 suspect is up", "up down +30s empty suspect =off"},
	{"N1 unknown changes nothing", "up down +30s unknown +60s =on"},
	{"N2 ask asks", "ask up down +30s =asks class:down"},
	{"N2 ask: an order answers", "ask up down +30s on:600 =on class:operator"},
	{"N2 ask: no is an answer", "ask up down +30s off:600 =off class:operator"},
	{"N2 ask: over when it is up", "ask up down +30s up =off"},
	{"N2 manual waits for ever", "manual up down +9000s =off !none"},
	{"N2 manual obeys", "manual up on:60 =on"},
	{"N3 off wins over an outage", "up off:600 down +60s =off"},
	{"N3 on wins over up", "up empty on:600 =on +599s =on"},
	{"N3 the lease ends loudly", "up empty on:600 +600s lease =off class:up"},
	{"N3 the lease of off ends in an outage: on", "up off:60 down +60s lease =on"},
	{"N3 auto ends it", "up empty on:600 auto =off !lease"},
	{"N3 order of off while on", "up down +30s =on off:60 =off"},
	{"N4 our own network is down: not by itself", "up dead down +60s =off blocked !none"},
	{"N4 back again: then", "up dead down +60s alive look =on"},
	{"N4 what is on stays on", "up down +30s dead +60s =on"},
	{"N4 an operator may", "up dead on:60 =on"},
	{"N4 does not ask either", "ask up dead down +60s =off blocked"},
	{"the switch is turned to manual meanwhile", "up down +30s manual look =off"},
};

struct rig {
	struct continuity c;
	struct continuity_sight seen;
	struct continuity_actions did;
	uint64_t now;
};

static void look(struct rig *r)
{
	continuity_look(&r->c, &r->seen, r->now, &r->did);
	/* N5 */
	assert_int_equal(r->did.is_changed, r->did.reason[0] != 0);
	assert_int_equal(r->did.is_changed, r->did.class != NULL);
}

static bool observe(struct rig *r, const char *word)
{
	enum health_state state;

	if (!strcmp(word, "waits") || !strcmp(word, "empty"))
		r->seen.nothing_waits = *word == 'e';
	else if (!strcmp(word, "dead") || !strcmp(word, "alive"))
		r->seen.own_network_down = *word == 'd';
	else if (!strcmp(word, "look"))
		look(r);
	else if (health_state_parse(span_str(word), &state)) {
		r->seen.effective = state;
		look(r);
	} else {
		return false;
	}
	return true;
}

static bool order(struct rig *r, const char *word)
{
	enum health_hold hold;
	char name[16] = "";
	unsigned s = 0;

	if (continuity_switch_parse(span_str(word), &r->c.mode) && strcmp(word, "auto") != 0)
		return true;
	(void)sscanf(word, "%15[a-z]:%u", name, &s);
	if (!health_hold_parse(span_str(name), &hold))
		return false;
	continuity_order(&r->c, hold, s * S, r->now);
	look(r);
	return true;
}

static void claim(struct rig *r, const char *word)
{
	if (*word == '=')
		assert_string_equal(continuity_state_name(r->c.state), word + 1);
	else if (!strcmp(word, "!none"))
		assert_false(r->did.is_changed);
	else if (!strcmp(word, "lease") || !strcmp(word, "!lease"))
		assert_int_equal(r->did.is_lease_over, *word == 'l');
	else if (!strcmp(word, "blocked"))
		assert_true(r->c.is_blocked);
	else if (!strncmp(word, "class:", 6))
		assert_string_equal(r->did.class, word + 6);
	else if (!strncmp(word, "due:", 4))
		assert_int_equal(r->did.look_again_at_us - r->now,
				 strtoull(word + 4, NULL, 10) * S);
	else
		fail_msg("no such word: %s", word);
}

static void run(const struct row *row)
{
	struct rig r = {.now = 1000 * S};
	char copy[300], *save = NULL;

	printf("%s\n", row->name);
	continuity_init(&r.c, CONTINUITY_AUTO, AFTER * S);
	(void)snprintf(copy, sizeof copy, "%s", row->script);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (*word == '+') {
			r.now += strtoull(word + 1, NULL, 10) * S;
			look(&r);
		} else if (!observe(&r, word) && !order(&r, word)) {
			claim(&r, word);
		}
	}
}

static void behaviours(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		run(&rows[i]);
}

static void names(void **state)
{
	enum continuity_switch how;
	enum continuity_state what;

	(void)state;
	assert_true(continuity_switch_parse(SPAN_LIT("ask"), &how) && how == CONTINUITY_ASK);
	assert_false(continuity_switch_parse(SPAN_LIT("perhaps"), &how));
	for (int i = 0; i <= CONTINUITY_ASKS; i++) {
		assert_true(continuity_state_parse(
			span_str(continuity_state_name((enum continuity_state)i)), &what));
		assert_int_equal(what, i);
	}
	assert_string_equal(continuity_switch_name(CONTINUITY_MANUAL), "manual");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaviours),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
