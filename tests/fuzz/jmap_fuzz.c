/*
 * A request to the JMAP engine over a few mailboxes. The first byte: bits of what the store does (an index, broken, pieces of
 * bodies). Then the body as it came; or, when it begins with "[", its calls alone; or, with "{" and no "using", the filter of
 * an Email/query and of a SearchSnippet/get. The answer must be JSON (the rig looks), the same for any pieces.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../conv/jmap_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HAS_INDEX = 1, IS_BROKEN = 2, PIECES = 4, IS_AWAY = 8, REFUSES = 16 };

static const char mixed[] =
	"From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>, Group: a@b, c;\r\nTo: anna@example.com\r\n"
	"Subject: Re: [list] Report\r\nMessage-ID: <1@x>\r\nReferences: <a@b> <c@d>\r\nDate: Thu, "
	"1 "
	"Jan 2026 10:00:00 +0100\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	"quoted-printable\r\n\r\nGr=FC=DFe noon\r\n--b\r\nContent-Type: "
	"text/html\r\n\r\n<p>Gr&uuml;"
	"&szlig;e <b>noon</b>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
	"in\r\n\r\nx\r\n"
	"--b--\r\n";

/* Somebody who makes what is asked for, or refuses it. */
static void on_step(void *arg, struct jmap *j, enum jmap_step step, struct span piece)
{
	unsigned bits = *(unsigned *)arg;
	struct mail_verdict v = {.code = bits & REFUSES ? MAIL_NOPLACE : MAIL_OK,
				 .number = 1,
				 .thread = 5,
				 .box = 2,
				 .was = 9,
				 .modseq = 10};
	uint64_t ask = 0;

	(void)piece;
	if (step == JMAP_ACT)
		ask = jmap_asked(j)->id;
	else if (step == JMAP_MESSAGE_END)
		ask = jmap_message(j)->id;
	if (!ask)
		return;
	if (bits & IS_AWAY)
		jmap_lost(j, ask, bits & REFUSES, SPAN_LIT("nobody is there"));
	else if (step == JMAP_MESSAGE_END && jmap_message(j)->is_submission)
		jmap_submitted(j, ask,
			       &(struct jmap_submitted){.code = bits & REFUSES ? 550 : 250,
							.message = SPAN_LIT("ab12")});
	else
		jmap_verdict(j, ask, &v);
}

static void furnish(struct jmap_rig *r, unsigned bits)
{
	static unsigned told;

	told = bits;
	jmap_rig_init(r);
	r->host = on_step;
	r->host_arg = &told;
	(void)mail_mem_add_box(&r->mem, "INBOX", MAIL_INBOX);
	(void)mail_mem_add_box(&r->mem, "Work", MAIL_PLAIN);
	(void)mail_mem_add_box(&r->mem, "Work/2026", MAIL_PLAIN);
	for (int i = 0; i < 3; i++)
		(void)mail_mem_add_message(
			&r->mem, i == 1 ? span_str(mixed) : SPAN_LIT("Subject: noon\n\nKoeln\n"),
			i ? 5 : 0);
	(void)mail_mem_put(&r->mem, "INBOX", 1, MAIL_SEEN, "$Work");
	(void)mail_mem_put(&r->mem, "INBOX", 2, 0, NULL);
	(void)mail_mem_put(&r->mem, "Work/2026", 2, MAIL_FLAGGED, NULL);
	(void)mail_mem_put(&r->mem, "Work/2026", 3, 0, NULL);
	r->mem.sent[r->mem.sent_n++].number = 2;
	(void)snprintf(r->mem.sent[0].id, sizeof r->mem.sent[0].id, "ab12");
	r->mem.has_index = bits & HAS_INDEX;
	r->mem.is_broken = bits & IS_BROKEN;
	r->service.limits.calls = 8;
}

static void body_of(struct span in, struct buf *out)
{
	static const char begin[] =
		"{\"using\":[\"urn:ietf:params:jmap:core\",\"urn:ietf:params:jmap:"
		"mail\",\"urn:ietf:params:jmap:submission\"],\"methodCalls\":";
	bool is_filter = in.n && in.p[0] == '{' && !memmem(in.p, in.n, "using", 5);

	if (in.n == 0 || (in.p[0] != '[' && !is_filter)) {
		(void)buf_append(out, in);
		return;
	}
	(void)buf_append(out, span_str(begin));
	if (is_filter)
		(void)buf_append(out,
				 SPAN_LIT("[[\"Email/query\",{\"accountId\":\"A7\",\"filter\":"));
	(void)buf_append(out, in);
	if (is_filter) {
		(void)buf_append(out,
				 SPAN_LIT("},\"0\"],[\"SearchSnippet/get\",{\"accountId\":\"A7\","
					  "\"emailIds\":[\"M1\",\"M2\"],\"filter\":"));
		(void)buf_append(out, in);
		(void)buf_append(out, SPAN_LIT("},\"1\"]]"));
	}
	(void)buf_append_byte(out, '}');
}

static json_t *play(struct jmap_rig *r, unsigned bits, size_t piece, struct span in)
{
	struct buf body = {0};
	json_t *out;

	furnish(r, bits);
	r->mem.read_piece = piece;
	body_of(in, &body);
	out = jmap_rig_send(r, SPAN_LIT("application/json"), buf_span(&body));
	buf_fini(&body);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jmap_rig whole, pieces;
	json_t *a, *b;

	if (size < 1 || size > 8192)
		return 0;
	a = play(&whole, data[0], 0, span_of(data + 1, size - 1));
	b = play(&pieces, data[0], data[0] & PIECES ? 7 : 1, span_of(data + 1, size - 1));
	if (!json_equal(a, b))
		abort();
	json_decref(a);
	json_decref(b);
	jmap_rig_fini(&whole);
	jmap_rig_fini(&pieces);
	return 0;
}
