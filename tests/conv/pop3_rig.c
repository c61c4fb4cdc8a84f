#include "pop3_rig.h"

#include <stdlib.h>

#include "base/must.h"

enum { UIDVALIDITY = 1700000000 };

struct mail_body {
	struct rig *rig;
	struct span text;
};

static enum rc box_by_name(void *arg, struct span name, struct mail_box *out, struct fault *why)
{
	struct rig *r = arg;

	(void)why;
	if (r->store_answer != OK)
		return r->store_answer;
	must(span_eq(name, SPAN_LIT("INBOX")));
	*out = (struct mail_box){
		.id = 77, .name = name, .uidvalidity = UIDVALIDITY, .exists = true};
	return OK;
}

static enum rc each_entry(void *arg, uint64_t box, struct mail_range uids, uint64_t since,
			  bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			  struct fault *why)
{
	struct rig *r = arg;

	(void)why;
	(void)since;
	must(box == 77);
	for (size_t i = 0; i < RIG_MESSAGES; i++) {
		struct rig_message *m = &r->messages[i];
		struct mail_entry e = {
			.uid = m->uid, .number = i, .bytes = m->text.n, .flags = m->flags};

		if (m->is_gone || m->uid < uids.first || m->uid > uids.last)
			continue;
		if (!on_entry(to, &e))
			break;
	}
	return OK;
}

static enum rc body_open(void *arg, uint64_t number, enum mail_form form, struct mail_body **out,
			 struct fault *why)
{
	struct rig *r = arg;
	struct mail_body *b = calloc(1, sizeof *b);

	(void)why;
	(void)form;
	if (!b)
		return LATER;
	*b = (struct mail_body){r, r->messages[number].text};
	r->bodies_open++;
	*out = b;
	return OK;
}

static uint64_t body_bytes(const struct mail_body *b)
{
	return b->text.n;
}

static enum rc body_read(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
			 struct fault *why)
{
	(void)why;
	if (offset >= b->rig->damaged_at)
		return REFUSED;
	*out = span_first(span_from(b->text, (size_t)offset), max < 7 ? max : 7);
	return OK;
}

static void body_close(struct mail_body *b)
{
	b->rig->bodies_open--;
	free(b);
}

void rig_init(struct rig *r, bool is_tls)
{
	static const struct mail_store_ops ops = {
		.box_by_name = box_by_name,
		.each_entry = each_entry,
		.body_open = body_open,
		.body_bytes = body_bytes,
		.body_read = body_read,
		.body_close = body_close,
	};
	static const struct span mechanisms[] = {SPAN_LIT("PLAIN"), SPAN_LIT("SCRAM-SHA-256")};
	static const struct span texts[RIG_MESSAGES] = {
		SPAN_LIT("Subject: one\r\n\r\nline 1\r\n.line 2\r\n..\r\nline 4\r\n"),
		SPAN_LIT("Subject: two\r\n\r\nno end of line"),
		SPAN_LIT("Subject: three\r\nX: y"),
		SPAN_LIT("\r\na\n.\r\nb\r\n"),
	};

	*r = (struct rig){.damaged_at = UINT64_MAX};
	r->service = (struct pop3_service){
		.node = SPAN_LIT("mx2.example"),
		.limits = {.errors = 10,
			   .messages = 100,
			   .login_us = 60000000,
			   .idle_us = 600000000},
		.has_tls = true,
		.mechanisms = mechanisms,
		.mechanisms_n = 2,
	};
	r->store = (struct mail_store){&ops, r};
	for (size_t i = 0; i < RIG_MESSAGES; i++)
		r->messages[i] =
			(struct rig_message){.uid = (uint32_t)(3 + i + (i == 3)), .text = texts[i]};
	r->pop3 = pop3_server_new(&r->service, is_tls, false);
	pop3_server_tick(r->pop3, r->now_us = 1000);
	pop3_server_greet(r->pop3);
}

void rig_fini(struct rig *r)
{
	pop3_server_free(r->pop3);
	must(r->bodies_open == 0);
	buf_fini(&r->out);
	buf_fini(&r->acts);
}

