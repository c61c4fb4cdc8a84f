/* Records about people for the story of story.h, and what its mailboxes look like afterwards, as text. */
#pragma once

#include "mail/store.h"
#include "story.h"
#include "views/mailbox.h"

enum { LANE_DESK = 55, LANE_AUTH = 66, LANE_SUBMISSION = 77 };

static inline uint64_t story_directory(struct story *s, const char *kind, const char *scope,
				       bool replaces, const char *key, const char *const *values,
				       size_t n)
{
	struct msg_fact facts[8] = {0};
	struct msg_directory_meta m = {.kind = span_str(kind),
				       .scope = span_str(scope),
				       .replaces = replaces,
				       .facts = facts,
				       .facts_n = n,
				       .source = SPAN_LIT("operator")};
	struct buf b = {0};

	must(n <= 8);
	for (size_t i = 0; i < n; i++)
		facts[i] = (struct msg_fact){.key = span_str(key), .value = span_str(values[i])};
	msg_directory_meta_encode(&b, &m);
	return story_add(s, LANE_AUTH, RECORD_DIRECTORY, b, 0);
}

static inline uint64_t story_account(struct story *s, const char *name, const char *state)
{
	return story_directory(s, "account", name, false, "state", &state, 1);
}

static inline uint64_t story_alias(struct story *s, const char *address, const char *a,
				   const char *b)
{
	const char *targets[2] = {a, b};

	return story_directory(s, "alias", address, true, "target", targets,
			       (size_t)(a != NULL) + (b != NULL));
}

/* m: what matters; the rest is filled in. to: up to two recipients. */
static inline uint64_t story_letter(struct story *s, struct msg_message_meta m, uint64_t bytes,
				    const char *to, const char *also)
{
	struct msg_rcpt rcpts[2] = {
		{.address = span_str(to ? to : ""), .site = SPAN_LIT("hq")},
		{.address = span_str(also ? also : ""), .site = SPAN_LIT("hq")}};
	struct buf b = {0};
	char id[33];

	story_id(s->n, id);
	m.id = span_str(id);
	m.rcpts = rcpts;
	m.rcpts_n = (size_t)(to != NULL) + (also != NULL);
	if (!m.sender.n)
		m.sender = SPAN_LIT("far@away.example");
	if (!m.trace.n && m.origin != 2)
		m.trace = SPAN_LIT("Received: from x\r\n"); /* 18 bytes */
	msg_message_meta_encode(&b, &m);
	return story_add(s,
			 m.origin == 1	 ? LANE_SUBMISSION
			 : m.origin == 2 ? LANE_DESK
					 : LANE_EDGE,
			 RECORD_MESSAGE, b, bytes);
}

/* One range: uids of a single act. a.ask is the record's number. */
static inline uint64_t story_change(struct story *s, const char *account, struct msg_mail_act a,
				    uint32_t first, uint32_t last)
{
	struct msg_uid_range range = {first, last};
	struct msg_act_meta m = {.verb = SPAN_LIT("mail"), .actor = SPAN_LIT("test")};
	struct buf detail = {0}, b = {0};
	uint64_t number;

	a.ask = s->n;
	a.account = span_str(account);
	if (first)
		a.uids = &range, a.uids_n = 1;
	msg_mail_act_encode(&detail, &a);
	m.detail = buf_span(&detail);
	msg_act_meta_encode(&b, &m);
	number = story_add(s, LANE_DESK, RECORD_ACT, b, 0);
	buf_fini(&detail);
	return number;
}

static inline uint64_t story_put(struct story *s, const char *account, uint64_t box, uint32_t flags,
				 const char *message_id, uint64_t bytes)
{
	struct msg_mail_act a = {.ask = s->n,
				 .account = span_str(account),
				 .kind = MAIL_ACT_APPEND,
				 .box = box,
				 .flags = flags};
	struct buf detail = {0};
	uint64_t number;

	msg_mail_act_encode(&detail, &a);
	number = story_letter(s,
			      (struct msg_message_meta){.origin = 2,
							.account = span_str(account),
							.message_id = span_str(message_id),
							.detail = buf_span(&detail)},
			      bytes, NULL, NULL);
	buf_fini(&detail);
	return number;
}

/* ---- looking ---- */

static inline uint64_t account_id(struct views *v, const char *name)
{
	struct views_account a = {0};
	struct fault why = {0};

	if (views_account_by_name(v, span_str(name), &a, &why) != OK)
		fail_msg("%s: %s", name, why.text);
	return a.id;
}

