/* The maildrop: the snapshot (P3), STAT LIST UIDL DELE RSET, and messages on their way out (RETR, TOP). */
#include "pop3/server_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

/* ---- the snapshot ---- */

struct taking {
	struct pop3_server *s;
	bool has_memory;
};

static bool take_entry(void *arg, const struct mail_entry *e)
{
	struct taking *t = arg;
	struct pop3_server *s = t->s;

	if (s->drop_n >= s->service->limits.messages)
		return false;
	if (s->drop_n == s->drop_cap) {
		size_t cap = s->drop_cap ? 2 * s->drop_cap : 16;
		struct drop_message *grown = reallocarray(s->drop, cap, sizeof *grown);

		if (!grown) {
			t->has_memory = false;
			return false;
		}
		s->drop = grown;
		s->drop_cap = cap;
	}
	s->drop[s->drop_n++] = (struct drop_message){
		.number = e->number,
		.bytes = e->bytes,
		.uid = e->uid,
		.form = (uint8_t)e->form,
	};
	s->left_n++;
	s->left_bytes += e->bytes;
	s->drop_bytes += e->bytes;
	return true;
}

void pop3_drop_free(struct pop3_server *s)
{
	free(s->drop);
	free(s->ranges);
	s->drop = NULL;
	s->ranges = NULL;
	s->drop_n = s->drop_cap = s->left_n = s->ranges_n = 0;
	s->drop_bytes = s->left_bytes = 0;
	s->round = 1;
}

bool pop3_is_deleted(const struct pop3_server *s, const struct drop_message *m)
{
	return m->deleted_in == s->round;
}

enum rc pop3_drop_take(struct pop3_server *s, struct fault *why)
{
	const struct mail_range all = {1, UINT32_MAX};
	const struct mail_store *store = &s->store;
	struct taking t = {s, true};
	struct mail_box box;
	enum rc rc = store->ops->box_by_name(store->arg, SPAN_LIT("INBOX"), &box, why);

	pop3_drop_free(s);
	if (rc != OK)
		return rc;
	s->box = box.id;
	s->uidvalidity = box.uidvalidity;
	rc = store->ops->each_entry(store->arg, box.id, all, 0, take_entry, &t, why);
	if (rc == OK && !t.has_memory)
		rc = LATER;
	if (rc != OK)
		pop3_drop_free(s);
	return rc;
}

/* ---- message numbers ---- */

/* NULL: answered. Numbers count from 1. */
static struct drop_message *find(struct pop3_server *s, struct span number)
{
	uint64_t n;

	if (!span_to_u64(number, UINT32_MAX, &n) || n == 0) {
		pop3_err(s, "-ERR", "A message number is needed", true);
		return NULL;
	}
	if (n > s->drop_n) {
		pop3_err(s, "-ERR", "There is no such message", true);
		return NULL;
	}
	if (pop3_is_deleted(s, &s->drop[n - 1])) {
		pop3_err(s, "-ERR", "This message is marked as deleted", true);
		return NULL;
	}
	return &s->drop[n - 1];
}

/* ---- STAT LIST UIDL DELE RSET ---- */

void pop3_on_stat(struct pop3_server *s, struct span args)
{
	char text[64];

	(void)args;
	(void)snprintf(text, sizeof text, "%zu %llu", s->left_n, (unsigned long long)s->left_bytes);
	pop3_ok(s, text);
}

static void begin_listing(struct pop3_server *s, enum pop3_job job)
{
	char text[80];

	(void)snprintf(text, sizeof text, "%zu messages", s->left_n);
	pop3_ok(s, text);
	s->job = job;
	s->job_at = 0;
}

static void put_line(struct pop3_server *s, enum pop3_job job, size_t at)
{
	const struct drop_message *m = &s->drop[at];

	if (job == JOB_LIST)
		(void)buf_printf(&s->out, "%zu %llu\r\n", at + 1, (unsigned long long)m->bytes);
	else
		(void)buf_printf(&s->out, "%zu %lu.%lu\r\n", at + 1, (unsigned long)s->uidvalidity,
				 (unsigned long)m->uid);
}

static void list(struct pop3_server *s, struct span args, enum pop3_job job)
{
	const struct drop_message *m;

	if (args.n == 0) {
		begin_listing(s, job);
		return;
	}
	m = find(s, args);
	if (!m)
		return;
	(void)buf_append(&s->out, SPAN_LIT("+OK "));
	put_line(s, job, (size_t)(m - s->drop));
	pop3_arm(s);
}

void pop3_on_list(struct pop3_server *s, struct span args)
{
	list(s, args, JOB_LIST);
}

void pop3_on_uidl(struct pop3_server *s, struct span args)
{
	list(s, args, JOB_UIDL);
}

void pop3_on_dele(struct pop3_server *s, struct span args)
{
	struct drop_message *m = find(s, args);

	if (!m)
		return;
	m->deleted_in = s->round;
	s->left_n--;
	s->left_bytes -= m->bytes;
	pop3_ok(s, "Will be deleted at QUIT");
}

