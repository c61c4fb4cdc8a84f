/*
 * Who may write what (K5): each role has lanes of its own, and the kernel lets nobody write another's. So a role that is
 * broken into can say only what its role says anyway: an edge no acts and no accounts, a desk nothing about sites and the
 * queue, auth nothing about domains. For which account a desk speaks cannot be checked here: it has seen their login, we
 * have not. Lanes with a name of no role are none of this program's running parts (tests, tools) and are believed.
 */
#include "ipc/msg.h"
#include "role/clerk/internal.h"

enum { ORIGIN_WORLD, ORIGIN_SUBMISSION, ORIGIN_PUT, ORIGIN_OWN, ORIGIN_COPY, ORIGINS };
enum { VERBS = 5 };

#define BIT(n) (1u << (n))
/* All others are of the ledger itself, and change nothing in the views. */
#define JUDGED                                                                                     \
	(BIT(RECORD_MESSAGE) | BIT(RECORD_ACT) | BIT(RECORD_DIRECTORY) | BIT(RECORD_INTENT) |      \
	 BIT(RECORD_OUTCOME))

static const struct {
	const char *role;
	unsigned types, origins;  /* bits of enum record_type; of MessageMeta.origin */
	const char *verbs[VERBS]; /* of acts; a "." at the end: all that begin so; "" all others */
	bool writes_people;	  /* DIRECTORY: accounts and aliases; else all other kinds */
} rules[] = {
	{"edge", BIT(RECORD_MESSAGE), BIT(ORIGIN_WORLD) | BIT(ORIGIN_COPY), {0}, false},
	{"submission", BIT(RECORD_MESSAGE), BIT(ORIGIN_SUBMISSION), {0}, false},
	{"desk", BIT(RECORD_MESSAGE) | BIT(RECORD_ACT), BIT(ORIGIN_PUT), {"mail"}, false},
	{"courier",
	 BIT(RECORD_MESSAGE) | BIT(RECORD_ACT) | BIT(RECORD_INTENT) | BIT(RECORD_OUTCOME),
	 BIT(ORIGIN_OWN),
	 {"home"},
	 false},
	{"auth",
	 BIT(RECORD_ACT) | BIT(RECORD_DIRECTORY),
	 0,
	 {"user.", "alias.", "dkim.", "site.password", "smarthost.password"},
	 true},
	{"watch", BIT(RECORD_ACT) | BIT(RECORD_DIRECTORY), 0, {""}, false},
	{"sequencer", 0, 0, {0}, false},
	{"clerk", 0, 0, {0}, false},
	{"scout", 0, 0, {0}, false},
	{"indexer", 0, 0, {0}, false},
};

enum { RULES = sizeof rules / sizeof *rules };

/* "desk-3", "desk-3.2", "watch", "watch.2" */
static size_t rule_of(struct span lane)
{
	struct span rest = span_cut(&lane, '-'), role = span_cut(&rest, '.');
	size_t i = 0;

	while (i < RULES && !span_eq(role, span_str(rules[i].role)))
		i++;
	return i;
}

static bool is_verb_of(size_t rule, struct span verb)
{
	for (size_t i = 0; i < VERBS && rules[rule].verbs[i]; i++) {
		struct span own = span_str(rules[rule].verbs[i]);

		if (own.n == 0)
			return !span_eq(verb, SPAN_LIT("mail")) &&
			       !span_eq(verb, SPAN_LIT("home")) &&
			       !span_starts(verb, SPAN_LIT("user."));
		if (own.p[own.n - 1] == '.' ? span_starts(verb, own) : span_eq(verb, own))
			return true;
	}
	return false;
}

static bool is_people(struct span kind)
{
	return span_eq(kind, SPAN_LIT("account")) || span_eq(kind, SPAN_LIT("alias"));
}

/* What does not decode is refused by the views themselves, with its own words. */
bool lane_may_say(struct arena *a, const char *lane, const struct record *r)
{
	size_t rule = rule_of(span_str(lane));
	struct msg_directory_meta directory;
	struct msg_message_meta message;
	struct msg_act_meta act;

	if (rule == RULES || !(JUDGED & BIT(r->type)))
		return true;
	if (!(rules[rule].types & BIT(r->type)))
		return false;
	if (r->type == RECORD_MESSAGE && msg_message_meta_decode(a, r->meta, &message))
		return message.origin < ORIGINS && (rules[rule].origins & BIT(message.origin));
	if (r->type == RECORD_ACT && msg_act_meta_decode(a, r->meta, &act))
		return is_verb_of(rule, act.verb);
	if (r->type == RECORD_DIRECTORY && msg_directory_meta_decode(a, r->meta, &directory))
		return is_people(directory.kind) == rules[rule].writes_people;
	return true;
}
