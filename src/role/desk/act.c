/*
 * Changes that people ask for: recorded in our lane, then judged by the clerk in order; its verdict is the answer. What
 * happens to one that is on its way:
 *
 *   the clerk or its link is away before it is recorded: nothing is recorded, [UNAVAILABLE]
 *   away afterwards: DeskHello names what we wait for when the link is back; the clerk keeps its last verdicts per lane
 *   no verdict within DESK_VERDICT_US: [UNAVAILABLE]; the record stands, so it may still be done, and the client is told so
 *   desk dies: the record stands or not, the client's connection is gone with it
 *
 * MailChanged, from the same link, wakes the sessions that show what has changed.
 */
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"

struct desk_ask {
	uint64_t id, ref;
	desk_on_fate *on_fate; /* NULL: nobody waits any more */
	void *arg;
	uint64_t until_us;
};

const char desk_unknown_fate[] =
	"No word yet of whether it was done; it may have been. Look before you try again";
const char desk_not_now[] = "Changes cannot be made at the moment; try again soon";

/* ---- sessions of IMAP and POP3 ---- */

static void answer_pop3(struct desk_session *s, enum desk_fate fate, const struct mail_verdict *v)
{
	if (fate == DESK_JUDGED)
		pop3_server_done(s->pop3, v->code == MAIL_OK ? OK : REFUSED, v->text);
	else
		pop3_server_done(s->pop3, LATER,
				 span_str(fate == DESK_UNKNOWN ? desk_unknown_fate : desk_not_now));
}

static void answer_session(void *arg, uint64_t engine_ask, enum desk_fate fate,
			   const struct mail_verdict *v)
{
	struct desk_session *s = arg;

	if (s->pop3)
		answer_pop3(s, fate, v);
	else if (s->imap && fate == DESK_UNKNOWN)
		imap_server_lost(s->imap, engine_ask);
	else if (s->imap)
		imap_server_verdict(s->imap, engine_ask, v);
	desk_session_go_on(s);
	desk_session_unpin(s);
}

uint64_t desk_session_ask(struct desk_session *s, uint64_t engine_ask)
{
	s->pins++;
	return desk_ask_new(s->desk, engine_ask, answer_session, s);
}

struct desk_actor desk_session_actor(const struct desk_session *s)
{
	return (struct desk_actor){s->account, s->protocol == DESK_IMAP ? "imap" : "pop3",
				   s->door.peer};
}

void desk_session_act(struct desk_session *s, uint64_t engine_ask, const struct mail_act *act)
{
	struct desk_actor actor = desk_session_actor(s);

	if (desk_can_act(s->desk))
		desk_act(s->desk, &actor, desk_session_ask(s, engine_ask), act);
	else if (s->pop3)
		pop3_server_done(s->pop3, LATER, span_str(desk_not_now));
	else
		imap_server_verdict(s->imap, engine_ask, NULL);
}

/* ---- asking ---- */

/* Ends an ask; v is there when it was judged. */
static void settle(struct desk *d, uint64_t id, enum desk_fate fate, const struct mail_verdict *v)
{
	struct desk_ask *ask = map_remove(&d->asks, map_key_u64(&id));

	if (!ask)
		return;
	desk_count(fate == DESK_UNKNOWN ? METRIC_ACTS_LOST : METRIC_ACTS,
		   fate != DESK_NOT_RECORDED);
	if (ask->on_fate)
		ask->on_fate(ask->arg, ask->ref, fate, v);
	free(ask);
}

bool desk_can_act(const struct desk *d)
{
	return d->clerk && !d->is_stopping && d->asks.n < DESK_ASKS_MOST;
}

uint64_t desk_ask_new(struct desk *d, uint64_t ref, desk_on_fate *on_fate, void *arg)
{
	struct desk_ask *ask = must_alloc(sizeof *ask);

	*ask = (struct desk_ask){d->next_ask++, ref, on_fate, arg,
				 loop_now_us(d->loop) + d->policy->verdict_us};
	(void)map_put(&d->asks, map_key_u64(&ask->id), ask);
	return ask->id;
}

void desk_ask_forget(struct desk *d, uint64_t id)
{
	struct desk_ask *ask = map_get(&d->asks, map_key_u64(&id));

	if (ask)
		ask->on_fate = NULL;
}

void desk_ask_recorded(struct desk *d, uint64_t ask, enum rc rc)
{
	if (rc != OK)
		settle(d, ask, rc == UNSURE ? DESK_UNKNOWN : DESK_NOT_RECORDED, NULL);
}

