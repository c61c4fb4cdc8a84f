#include "imap_client_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"

struct player {
	struct imap_client *client;
	struct buf sent, data;
	bool bytewise;
	const char *where;
};

static void on_output(void *arg, struct span bytes)
{
	buf_append(&((struct player *)arg)->sent, bytes);
}

static void on_box(void *arg, const struct imap_client_box *b)
{
	buf_printf(&((struct player *)arg)->data, "box %.*s %c %x;", SPAN_FMT(b->name),
		   b->delimiter ? b->delimiter : '0', b->flags);
}

static void on_uid(void *arg, uint32_t uid)
{
	buf_printf(&((struct player *)arg)->data, "uid %u;", uid);
}

static void on_message(void *arg, const struct imap_client_message *m)
{
	struct buf *d = &((struct player *)arg)->data;

	buf_printf(d, "msg %u uid %u", m->seq, m->uid);
	if (m->has_flags)
		buf_printf(d, " flags %x [%.*s]", m->flags, SPAN_FMT(m->keywords));
	if (m->has_date)
		buf_printf(d, " date %lld", (long long)m->date_s);
	if (m->has_size)
		buf_printf(d, " size %llu", (unsigned long long)m->size_bytes);
	if (m->modseq)
		buf_printf(d, " modseq %llu", (unsigned long long)m->modseq);
	if (m->header.n)
		buf_printf(d, " header %.*s", SPAN_FMT(m->header));
	buf_printf(d, "%s;", m->has_body ? " body" : "");
}

static void on_body(void *arg, struct span piece)
{
	buf_append(&((struct player *)arg)->data, piece);
}

static void expect(struct player *p, const char *got, const char *wanted)
{
	if (strcmp(got, wanted) != 0)
		fail_msg("%s (%s):\n  wanted \"%s\"\n  got    \"%s\"", p->where,
			 p->bytewise ? "bytewise" : "whole", wanted, got);
}

static uint32_t number(struct span s)
{
	uint64_t v = 0;

	assert_true(!s.n || span_to_u64(s, UINT32_MAX, &v));
	return (uint32_t)v;
}

/* "name argument|argument|..." */
static void command(struct imap_client *c, struct span line)
{
	struct span verb = span_cut(&line, ' '), a[6] = {{0}};

	for (size_t i = 0; i < 6 && line.n; i++)
		a[i] = span_cut(&line, '|');
	if (span_eq(verb, SPAN_LIT("login"))) {
		imap_client_login(c, a[0], a[1], a[2]);
	} else if (span_eq(verb, SPAN_LIT("list"))) {
		imap_client_list(c, a[0]);
	} else if (span_eq(verb, SPAN_LIT("namespace"))) {
		imap_client_namespace(c);
	} else if (span_eq(verb, SPAN_LIT("create"))) {
		imap_client_create(c, a[0], number(a[1]));
	} else if (span_eq(verb, SPAN_LIT("subscribe"))) {
		imap_client_subscribe(c, a[0]);
	} else if (span_eq(verb, SPAN_LIT("select"))) {
		imap_client_select(c, a[0]);
	} else if (span_eq(verb, SPAN_LIT("search"))) {
		imap_client_search_header(c, a[0], a[1]);
	} else if (span_eq(verb, SPAN_LIT("fetch"))) {
		imap_client_fetch(c, number(a[0]), number(a[1]), a[2]);
	} else if (span_eq(verb, SPAN_LIT("body"))) {
		imap_client_fetch_body(c, number(a[0]));
	} else if (span_eq(verb, SPAN_LIT("store"))) {
		imap_client_store(c, number(a[0]), (enum imap_client_how)number(a[1]), number(a[2]),
				  a[3], number(a[4]));
	} else if (span_eq(verb, SPAN_LIT("append"))) {
		const struct imap_client_append append = {.mailbox = a[0],
							  .flags = number(a[1]),
							  .keywords = a[2],
							  .has_date = a[3].n > 0,
							  .date_s = number(a[3]),
							  .size_bytes = number(a[4])};

		imap_client_append(c, &append);
	} else if (span_eq(verb, SPAN_LIT("move"))) {
		imap_client_move(c, number(a[0]), a[1]);
	} else if (span_eq(verb, SPAN_LIT("expunge"))) {
		imap_client_expunge(c, number(a[0]));
	} else if (span_eq(verb, SPAN_LIT("idle"))) {
		imap_client_idle(c);
	} else if (span_eq(verb, SPAN_LIT("noop"))) {
		imap_client_noop(c);
	} else {
		assert_true(span_eq(verb, SPAN_LIT("logout")));
		imap_client_logout(c);
	}
}

static void expect_result(struct player *p, const char *wanted)
{
	static const char *const names[] = {"done", "no", "bad", "local", "lost"};
	struct imap_client_result r = imap_client_result(p->client);
	char got[600], where[40] = "";

	if (r.uid)
		(void)snprintf(where, sizeof where, " %u/%u", r.uidvalidity, r.uid);
	(void)snprintf(got, sizeof got, "%s %d %s%s%s", names[r.outcome], (int)r.code, r.text,
		       where, r.is_modified ? " modified" : "");
	expect(p, got, wanted);
}

static void give(struct player *p, struct span bytes)
{
	size_t step = p->bytewise ? 1 : bytes.n;

	for (size_t at = 0; at < bytes.n; at += step)
		imap_client_input(p->client, span_first(span_from(bytes, at), step));
}

static void play_line(struct player *p, const char *line)
{
	static const char *const wants[] = {"input", "tls", "command", "piece", "result", "close"};
	const char *rest = line[1] ? line + 2 : line + 1;

	p->where = line;
	switch (line[0]) {
	case 'S':
		give(p, span_str(rest));
		break;
	case 'C':
		expect(p, buf_cstr(&p->sent), rest);
		buf_clear(&p->sent);
		break;
	case 'D':
		expect(p, buf_cstr(&p->data), rest);
		buf_clear(&p->data);
		break;
	case '>':
		command(p->client, span_str(rest));
		break;
	case 'P':
		imap_client_append_piece(p->client, span_str(rest));
		break;
	case 'T':
		imap_client_secured(p->client);
		break;
	case 'L':
		imap_client_lost(p->client, rest);
		break;
	case 'N':
		imap_client_next(p->client);
		break;
	case 'I':
		imap_client_idle_end(p->client);
		break;
	case 'W':
		expect(p, wants[imap_client_want(p->client)], rest);
		break;
	case 'R':
		expect_result(p, rest);
		break;
	case 'F':
		expect(p, imap_client_failure(p->client) ? imap_client_failure(p->client) : "no",
		       rest);
		break;
	default:
		fail_msg("what is this line: %s", line);
	}
}

void imap_client_script_play(enum imap_client_tls tls, const char *const *lines)
{
	for (int bytewise = 0; bytewise < 2; bytewise++) {
		struct player p = {.bytewise = bytewise};
		const struct imap_client_options options = {.tls = tls,
							    .on_output = on_output,
							    .on_box = on_box,
							    .on_uid = on_uid,
							    .on_message = on_message,
							    .on_body = on_body,
							    .arg = &p};

		p.client = imap_client_new(&options);
		for (size_t i = 0; lines[i]; i++)
			play_line(&p, lines[i]);
		imap_client_free(p.client);
		buf_fini(&p.sent);
		buf_fini(&p.data);
	}
}