static void on_login(struct rig *r)
{
	const struct pop3_login *l = pop3_server_login(r->pop3);

	if (span_eq(l->mechanism, SPAN_LIT("SCRAM-SHA-256"))) {
		r->round = 1;
		pop3_server_challenge(r->pop3, SPAN_LIT("r=nonce"));
	} else if (!l->has_initial) {
		pop3_server_challenge(r->pop3, SPAN_NONE);
	} else if (span_eq(l->initial, SPAN_LIT("\0anna\0secret"))) {
		pop3_server_welcome(r->pop3, &r->store);
	} else if (span_eq(l->initial, SPAN_LIT("\0late\0secret"))) {
		pop3_server_unwelcome(r->pop3, "-ERR [SYS/TEMP]", SPAN_LIT("later"), false);
	} else {
		pop3_server_unwelcome(r->pop3, "-ERR [AUTH]", SPAN_LIT("no\r\nway"), true);
	}
}

static void on_response(struct rig *r)
{
	struct span response = pop3_server_response(r->pop3);

	if (r->round == 1 && span_eq(response, SPAN_LIT("proof"))) {
		r->round = 2;
		pop3_server_challenge(r->pop3, SPAN_LIT("v=server"));
	} else if ((r->round == 2 && response.n == 0) ||
		   span_eq(response, SPAN_LIT("\0anna\0secret"))) {
		pop3_server_welcome(r->pop3, &r->store);
	} else {
		pop3_server_unwelcome(r->pop3, "-ERR [AUTH]", SPAN_LIT("no"), true);
	}
}

static void on_act(struct rig *r)
{
	const struct mail_act *a = pop3_server_act(r->pop3);
	static const char *const names[] = {
		[MAIL_ACT_STORE] = "store", [MAIL_ACT_EXPUNGE] = "expunge"};

	must(a->box == 77 && a->uids_n > 0);
	(void)buf_printf(&r->acts, "%s %u", names[a->kind], a->flags);
	for (size_t i = 0; i < a->uids_n; i++)
		(void)buf_printf(&r->acts, " %u:%u", a->uids[i].first, a->uids[i].last);
	(void)buf_append_byte(&r->acts, '\n');
	pop3_server_done(r->pop3, r->act_answer, SPAN_NONE);
}

static void take_output(struct rig *r)
{
	(void)buf_append(&r->out, pop3_server_output(r->pop3));
	pop3_server_sent(r->pop3);
}

static bool step(struct rig *r, struct span *in)
{
	switch (pop3_server_step(r->pop3, in)) {
	case POP3_FEED:
	case POP3_WAIT:
		return false;
	case POP3_FLUSH:
		take_output(r);
		return true;
	case POP3_LOGIN:
		if (r->holds_answers)
			return false;
		on_login(r);
		return true;
	case POP3_RESPONSE:
		on_response(r);
		return true;
	case POP3_CANCEL:
		r->round = 0;
		return true;
	case POP3_ACT:
		if (r->holds_answers)
			return false;
		on_act(r);
		return true;
	case POP3_TLS:
		r->asks_tls = true;
		return false;
	case POP3_CLOSE:
		r->is_closed = true;
		return false;
	}
	return false;
}

void rig_pump(struct rig *r, struct span *in)
{
	while (step(r, in))
		;
	take_output(r);
}

void rig_feed(struct rig *r, struct span bytes, size_t by)
{
	struct buf held = {0}; /* what the engine has not consumed */

	while (bytes.n && !r->is_closed) {
		size_t n = by && by < bytes.n ? by : bytes.n;
		struct span in;

		(void)buf_append(&held, span_first(bytes, n));
		bytes = span_from(bytes, n);
		in = buf_span(&held);
		rig_pump(r, &in);
		buf_drop(&held, held.n - in.n);
	}
	buf_fini(&held);
}

void rig_tick(struct rig *r, uint64_t after_us)
{
	struct span none = SPAN_NONE;

	r->now_us += after_us;
	pop3_server_tick(r->pop3, r->now_us);
	rig_pump(r, &none);
}
