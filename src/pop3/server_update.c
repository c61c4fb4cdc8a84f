/*
 * What QUIT asks for (P4): acts in turn, each for at most MAIL_ACT_RANGES_LIMIT ranges. A refusal ends it: what is left stays
 * as it is, and the client hears -ERR (RFC 1939 s6).
 */
#include "pop3/server_internal.h"

#include <stdlib.h>

enum { ACT_SEEN, ACT_MARK, ACT_EXPUNGE, ACTS };

static bool wants(const struct pop3_server *s, const struct drop_message *m)
{
	bool is_deleted = pop3_is_deleted(s, m);

	return s->act_at == ACT_SEEN ? m->was_read && !is_deleted : is_deleted;
}

/* The next ranges of the present act from ranges_at on; false: none are left. */
static bool gather(struct pop3_server *s)
{
	s->ranges_n = 0;
	for (; s->ranges_at < s->drop_n; s->ranges_at++) {
		const struct drop_message *m = &s->drop[s->ranges_at];
		struct mail_range *last = s->ranges_n ? &s->ranges[s->ranges_n - 1] : NULL;

		if (!wants(s, m))
			continue;
		if (last && last->last + 1 == m->uid) {
			last->last = m->uid;
			continue;
		}
		if (s->ranges_n == MAIL_ACT_RANGES_LIMIT)
			break;
		s->ranges[s->ranges_n++] = (struct mail_range){m->uid, m->uid};
	}
	return s->ranges_n > 0;
}

static void ask_act(struct pop3_server *s)
{
	s->act = (struct mail_act){
		.kind = s->act_at == ACT_EXPUNGE ? MAIL_ACT_EXPUNGE : MAIL_ACT_STORE,
		.box = s->box,
		.uids = s->ranges,
		.uids_n = s->ranges_n,
		.how = MAIL_HOW_ADD,
		.flags = s->act_at == ACT_SEEN	 ? MAIL_SEEN
			 : s->act_at == ACT_MARK ? MAIL_DELETED
						 : 0,
		.unchanged_since = UINT64_MAX,
	};
	pop3_ask(s, POP3_ACT);
}

static void finish(struct pop3_server *s)
{
	pop3_ok(s, "Bye");
	pop3_move(s, ST_GONE);
}

static void go_on(struct pop3_server *s)
{
	while (s->act_at < ACTS) {
		if (gather(s)) {
			ask_act(s);
			return;
		}
		s->act_at++;
		s->ranges_at = 0;
	}
	finish(s);
}

void pop3_update_begin(struct pop3_server *s)
{
	size_t n = s->drop_n < MAIL_ACT_RANGES_LIMIT ? s->drop_n : MAIL_ACT_RANGES_LIMIT;

	s->act_at = 0;
	s->ranges_at = 0;
	if (s->drop_n == 0) {
		finish(s);
		return;
	}
	s->ranges = reallocarray(s->ranges, n, sizeof *s->ranges);
	if (!s->ranges) {
		pop3_err(s, "-ERR [SYS/TEMP]", "No memory; nothing was deleted", false);
		pop3_move(s, ST_GONE);
		return;
	}
	go_on(s);
}

void pop3_server_done(struct pop3_server *s, enum rc rc, struct span text)
{
	if (s->asked != POP3_ACT)
		return;
	s->asked = POP3_FEED;
	if (rc == OK) {
		go_on(s);
		return;
	}
	pop3_err_span(s, rc == REFUSED ? "-ERR [SYS/PERM]" : "-ERR [SYS/TEMP]",
		      text.n ? text : SPAN_LIT("Not all messages were deleted"), false);
	pop3_move(s, ST_GONE);
}
