/*
 * Orders of administrators, by the console: messages of people.msg in their name. Whether they are one is looked at with each
 * order. What shows another's secret, or is of the machine and its keys, stays with the command line: a console that was
 * broken into can end people's access and invite them anew, which they notice, but not read their mail as them.
 */
#include <stdio.h>

#include "role/auth/orders.h"

static bool is_for_admins(struct arena *arena, unsigned type, struct span body)
{
	struct msg_second_factor factor;
	struct msg_app_password app;

	switch (type) {
	case MSG_USER_ADD:
	case MSG_USER_SET:
	case MSG_USER_PASSWORD:
	case MSG_USER_INVITE:
	case MSG_USER_LIST:
	case MSG_USER_IMPORT:
	case MSG_USER_SESSIONS:
	case MSG_ENROLMENT_ASK:
	case MSG_DKIM_LIST:
		return true;
	case MSG_SECOND_FACTOR:
		return msg_second_factor_decode(arena, body, &factor) &&
		       span_eq(factor.verb, SPAN_LIT("remove"));
	case MSG_APP_PASSWORD:
		return msg_app_password_decode(arena, body, &app) &&
		       !span_eq(app.verb, SPAN_LIT("add"));
	default:
		return false;
	}
}

void admin_order(struct peer *p, struct arena *arena, const struct msg_admin_order *m)
{
	char actor[ACCOUNT_ACTOR_BYTES];
	struct member *who = NULL;
	struct session *x = session_of(p, m->session, &who);
	struct asker *c;

	(void)snprintf(actor, sizeof actor, "administrator %s (%.*s)", x ? who->account.name : "?",
		       SPAN_FMT(span_first(m->source, SESSION_SOURCE_BYTES - 1)));
	c = asker_new(p->auth, actor);
	c->peer = p->number;
	c->id = m->id;
	if (!x)
		people_refuse(c, "session", "log in again");
	else if (!is_for_admins(arena, m->type, m->body))
		people_refuse(c, "machine", "this is ordered on the machine, with `holdfast`");
	else if (!people_user(c, arena, m->type, m->body))
		people_refuse(c, "malformed", "this is not an order of this version");
	asker_done(c, false);
}