static inline struct mail_box box_of(struct views *v, const char *account, const char *name)
{
	struct mail_box b = {0};
	struct fault why = {0};

	if (views_box_by_name(v, account_id(v, account), span_str(name), &b, &why) != OK)
		fail_msg("%s %s: %s", account, name, why.text);
	return b;
}

static inline bool entry_text(void *to, const struct mail_entry *e)
{
	buf_printf(to, "%s%u:%llu", ((struct buf *)to)->n ? " " : "", e->uid,
		   (unsigned long long)e->number);
	if (e->flags)
		buf_printf(to, "/%u", e->flags);
	if (e->keywords.n)
		buf_printf(to, "(%.*s)", SPAN_FMT(e->keywords));
	return true;
}

/* "1:17 2:18/9(work)": UID, number of the message, flags, keywords. Static: until the next call. */
static inline const char *shows_since(struct views *v, const char *account, const char *name,
				      uint64_t since)
{
	static struct buf text;
	struct fault why = {0};
	struct mail_box b = box_of(v, account, name);

	buf_clear(&text);
	assert_int_equal(views_each_entry(v, b.id, (struct mail_range){1, UINT32_MAX}, since,
					  entry_text, &text, &why),
			 OK);
	return buf_cstr(&text);
}

static inline const char *shows(struct views *v, const char *account, const char *name)
{
	return shows_since(v, account, name, 0);
}

static inline bool range_text(void *to, struct mail_range r)
{
	buf_printf(to, "%s%u", ((struct buf *)to)->n ? "," : "", r.first);
	if (r.last != r.first)
		buf_printf(to, ":%u", r.last);
	return true;
}

static inline const char *gone_since(struct views *v, uint64_t box, uint64_t since)
{
	static struct buf text;
	struct fault why = {0};

	buf_clear(&text);
	assert_int_equal(views_each_gone(v, box, since, range_text, &text, &why), OK);
	return buf_cstr(&text);
}

/* "1:3,5": the UIDs that are there. */
static inline const char *there(struct views *v, uint64_t box)
{
	static struct buf text;
	struct fault why = {0};

	buf_clear(&text);
	assert_int_equal(views_each_range(v, box, range_text, &text, &why), OK);
	return buf_cstr(&text);
}

static inline void ranges_text(struct buf *out, const char *what, const struct msg_uid_range *at,
			       size_t n)
{
	struct buf list = {0};

	for (size_t i = 0; i < n; i++)
		(void)range_text(&list, (struct mail_range){at[i].first, at[i].last});
	if (n)
		buf_printf(out, " %s %s", what, buf_cstr(&list));
	buf_fini(&list);
}

/* "0 from 1:2 to 5:6": code and ranges of the verdict on this record. */
static inline const char *verdict_on(struct views *v, uint64_t ask)
{
	static struct buf text;
	struct msg_mail_verdict m;
	struct fault why = {0};
	struct buf b = {0};
	struct arena a;

	arena_init(&a, 0);
	buf_clear(&text);
	assert_int_equal(views_verdict(v, LANE_DESK, ask, &b, &why), OK);
	assert_true(msg_mail_verdict_decode(&a, buf_span(&b), &m));
	assert_int_equal(m.ask, ask);
	buf_printf(&text, "%u", m.code);
	ranges_text(&text, "from", m.from, m.from_n);
	ranges_text(&text, "to", m.to, m.to_n);
	ranges_text(&text, "modified", m.modified, m.modified_n);
	arena_fini(&a);
	buf_fini(&b);
	return buf_cstr(&text);
}

static inline bool box_text(void *to, const struct mail_box *b)
{
	buf_printf(to, "%s%.*s%s%s", ((struct buf *)to)->n ? " " : "", SPAN_FMT(b->name),
		   b->is_subscribed ? "" : "-", b->exists ? "" : "!");
	return true;
}

/* Names in order; "-" not subscribed to, "!" not there. */
static inline const char *boxes(struct views *v, const char *account)
{
	static struct buf text;
	struct fault why = {0};

	buf_clear(&text);
	assert_int_equal(views_each_box(v, account_id(v, account), box_text, &text, &why), OK);
	return buf_cstr(&text);
}

/* What the id of a mailbox will be: M1. */
static inline uint64_t box_id(uint64_t record, unsigned place)
{
	return (record + 1) * 4096 + place;
}
