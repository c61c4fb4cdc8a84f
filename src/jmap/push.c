/* What a stream of push tells (RFC 8620 s7, RFC 8621 s1.5). */
#include "jmap/internal.h"

static const struct {
	const char *name;
	unsigned type;
} names[] = {{"Mailbox", JMAP_MAILBOX},
	     {"Email", JMAP_EMAIL},
	     {"Thread", JMAP_THREAD},
	     {"EmailDelivery", JMAP_EMAIL_DELIVERY},
	     {"EmailSubmission", JMAP_SUBMISSION},
	     {"Identity", JMAP_IDENTITY}};
enum { NAMES = sizeof names / sizeof *names };

unsigned jmap_push_types(struct span text)
{
	unsigned types = 0;

	while (text.n) {
		struct span name = span_trim(span_cut(&text, ','));

		if (span_eq(name, SPAN_LIT("*")))
			return JMAP_TYPES_ALL;
		for (size_t i = 0; i < NAMES; i++) {
			if (span_eq(name, span_str(names[i].name)))
				types |= names[i].type;
		}
	}
	return types;
}

/* ---- identities ---- */

static void mix(uint64_t *hash, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		*hash = (*hash ^ bytes.p[i]) * 1099511628211u;
	*hash = (*hash ^ 0x100) * 1099511628211u; /* where it ends */
}

static bool on_setting(void *to, struct span name, struct span value)
{
	mix(to, name);
	mix(to, value);
	return true;
}

enum rc jmap_identity_state(const struct jmap_person *person, uint64_t *out, struct fault *why)
{
	uint64_t hash = 14695981039346656037u;
	enum rc rc;

	for (size_t i = 0; i < person->send_as_n; i++)
		mix(&hash, person->send_as[i]);
	rc = person->store.ops->each_setting(person->store.arg, on_setting, &hash, why);
	*out = hash & (uint64_t)JMAP_INT_MOST;
	return rc;
}

/* ---- ids of events ---- */

void jmap_push_id(const struct jmap_push *p, char out[JMAP_PUSH_ID_BYTES])
{
	(void)snprintf(out, JMAP_PUSH_ID_BYTES, "%llu.%llu.%llu.%llu",
		       (unsigned long long)p->modseq, (unsigned long long)p->submissions,
		       (unsigned long long)p->delivered, (unsigned long long)p->identity);
}

bool jmap_push_from(struct jmap_push *p, struct span id)
{
	struct jmap_push was = {.types = p->types, .is_begun = true};
	uint64_t *const to[] = {&was.modseq, &was.submissions, &was.delivered, &was.identity};

	for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
		if (!jmap_state_of(span_cut(&id, '.'), to[i]))
			return false;
	}
	if (id.n)
		return false;
	*p = was;
	return true;
}

/* ---- changes ---- */

static bool on_change(void *to, const struct mail_change *c)
{
	bool *any = to;

	*any |= c->kind == MAIL_MADE;
	return !*any;
}

/* Did a message come since then? When it cannot be told: perhaps. */
static enum rc was_delivered(const struct jmap_person *person, uint64_t since, bool *out,
			     struct fault *why)
{
	enum rc rc;

	*out = false;
	rc = person->store.ops->changed_emails(person->store.arg, since, on_change, out, why);
	if (rc != LATER)
		return rc;
	*out = true;
	return OK;
}

static enum rc look(const struct jmap_push *was, const struct jmap_person *person,
		    struct jmap_push *now, struct fault *why)
{
	struct mail_state state;
	bool is_delivered = true;
	enum rc rc = person->store.ops->state(person->store.arg, &state, why);

	if (rc != OK)
		return rc;
	now->modseq = state.modseq;
	now->submissions = state.submissions;
	if (was->is_begun && state.modseq == was->modseq)
		is_delivered = false;
	else if (was->is_begun && (was->types & JMAP_EMAIL_DELIVERY))
		rc = was_delivered(person, was->modseq, &is_delivered, why);
	if (rc == OK && is_delivered)
		now->delivered = state.modseq;
	if (rc == OK && (was->types & JMAP_IDENTITY))
		rc = jmap_identity_state(person, &now->identity, why);
	return rc;
}

static uint64_t state_of(const struct jmap_push *p, unsigned type)
{
	switch (type) {
	case JMAP_EMAIL_DELIVERY:
		return p->delivered;
	case JMAP_SUBMISSION:
		return p->submissions;
	case JMAP_IDENTITY:
		return p->identity;
	default: /* of a bit set */
		return p->modseq;
	}
}

enum rc jmap_push_next(struct jmap_push *p, const struct jmap_person *person, struct buf *out,
		       struct fault *why)
{
	struct jmap_push now = *p;
	json_t *types, *changed, *o;
	enum rc rc = look(p, person, &now, why);
	char account[24];

	if (rc != OK)
		return rc;
	types = json_object();
	for (size_t i = 0; i < NAMES; i++) {
		uint64_t state = state_of(&now, names[i].type);

		if ((p->types & names[i].type) &&
		    (!p->is_begun || state != state_of(p, names[i].type)))
			(void)json_object_set_new(types, names[i].name, jmap_state_id(state));
	}
	now.is_begun = true;
	*p = now;
	if (json_object_size(types)) {
		(void)snprintf(account, sizeof account, "A%llu",
			       (unsigned long long)person->account);
		changed = json_object();
		(void)json_object_set(changed, account, types);
		o = json_object();
		(void)json_object_set_new(o, "@type", json_string("StateChange"));
		(void)json_object_set_new(o, "changed", changed);
		jmap_print(o, out);
		json_decref(o);
	}
	json_decref(types);
	return OK;
}