/* What is past its time; the map must not change while it is walked: in rounds. */
void desk_ask_expire(struct desk *d)
{
	enum { ROUND = 64 };
	uint64_t ids[ROUND], now_us = loop_now_us(d->loop);
	size_t n;

	do {
		size_t cursor = 0;
		struct span key;
		void *value;

		n = 0;
		while (n < ROUND && map_next(&d->asks, &cursor, &key, &value)) {
			const struct desk_ask *ask = value;

			if (now_us >= ask->until_us)
				ids[n++] = ask->id;
		}
		for (size_t i = 0; i < n; i++)
			settle(d, ids[i], DESK_UNKNOWN, NULL);
	} while (n == ROUND);
}

void desk_act_write(const struct desk_actor *who, uint64_t ask, const struct mail_act *act,
		    struct buf *out)
{
	struct msg_uid_range *uids = must_alloc((act->uids_n + 1) * sizeof *uids);
	struct msg_email_id *emails = must_alloc((act->emails_n + 1) * sizeof *emails);
	struct buf source = {0};

	for (size_t i = 0; i < act->uids_n; i++)
		uids[i] = (struct msg_uid_range){act->uids[i].first, act->uids[i].last};
	for (size_t i = 0; i < act->emails_n; i++)
		emails[i] =
			(struct msg_email_id){act->emails[i].number, (uint8_t)act->emails[i].form};
	(void)buf_printf(&source, "%s %s", who->protocol, who->peer);
	msg_mail_act_encode(out, &(struct msg_mail_act){
					 .ask = ask,
					 .account = who->account,
					 .kind = (uint8_t)act->kind,
					 .box = act->box,
					 .uids = uids,
					 .uids_n = act->uids_n,
					 .how = (uint8_t)act->how,
					 .flags = act->flags,
					 .keywords = act->keywords,
					 .unchanged_since = act->unchanged_since,
					 .to = act->to,
					 .name = act->name,
					 .new_name = act->new_name,
					 .special = (uint8_t)act->special,
					 .date_us = act->date_us,
					 .source = buf_span(&source),
					 .emails = emails,
					 .emails_n = act->emails_n,
					 .into = (uint64_t *)(uintptr_t)act->into,
					 .into_n = act->into_n,
					 .out_of = (uint64_t *)(uintptr_t)act->out_of,
					 .out_of_n = act->out_of_n,
					 .is_only = act->is_only,
					 .flags_off = act->flags_off,
					 .keywords_off = act->keywords_off,
					 .if_state = act->if_state,
					 .value = act->value,
				 });
	buf_fini(&source);
	free(uids);
	free(emails);
}

/* What the lane gives back with a result. */
struct pin {
	struct desk *desk;
	uint64_t ask;
};

static void on_recorded(void *arg, const struct lane_result *result)
{
	struct pin *pin = arg;

	pin->desk->acts_pending--;
	desk_ask_recorded(pin->desk, pin->ask, result->rc);
	free(pin);
}

void desk_act(struct desk *d, const struct desk_actor *who, uint64_t ask,
	      const struct mail_act *act)
{
	struct record_new record = {.type = RECORD_ACT, .received_us = os_wall_us(d->os)};
	struct pin *pin = must_alloc(sizeof *pin);
	struct buf meta = {0}, detail = {0};

	*pin = (struct pin){d, ask};
	desk_act_write(who, ask, act, &detail);
	msg_act_meta_encode(&meta, &(struct msg_act_meta){
					   .verb = SPAN_LIT("mail"),
					   .object = who->account,
					   .actor = who->account,
					   .detail = buf_span(&detail),
				   });
	record.meta = buf_span(&meta);
	d->acts_pending++;
	lane_append(d->lane, &record, 1, 0, false, on_recorded, pin);
	buf_fini(&meta);
	buf_fini(&detail);
}

/* ---- from the clerk ---- */

static struct mail_range *ranges(struct arena *a, const struct msg_uid_range *from, size_t n)
{
	struct mail_range *out = arena_array(a, n + 1, sizeof *out);

	for (size_t i = 0; out && i < n; i++)
		out[i] = (struct mail_range){from[i].first, from[i].last};
	return out;
}

static struct mail_email_id *email_ids(struct arena *a, const struct msg_email_id *from, size_t n)
{
	struct mail_email_id *out = arena_array(a, n + 1, sizeof *out);

