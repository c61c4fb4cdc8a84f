#include "client_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"

struct player {
	struct smtp_client *client;
	struct buf sent;
	bool bytewise;
	const char *where;
};

static void on_output(void *arg, struct span bytes)
{
	struct player *p = arg;

	(void)buf_append(&p->sent, bytes);
}

static void give(struct player *p, struct span bytes,
		 void (*to)(struct smtp_client *c, struct span piece))
{
	size_t step = p->bytewise ? 1 : bytes.n;

	for (size_t at = 0; at < bytes.n; at += step)
		to(p->client, span_first(span_from(bytes, at), step));
}

/*
 * "sender rcpt,rcpt [8bit] [utf8] [verify] [size=N] [envid=X] [hdrs] [notify=N] [orcpt=X]"; the
 * null sender is "<>".
 */
static void begin(struct player *p, struct span args)
{
	struct smtp_client_rcpt rcpts[8] = {0};
	struct smtp_client_mail mail = {.rcpts = rcpts};
	struct span list, word;

	mail.sender = span_cut(&args, ' ');
	if (span_eq(mail.sender, SPAN_LIT("<>")))
		mail.sender = SPAN_NONE;
	list = span_cut(&args, ' ');
	while (list.n)
		rcpts[mail.rcpts_n++].address = span_cut(&list, ',');
	while (args.n) {
		word = span_cut(&args, ' ');
		mail.is_8bit |= span_eq(word, SPAN_LIT("8bit"));
		mail.needs_smtputf8 |= span_eq(word, SPAN_LIT("utf8"));
		mail.verify_only |= span_eq(word, SPAN_LIT("verify"));
		if (span_eq(word, SPAN_LIT("hdrs")))
			mail.ret = 2;
		if (span_starts(word, SPAN_LIT("size=")))
			assert_true(span_to_u64(span_from(word, 5), UINT64_MAX, &mail.size_bytes));
		if (span_starts(word, SPAN_LIT("envid=")))
			mail.envid = span_from(word, 6);
		if (span_starts(word, SPAN_LIT("orcpt=")))
			rcpts[0].orcpt = span_from(word, 6);
		if (span_starts(word, SPAN_LIT("notify=")))
			rcpts[0].notify =
				(uint8_t)(word.p[7] == '1' && word.n == 9 ? 14 : word.p[7] - '0');
	}
	smtp_client_mail(p->client, &mail);
}

static const char *want_name(enum smtp_want want)
{
	static const char *const names[] = {"input",  "tls",	"mail", "body",
					    "permit", "result", "close"};

	return names[want];
}

static void expect(struct player *p, const char *got, const char *wanted)
{
	if (strcmp(got, wanted) != 0)
		fail_msg("%s (%s):\n  wanted \"%s\"\n  got    \"%s\"", p->where,
			 p->bytewise ? "bytewise" : "whole", wanted, got);
}

static void expect_result(struct player *p, const char *text)
{
	static const char *const names[] = {"accepted", "4xx", "5xx", "unreached", "lost"};
	struct smtp_rcpt_result r = smtp_client_result(p->client, (size_t)(text[0] - '0'));
	char got[900];

	(void)snprintf(got, sizeof got, "%c %s %s %u %s %s%s", text[0], names[r.result],
		       smtp_stage_name(r.stage), r.code, r.enhanced[0] ? r.enhanced : "-", r.text,
		       r.is_local ? " (local)" : "");
	expect(p, got, text);
}

static void expect_failure(struct player *p, const char *text)
{
	struct smtp_client_failure f;
	char got[900] = "no";

	if (smtp_client_failed(p->client, &f))
		(void)snprintf(got, sizeof got, "%s %u %s %s", smtp_stage_name(f.stage), f.code,
			       f.enhanced[0] ? f.enhanced : "-", f.text);
	expect(p, got, text);
}

static void play_line(struct player *p, const char *line)
{
	const char *rest = line[1] ? line + 2 : line + 1;

	p->where = line;
	switch (line[0]) {
	case 'S':
		give(p, span_str(rest), smtp_client_input);
		break;
	case 'C':
		expect(p, buf_cstr(&p->sent), rest);
		buf_clear(&p->sent);
		break;
	case 'M':
		begin(p, span_str(rest));
		break;
	case 'B':
		give(p, span_str(rest), smtp_client_body);
		break;
	case 'E':
		smtp_client_body_end(p->client);
		break;
	case 'P':
		smtp_client_permit(p->client);
		break;
	case 'T':
		smtp_client_secured(p->client);
		break;
	case 'L':
		smtp_client_lost(p->client, rest);
		break;
	case 'Q':
		smtp_client_quit(p->client);
		break;
	case 'N':
		smtp_client_next(p->client);
		break;
	case 'W':
		expect(p, want_name(smtp_client_want(p->client)), rest);
		break;
	case 'R':
		expect_result(p, rest);
		break;
	case 'F':
		expect_failure(p, rest);
		break;
	case 'I':
		expect(p, smtp_client_queue_id(p->client), rest);
		break;
	default:
		fail_msg("no such line: %s", line);
	}
}

static void play_once(const struct client_script *script, bool bytewise)
{
	struct player p = {.bytewise = bytewise};
	struct smtp_client_options options = {.helo = SPAN_LIT("us.example"),
					      .tls = script->tls,
					      .auth_in_clear = script->in_clear,
					      .on_output = on_output,
					      .arg = &p};

	if (script->logs_in) {
		options.user = SPAN_LIT("u");
		options.password = SPAN_LIT("p");
	}
	buf_init(&p.sent, 0);
	p.client = smtp_client_new(&options);
	for (size_t i = 0; script->lines[i]; i++)
		play_line(&p, script->lines[i]);
	p.where = script->name;
	expect(&p, buf_cstr(&p.sent), ""); /* a script leaves nothing unread */
	smtp_client_free(p.client);
	buf_fini(&p.sent);
}

void client_script_play(const struct client_script *script)
{
	play_once(script, false);
	play_once(script, true);
}
