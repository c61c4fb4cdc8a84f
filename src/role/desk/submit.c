/*
 * Mail that is to be sent, handed to submission (submit.msg): it goes by the same rules as what comes to port 587. Submission
 * says how much it has room for; its answer comes when the message is on its disk. Without a link, or when it ends before
 * the message does, nothing was sent; when it ends behind that, nobody knows.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/jmap.h"

enum {
	PIECE_BYTES = 64 << 10,
	SUBMITS_MOST = 1000,
};

struct desk_submit {
	uint64_t id;
	struct desk *desk;
	const struct desk_submit_ops *ops;
	void *arg;
	uint64_t sent, room;
	bool is_waiting; /* for room */
	bool is_failed;	 /* the link is gone or full */
	bool has_ended;	 /* SubmitEnd is on its way */
	uint64_t until_us;
};

static bool tell(struct desk *d, unsigned type, struct buf *body)
{
	bool sent = d->submission && link_send(d->submission, type, buf_span(body)) == OK;

	buf_fini(body);
	return sent;
}

static void drop(struct desk *d, uint64_t id)
{
	struct buf body = {0};

	msg_submit_drop_encode(&body, &(struct msg_submit_drop){id});
	(void)tell(d, MSG_SUBMIT_DROP, &body);
}

static void settle(struct desk_submit *s, const struct jmap_submitted *answer, bool is_sure)
{
	(void)map_remove(&s->desk->submits, map_key_u64(&s->id));
	s->ops->on_answer(s->arg, answer, is_sure);
	free(s);
}

struct desk_submit *desk_submit_new(struct desk *d, const struct desk_person *p, const char *peer,
				    const struct jmap_message *m, const struct desk_submit_ops *ops,
				    void *arg)
{
	struct desk_submit *s;
	struct buf body = {0};

	if (d->is_stopping || d->submits.n >= SUBMITS_MOST)
		return NULL;
	msg_submit_begin_encode(&body, &(struct msg_submit_begin){
					       .id = ++d->next_submit,
					       .account = p->jmap.name,
					       .send_as = (struct span *)(uintptr_t)p->jmap.send_as,
					       .send_as_n = p->jmap.send_as_n,
					       .sender = m->sender,
					       .rcpts = (struct span *)(uintptr_t)m->rcpts,
					       .rcpts_n = m->rcpts_n,
					       .bytes = m->bytes_most,
					       .source = span_str(peer),
					       .email = m->email.number,
					       .form = (uint8_t)m->email.form,
					       .identity = m->identity,
				       });
	if (!tell(d, MSG_SUBMIT_BEGIN, &body))
		return NULL;
	s = must_alloc(sizeof *s);
	*s = (struct desk_submit){.id = d->next_submit,
				  .desk = d,
				  .ops = ops,
				  .arg = arg,
				  .until_us = loop_now_us(d->loop) + d->policy->verdict_us};
	(void)map_put(&d->submits, map_key_u64(&s->id), s);
	return s;
}

void desk_submit_piece(struct desk_submit *s, struct span piece)
{
	while (piece.n && !s->is_failed) {
		struct buf body = {0};
		struct span some = span_first(piece, PIECE_BYTES);

		msg_submit_piece_encode(&body, &(struct msg_submit_piece){s->id, some});
		s->is_failed = !tell(s->desk, MSG_SUBMIT_PIECE, &body);
		s->sent += some.n;
		piece = span_from(piece, some.n);
	}
	s->is_waiting = !desk_submit_has_room(s);
	s->until_us = loop_now_us(s->desk->loop) + s->desk->policy->verdict_us;
}

/* A piece more than there is room for is taken (submit.msg). */
bool desk_submit_has_room(const struct desk_submit *s)
{
	return s->is_failed || s->sent < s->room;
}

void desk_submit_end(struct desk_submit *s)
{
	struct buf body = {0};

	msg_submit_end_encode(&body, &(struct msg_submit_end){s->id});
	if (!s->is_failed)
		s->is_failed = !tell(s->desk, MSG_SUBMIT_END, &body);
	buf_fini(&body);
	s->has_ended = true;
	s->until_us = loop_now_us(s->desk->loop) + s->desk->policy->verdict_us;
	if (s->is_failed) {
		drop(s->desk, s->id);
		settle(s, NULL, true);
	}
}

void desk_submit_drop(struct desk_submit *s)
{
	if (!s)
		return;
	drop(s->desk, s->id);
	(void)map_remove(&s->desk->submits, map_key_u64(&s->id));
	free(s);
}

/* ---- from submission ---- */

static bool on_room(struct desk *d, struct arena *a, struct span body)
{
	struct msg_submit_room m;
	struct desk_submit *s;

	if (!msg_submit_room_decode(a, body, &m))
		return false;
	s = map_get(&d->submits, map_key_u64(&m.id));
	if (!s || m.bytes < s->room)
		return true;
	s->room = m.bytes;
	if (s->is_waiting && desk_submit_has_room(s)) {
		s->is_waiting = false;
		s->ops->on_room(s->arg);
	}
	return true;
}

static bool on_answer(struct desk *d, struct arena *a, struct span body)
{
	struct msg_submit_answer m;
	struct jmap_refused *refused;
	struct jmap_submitted answer;
	struct desk_submit *s;

	if (!msg_submit_answer_decode(a, body, &m))
		return false;
	s = map_get(&d->submits, map_key_u64(&m.id));
	refused = arena_array(a, m.refused_n + 1, sizeof *refused);
	if (!s || !refused)
		return refused != NULL;
	for (size_t i = 0; i < m.refused_n; i++)
		refused[i] = (struct jmap_refused){m.refused[i].address, m.refused[i].code,
						   m.refused[i].enhanced, m.refused[i].text};
	answer = (struct jmap_submitted){m.code,    m.enhanced, m.text,
					 m.message, refused,	m.refused_n};
	desk_count(METRIC_SUBMITTED, m.code == 250);
	settle(s, &answer, true);
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct desk *d = arg;
	struct arena a;
	bool good = false;

	(void)l;
	arena_init(&a, 4 << 20);
	if (type == MSG_SUBMIT_ROOM)
		good = on_room(d, &a, body);
	else if (type == MSG_SUBMIT_ANSWER)
		good = on_answer(d, &a, body);
	arena_fini(&a);
	return good;
}

/* Ends those whose time has come, or all; the map must not change while it is walked. */
static void end_late(struct desk *d, bool all)
{
	uint64_t now_us = loop_now_us(d->loop);
	struct desk_submit *late;

	do {
		size_t cursor = 0;
		struct span key;
		void *value;

		late = NULL;
		while (!late && map_next(&d->submits, &cursor, &key, &value)) {
			struct desk_submit *s = value;

			if (all || now_us >= s->until_us)
				late = s;
		}
		if (late) {
			if (!all)
				drop(d, late->id);
			settle(late, NULL, !late->has_ended);
		}
	} while (late);
}

void desk_submit_expire(struct desk *d)
{
	end_late(d, false);
}

static void on_closed(void *arg, struct link *l)
{
	struct desk *d = arg;

	(void)l;
	d->submission = NULL;
	end_late(d, true);
	role_link_lost(d->role, ROLE_SUBMISSION, d->submission_instance);
}

void desk_submission_link(struct desk *d, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};

	if (d->submission) {
		link_close(d->submission);
		d->submission = NULL;
		end_late(d, true);
	}
	d->submission_instance = instance;
	d->submission = link_new(d->loop, fd, &ops, d);
}