	for (size_t i = 0; out && i < n; i++)
		out[i] = (struct mail_email_id){from[i].number, (enum mail_form)from[i].form};
	return out;
}

static bool on_verdict(struct desk *d, struct arena *a, struct span body)
{
	struct msg_mail_verdict m;
	struct mail_verdict v;

	if (!msg_mail_verdict_decode(a, body, &m) || m.code > MAIL_NOPLACE ||
	    m.form > MAIL_ENCLOSED)
		return false;
	v = (struct mail_verdict){
		.code = (enum mail_code)m.code,
		.text = m.text,
		.modseq = m.modseq,
		.box = m.box,
		.uidvalidity = m.uidvalidity,
		.from = ranges(a, m.from, m.from_n),
		.from_n = m.from_n,
		.to = ranges(a, m.to, m.to_n),
		.to_n = m.to_n,
		.modified = ranges(a, m.modified, m.modified_n),
		.modified_n = m.modified_n,
		.number = m.number,
		.thread = m.thread,
		.form = (enum mail_form)m.form,
		.missing = email_ids(a, m.missing, m.missing_n),
		.missing_n = m.missing_n,
		.was = m.was,
	};
	if (!v.from || !v.to || !v.modified || !v.missing)
		return false;
	settle(d, m.ask, DESK_JUDGED, &v);
	return true;
}

static bool shows(const struct desk_session *s, const struct msg_mail_changed *m, uint64_t *out_box)
{
	size_t hits = 0;

	for (size_t i = 0; i < m->boxes_n; i++) {
		if (m->boxes[i].account != s->reader.account_id)
			continue;
		if (m->boxes[i].box != 0 && m->boxes[i].box != imap_server_box(s->imap))
			continue;
		*out_box = hits++ ? 0 : m->boxes[i].box;
	}
	return hits > 0;
}

/* Boxes of one account stand together mostly: each is told once. */
static void tell_streams(struct desk *d, const struct msg_mail_changed *m)
{
	uint64_t told = 0;

	if (m->all)
		desk_http_changed(d, 0);
	for (size_t i = 0; i < m->boxes_n && !m->all; i++) {
		if (m->boxes[i].account != told)
			desk_http_changed(d, m->boxes[i].account);
		told = m->boxes[i].account;
	}
}

static bool on_changed(struct desk *d, struct arena *a, struct span body)
{
	struct msg_mail_changed m;

	if (!msg_mail_changed_decode(a, body, &m))
		return false;
	tell_streams(d, &m);
	LIST_EACH_SAFE (at, &d->sessions) {
		struct desk_session *s = LIST_ENTRY(at, struct desk_session, link);
		uint64_t box = 0;

		if (!s->imap || s->account.n == 0 || (!m.all && !shows(s, &m, &box)))
			continue;
		imap_server_changed(s->imap, box);
		desk_session_go_on(s);
	}
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct desk *d = arg;
	struct arena a;
	bool good = false;

	(void)l;
	arena_init(&a, 4 << 20);
	if (type == MSG_MAIL_VERDICT)
		good = on_verdict(d, &a, body);
	else if (type == MSG_MAIL_CHANGED)
		good = on_changed(d, &a, body);
	arena_fini(&a);
	return good;
}

static void on_closed(void *arg, struct link *l)
{
	struct desk *d = arg;

	(void)l;
	d->clerk = NULL;
	role_link_lost(d->role, ROLE_CLERK, d->clerk_instance);
}

static void say_hello(struct desk *d)
{
	uint64_t *asks = must_alloc((d->asks.n + 1) * sizeof *asks);
	struct buf body = {0};
	size_t n = 0, cursor = 0;
	struct span key;
	void *value;

	while (map_next(&d->asks, &cursor, &key, &value) && n < LINK_BODY_LIMIT_BYTES / 16)
		asks[n++] = ((const struct desk_ask *)value)->id;
	msg_desk_hello_encode(&body, &(struct msg_desk_hello){.lane = span_str(lane_name(d->lane)),
							      .asks = asks,
							      .asks_n = n});
	(void)link_send(d->clerk, MSG_DESK_HELLO, buf_span(&body));
	buf_fini(&body);
	free(asks);
}

void desk_clerk_link(struct desk *d, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};

	link_close(d->clerk);
	d->clerk_instance = instance;
	d->clerk = link_new(d->loop, fd, &ops, d);
	desk_store_tick(d); /* a clerk that begins anew may have made other views */
	say_hello(d);
}
