/* Stories about three people by the dice: mail, changes by IMAP and JMAP, accounts that come and go, time that passes. */
#pragma once

#include "people_story.h"

#define LETTER(...) ((struct msg_message_meta){__VA_ARGS__})
#define ACT(...)    ((struct msg_mail_act){__VA_ARGS__})

struct dice {
	uint64_t seed, n;
};

static inline uint64_t roll(struct dice *d, uint64_t below)
{
	return queue_mix(d->seed * 1000003 + d->n++) % below;
}

static inline void random_change(struct story *s, struct dice *d, const char *who, uint64_t record)
{
	static const char *const names[] = {"A",     "A/B",  "A/B/C", "D",
					    "INBOX", "Sent", "d/é",   "A/X"};
	uint64_t special = box_id(record, (unsigned)roll(d, 6)),
		 other = box_id(record, (unsigned)roll(d, 7));
	uint32_t first = 1 + (uint32_t)roll(d, 20), last = first + (uint32_t)roll(d, 10);
	struct msg_mail_act a = {
		.kind = (uint8_t)(1 + roll(d, 9)),
		.box = special,
		.to = other,
		.how = (uint8_t)roll(d, 3),
		.flags = (uint32_t)roll(d, 32),
		.keywords = roll(d, 2) ? SPAN_LIT("k1 k2") : SPAN_NONE,
		.unchanged_since = roll(d, 3) ? UINT64_MAX : roll(d, 60),
		.name = span_str(names[roll(d, 8)]),
		.new_name = span_str(names[roll(d, 8)]),
	};

	story_change(s, who, a, first, last);
}

/* What a JMAP client asks for: Emails that may be there, mailboxes that may be. */
static inline void random_patch(struct story *s, struct dice *d, const char *who, uint64_t record)
{
	uint64_t into[2] = {box_id(record, (unsigned)roll(d, 6)),
			    box_id(record, (unsigned)roll(d, 6))},
		 out_of[2] = {box_id(record, (unsigned)roll(d, 6)),
			      box_id(record, (unsigned)roll(d, 7))},
		 first = s->n > 60 ? s->n - 60 + roll(d, 50) : roll(d, s->n);
	struct msg_email_id ids[6];
	struct msg_mail_act a = {
		.kind = MAIL_ACT_EMAIL,
		.how = roll(d, 4) ? MAIL_HOW_ADD : MAIL_HOW_SET,
		.flags = (uint32_t)roll(d, 32) & ~(uint32_t)MAIL_DELETED,
		.flags_off = (uint32_t)roll(d, 32),
		.keywords = roll(d, 2) ? SPAN_LIT("k2 k3") : SPAN_NONE,
		.keywords_off = roll(d, 2) ? SPAN_LIT("k1") : SPAN_NONE,
		.emails = ids,
		.emails_n = 1 + roll(d, 6),
		.into = into,
		.into_n = roll(d, 3),
		.out_of = out_of,
		.out_of_n = roll(d, 3),
		.is_only = roll(d, 4) == 0,
	};

	for (size_t i = 0; i < a.emails_n; i++)
		ids[i] = (struct msg_email_id){first + i, (uint8_t)roll(d, 2)};
	story_change(s, who, a, 0, 0);
}

static inline void random_setting(struct story *s, struct dice *d, const char *who)
{
	static const char *const names[] = {"a", "b", "c"};

	story_change(s, who,
		     ACT(.kind = MAIL_ACT_SETTING, .name = span_str(names[roll(d, 3)]),
			 .value = roll(d, 3) ? span_str(names[roll(d, 3)]) : SPAN_NONE),
		     0, 0);
}

/* One of few, so that conversations meet; none at times. n: of refs, at least 4. */
static inline struct msg_message_meta random_refs(struct dice *d, struct msg_message_meta m,
						  uint64_t refs[4])
{
	m.refs = refs;
	m.refs_n = roll(d, 5);
	m.subject_hash = roll(d, 2);
	for (size_t i = 0; i < 4; i++)
		refs[i] = 1 + roll(d, 40);
	return m;
}

static inline void random_step(struct story *s, struct dice *d, const uint64_t accounts[3])
{
	uint64_t refs[4];
	static const char *const people[] = {"anna@x.example", "berta@x.example", "carl@x.example"};
	static const char *const ids[] = {"<1>", "<2>", "<3>", "", "<5>"};
	unsigned i = (unsigned)roll(d, 3), k = (unsigned)roll(d, 3);
	const char *who = people[i];

	s->now_us += roll(d, 100) * SECOND * (roll(d, 20) ? 1 : 4000);
	switch (roll(d, 18)) {
	case 14:
	case 15:
	case 16:
		random_patch(s, d, who, accounts[i]);
		return;
	case 17:
		random_setting(s, d, who);
		return;
	case 0:
		story_alias(s, "team@x.example", who, roll(d, 2) ? people[k] : NULL);
		return;
	case 1:
		story_account(s, who, roll(d, 20) ? "active" : roll(d, 2) ? "disabled" : "deleted");
		return;
	case 2:
		story_put(s, who, box_id(accounts[i], (unsigned)roll(d, 6)), (uint32_t)roll(d, 32),
			  ids[roll(d, 5)], roll(d, 500));
		return;
	case 3:
		story_letter(
			s,
			random_refs(d,
				    LETTER(.origin = 1, .account = span_str(who),
					   .sent_copy = roll(d, 3) ? SPAN_NONE : SPAN_LIT("none"),
					   .message_id = span_str(ids[roll(d, 5)])),
				    refs),
			roll(d, 500), people[k], NULL);
		return;
	case 4:
		story_letter(s, LETTER(.origin = 4, .message_id = span_str(ids[roll(d, 5)])),
			     roll(d, 500), people[k], "team@x.example");
		return;
	case 5: {
		uint64_t m = story_letter(s, LETTER(.sender = SPAN_NONE), roll(d, 500), who, NULL);

		story_intent(s, LANE_COURIER, m, m, 0);
		story_outcome(s, LANE_COURIER, m, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
		return;
	}
	case 6:
	case 7:
		story_letter(s,
			     random_refs(d, LETTER(.message_id = span_str(ids[roll(d, 5)])), refs),
			     roll(d, 500), roll(d, 4) ? people[k] : "team+x@x.example", people[i]);
		return;
	default:
		random_change(s, d, who, accounts[i]);
	}
}