void pop3_on_rset(struct pop3_server *s, struct span args)
{
	(void)args;
	s->round++;
	s->left_n = s->drop_n;
	s->left_bytes = s->drop_bytes;
	pop3_ok(s, "Nothing is marked as deleted now");
}

static void work_listing(struct pop3_server *s)
{
	while (s->job_at < s->drop_n && s->out.n < POP3_OUT_FLUSH) {
		if (!pop3_is_deleted(s, &s->drop[s->job_at]))
			put_line(s, s->job, s->job_at);
		s->job_at++;
	}
	if (s->job_at < s->drop_n)
		return;
	(void)buf_append(&s->out, SPAN_LIT(".\r\n"));
	pop3_end_job(s);
	pop3_arm(s);
}

/* ---- RETR, TOP ---- */

static void begin_body(struct pop3_server *s, struct drop_message *m, uint64_t lines)
{
	struct fault why = {0};
	char text[64];

	if (s->store.ops->body_open(s->store.arg, m->number, (enum mail_form)m->form, &s->body,
				    &why) != OK) {
		pop3_err(s, "-ERR [SYS/TEMP]", "This message cannot be read", false);
		return;
	}
	(void)snprintf(text, sizeof text, "%llu octets",
		       (unsigned long long)s->store.ops->body_bytes(s->body));
	pop3_ok(s, text);
	s->job = JOB_BODY;
	s->body_at = 0;
	s->lines_left = lines;
	s->in_header = true;
	s->before[0] = '\r';
	s->before[1] = '\n';
	if (lines == UINT64_MAX)
		m->was_read = true;
}

void pop3_on_retr(struct pop3_server *s, struct span args)
{
	struct drop_message *m = find(s, args);

	if (m)
		begin_body(s, m, UINT64_MAX);
}

void pop3_on_top(struct pop3_server *s, struct span args)
{
	struct span lines = args;
	struct span number = span_cut(&lines, ' ');
	struct drop_message *m;
	uint64_t n;

	if (!span_to_u64(lines, UINT32_MAX, &n)) {
		pop3_err(s, "-ERR", "TOP needs a message number and a number of lines", true);
		return;
	}
	m = find(s, number);
	if (m)
		begin_body(s, m, n);
}

/* Where TOP ends in these bytes: behind the last line wanted. */
static size_t top_end(struct pop3_server *s, struct span bytes)
{
	unsigned char before = s->before[0], last = s->before[1];

	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = bytes.p[i];

		if (!s->in_header && s->lines_left == 0)
			return i;
		if (c == '\n') {
			bool is_empty = last == '\n' || (last == '\r' && before == '\n');

			if (!s->in_header)
				s->lines_left--;
			else if (is_empty)
				s->in_header = false;
		}
		before = last;
		last = c;
	}
	return bytes.n;
}

/* A dot behind any LF is doubled, a bare one too: a client that takes bare LF for an end of line must not see an end of
 * the message that is none. */
static void stuff(struct pop3_server *s, struct span bytes)
{
	unsigned char last = s->before[1];
	size_t from = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] == '.' && (i ? bytes.p[i - 1] : last) == '\n') {
			(void)buf_append(&s->out, span_of(bytes.p + from, i - from));
			(void)buf_append_byte(&s->out, '.');
			from = i;
		}
	}
	(void)buf_append(&s->out, span_from(bytes, from));
	if (bytes.n > 1)
		s->before[0] = bytes.p[bytes.n - 2];
	else if (bytes.n == 1)
		s->before[0] = last;
	if (bytes.n)
		s->before[1] = bytes.p[bytes.n - 1];
}

static void finish_body(struct pop3_server *s)
{
	if (s->before[0] != '\r' || s->before[1] != '\n')
		(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	(void)buf_append(&s->out, SPAN_LIT(".\r\n"));
	pop3_end_job(s);
	pop3_arm(s);
}

static void work_body(struct pop3_server *s)
{
	struct fault why = {0};
	struct span piece;
	size_t n;

	if (s->body_at >= s->store.ops->body_bytes(s->body)) {
		finish_body(s);
		return;
	}
	if (s->store.ops->body_read(s->body, s->body_at, POP3_OUT_FLUSH, &piece, &why) != OK ||
	    piece.n == 0) {
		pop3_move(s, ST_GONE); /* P7 */
		return;
	}
	n = s->lines_left == UINT64_MAX ? piece.n : top_end(s, piece);
	stuff(s, span_first(piece, n));
	s->body_at += n;
	if (n < piece.n)
		finish_body(s);
}

void pop3_work(struct pop3_server *s)
{
	if (s->job == JOB_BODY)
		work_body(s);
	else
		work_listing(s);
}

void pop3_end_job(struct pop3_server *s)
{
	if (s->body)
		s->store.ops->body_close(s->body);
	s->body = NULL;
	s->job = JOB_NONE;
}
