/*
 * What changes by JMAP, with a host that answers as it is told: which acts are asked, and what is made of verdicts, of none, of
 * a message refused in its middle, of submission's codes. What the real clerk makes of them is tests/e2e/test_jmap_set.py's.
 */
#include "jmap_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

enum { ANSWERS = 16 };

/* One question's answer, in order; the last goes on. */
struct scripted {
	enum { SAYS_OK, SAYS_CODE, SAYS_LOST, SAYS_UNSURE, SAYS_SMTP, SAYS_NO_AT_PIECE } what;
	enum mail_code code;
	unsigned smtp;
	const char *enhanced, *text, *refused;
	uint64_t was, modseq; /* 0: follows */
	struct mail_email_id missing;
};

struct host {
	struct scripted answers[ANSWERS];
	size_t answers_n, at;
	uint64_t modseq;
	struct buf asked;   /* a line for each question */
	struct buf message; /* the last one that came */
	unsigned drops;
};

struct rig {
	struct jmap_rig r;
	struct host host;
	uint64_t inbox, drafts;
};

static void note_ids(struct buf *out, const char *name, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)buf_printf(out, " %s%llu", name, (unsigned long long)ids[i]);
}

static void note_act(struct host *h, const struct mail_act *a)
{
	static const char *const names[] = {
		[MAIL_ACT_CREATE] = "create", [MAIL_ACT_DELETE] = "delete",
		[MAIL_ACT_RENAME] = "rename", [MAIL_ACT_SUBSCRIBE] = "subscribe",
		[MAIL_ACT_EMAIL] = "email",   [MAIL_ACT_SETTING] = "setting",
		[MAIL_ACT_APPEND] = "append", [MAIL_ACT_UNSUBSCRIBE] = "unsubscribe"};

	(void)buf_printf(&h->asked, "%s", names[a->kind]);
	for (size_t i = 0; i < a->emails_n; i++)
		(void)buf_printf(&h->asked, " %llu", (unsigned long long)a->emails[i].number);
	if (a->name.n)
		(void)buf_printf(&h->asked, " '%.*s'", SPAN_FMT(a->name));
	if (a->new_name.n)
		(void)buf_printf(&h->asked, " '%.*s'", SPAN_FMT(a->new_name));
	note_ids(&h->asked, "+", a->into, a->into_n);
	note_ids(&h->asked, "-", a->out_of, a->out_of_n);
	if (a->is_only)
		(void)buf_printf(&h->asked, " only");
	if (a->kind == MAIL_ACT_EMAIL && (a->flags || a->keywords.n || a->how == MAIL_HOW_SET))
		(void)buf_printf(&h->asked, " %s%x[%.*s]", a->how == MAIL_HOW_SET ? "=" : "on",
				 a->flags, SPAN_FMT(a->keywords));
	if (a->flags_off || a->keywords_off.n)
		(void)buf_printf(&h->asked, " off%x[%.*s]", a->flags_off,
				 SPAN_FMT(a->keywords_off));
	if (a->if_state)
		(void)buf_printf(&h->asked, " if%llu", (unsigned long long)a->if_state);
	(void)buf_append_byte(&h->asked, '\n');
}

static void judge(struct host *h, struct jmap *j, uint64_t ask)
{
	const struct scripted *s = &h->answers[h->at < h->answers_n ? h->at++ : h->answers_n - 1];
	struct jmap_refused refused = {span_str(s->refused), 550, SPAN_LIT("5.1.1"),
				       SPAN_LIT("no")};
	struct mail_verdict v = {.code = s->code,
				 .text = SPAN_LIT("a sentence"),
				 .number = 77,
				 .thread = 9,
				 .box = 5,
				 .was = s->was ? s->was : h->modseq,
				 .modseq = s->modseq ? s->modseq : h->modseq + 1,
				 .missing = &s->missing,
				 .missing_n = s->missing.number != 0};

	if (s->what == SAYS_OK) {
		h->modseq = v.modseq;
		jmap_verdict(j, ask, &v);
	} else if (s->what == SAYS_CODE) {
		v.modseq = 0;
		jmap_verdict(j, ask, &v);
	} else if (s->what == SAYS_SMTP) {
		jmap_submitted(j, ask,
			       &(struct jmap_submitted){.code = s->smtp,
							.enhanced = span_str(s->enhanced),
							.text = span_str(s->text),
							.message = SPAN_LIT("abc123"),
							.refused = &refused,
							.refused_n = s->refused != NULL});
	} else {
		jmap_lost(j, ask, s->what != SAYS_UNSURE, SPAN_LIT("a reason"));
	}
}

static void on_step(void *arg, struct jmap *j, enum jmap_step step, struct span piece)
{
	struct host *h = arg;
	const struct jmap_message *m;

	switch (step) {
	case JMAP_ACT:
		note_act(h, jmap_asked(j)->act);
		judge(h, j, jmap_asked(j)->id);
		break;
	case JMAP_MESSAGE_BEGIN:
		buf_clear(&h->message);
		m = jmap_message(j);
		if (m->is_submission)
			(void)buf_printf(&h->asked, "submit <%.*s> to %zu, first <%.*s>\n",
					 SPAN_FMT(m->sender), m->rcpts_n, SPAN_FMT(m->rcpts[0]));
		else
			note_act(h, &m->act);
		break;
	case JMAP_MESSAGE_PIECE:
		(void)buf_append(&h->message, piece);
		must(h->message.n <= jmap_message(j)->bytes_most);
		if (h->at < h->answers_n && h->answers[h->at].what == SAYS_NO_AT_PIECE)
			judge(h, j, jmap_message(j)->id);
		break;
	case JMAP_MESSAGE_END:
		judge(h, j, jmap_message(j)->id);
		break;
	case JMAP_MESSAGE_DROP:
		h->drops++;
		break;
	case JMAP_AGAIN:
	case JMAP_WAIT:
	case JMAP_DONE:
		break;
	}
}

static void begin(struct rig *g)
{
	*g = (struct rig){.host = {.answers_n = 1}};
	jmap_rig_init(&g->r);
	g->r.host = on_step;
	g->r.host_arg = &g->host;
	g->inbox = mail_mem_add_box(&g->r.mem, "INBOX", MAIL_INBOX)->id;
	g->drafts = mail_mem_add_box(&g->r.mem, "Drafts", MAIL_DRAFTS)->id;
	(void)mail_mem_add_box(&g->r.mem, "Work", MAIL_PLAIN);
	for (int i = 0; i < 3; i++) {
		(void)mail_mem_add_message(
			&g->r.mem,
			SPAN_LIT("From: Anna <anna@example.com>\r\nTo: \"b, c\" "
				 "<b@example.org>,\r\n "
				 "B@example.org\r\nCc: team: d@example.org;\r\n\r\ntext\r\n"),
			0);
		(void)mail_mem_put(&g->r.mem, "INBOX", (uint64_t)i + 1, 0, NULL);
	}
	g->host.modseq = g->r.mem.modseq;
}

static void end(struct rig *g)
{
	buf_fini(&g->host.asked);
	buf_fini(&g->host.message);
	jmap_rig_fini(&g->r);
}

static const char *asked(struct rig *g)
{
	return buf_cstr(&g->host.asked);
}

static void expect(const json_t *answer, const char *path, const char *value)
{
	const char *text = jmap_text_of(jmap_at(answer, path));

	if (strcmp(text, value) != 0)
		fail_msg("%s\n  is       %s\n  expected %s\n  in %s", path, text, value,
			 jmap_text_of(answer));
}

/* A call, what it must say at paths (pairs up to NULL), and what must have been asked. */
static void row(struct rig *g, const char *method, const char *args, const char *questions, ...)
{
	json_t *answer;
	const char *path;
	va_list list;

	buf_clear(&g->host.asked);
	g->host.at = 0;
	answer = jmap_rig_call(&g->r, method, args);
	va_start(list, questions);
	while ((path = va_arg(list, const char *)) != NULL)
		expect(answer, path, va_arg(list, const char *));
	va_end(list);
	if (questions)
		assert_string_equal(asked(g), questions);
	json_decref(answer);
}

static void answers(struct rig *g, size_t n, const struct scripted *list)
{
	memcpy(g->host.answers, list, n * sizeof *list);
	g->host.answers_n = n;
}

/* ---- Email/set ---- */

static void what_is_the_same_is_one_act(void **state)
{
	struct rig g;

	(void)state;
	begin(&g);
	row(&g, "Email/set",
	    "'update':{'M3':{'keywords/$seen':true},'M1':{'keywords/$seen':true},"
	    "'M2':{'keywords/$seen':null,'keywords/B':true,'keywords/a':true}},"
	    "'destroy':['M2x','M1']",
	    "email 3 on1[]\nemail 2 on0[a b] off1[]\nemail 1 only\n", "notUpdated/M1/type",
	    "\"willDestroy\"", "updated/M3", "null", "updated/M2", "null", "destroyed", "[\"M1\"]",
	    "notDestroyed/M2x/type", "\"notFound\"", NULL);
	row(&g, "Email/set",
	    "'update':{'M3':{'keywords':{'$flagged':true}},'M1':{'keywords':{'$flagged':true}}}",
	    "email 1 3 =4[]\n", NULL);
	end(&g);
}

static void one_without_a_place_does_not_stop_the_others(void **state)
{
	static const struct scripted list[] = {
		{.what = SAYS_CODE, .code = MAIL_NOPLACE},
		{.what = SAYS_OK},
		{.what = SAYS_CODE, .code = MAIL_NOPLACE},
		{.what = SAYS_OK, .missing = {3, MAIL_AS_DELIVERED}},
	};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 4, list);
	row(&g, "Email/set",
	    "'update':{'M1':{'mailboxIds/F1':null},'M2':{'mailboxIds/F1':null},"
	    "'M3':{'mailboxIds/F1':null}}",
	    "email 1 2 3 -1\nemail 1 -1\nemail 2 -1\nemail 3 -1\n", "updated", "{\"M1\":null}",
	    "notUpdated/M2/type", "\"invalidProperties\"", "notUpdated/M3/type", "\"notFound\"",
	    NULL);
	end(&g);
}

/* RFC 8620 s5.3: what is the server's may be in a patch when it is so already; a path that leads nowhere is no patch. */
static void what_is_ours_may_be_said(void **state)
{
	struct rig g;
	json_t *ids;
	char args[400];

	(void)state;
	begin(&g);
	row(&g, "Email/set",
	    "'update':{'M1':{'id':'M1','blobId':'GM1','keywords/$seen':true},"
	    "'M2':{'id':'M1','keywords/$seen':true},'M3':{'size':1,'keywords/$seen':true}}",
	    "email 1 on1[]\n", "updated", "{\"M1\":null}", "notUpdated/M2/type",
	    "\"invalidProperties\"", "notUpdated/M2/properties", "[\"id\"]",
	    "notUpdated/M3/properties", "[\"size\"]", NULL);
	row(&g, "Email/set",
	    "'update':{'M1':{'keywords/a/b':true},'M2':{'mailboxIds/F1/x':true},"
	    "'M3':{'subject':'x'}}",
	    "", "notUpdated/M1/type", "\"invalidPatch\"", "notUpdated/M2/type", "\"invalidPatch\"",
	    "notUpdated/M3/type", "\"invalidProperties\"", NULL);
	ids = jmap_rig_call(&g.r, "Identity/get", "'ids':null");
	(void)snprintf(args, sizeof args,
		       "'update':{'%s':{'id':'%s','mayDelete':false,'email':'%s','name':'New'}}",
		       json_string_value(jmap_at(ids, "list/0/id")),
		       json_string_value(jmap_at(ids, "list/0/id")),
		       json_string_value(jmap_at(ids, "list/0/email")));
	row(&g, "Identity/set", args, NULL, "notUpdated", "null", NULL);
	row(&g, "Identity/changes", "'sinceState':'1','maxChanges':0", "", "type",
	    "\"invalidArguments\"", NULL);
	row(&g, "Identity/changes", "'sinceState':'1'", "", "type", "\"cannotCalculateChanges\"",
	    NULL);
	row(&g, "Identity/changes", "'sinceState':'1','since':1", "", "type",
	    "\"invalidArguments\"", NULL);
	(void)snprintf(args, sizeof args, "'sinceState':'%s'",
		       json_string_value(jmap_at(ids, "state")));
	row(&g, "Identity/changes", args, "", "updated", "[]", "hasMoreChanges", "false", NULL);
	(void)snprintf(args, sizeof args, "'update':{'%s':{'mayDelete':true}}",
		       json_string_value(jmap_at(ids, "list/0/id")));
	row(&g, "Identity/set", args, "", "updated", "null", NULL);
	json_decref(ids);
	end(&g);
}

/* H-11: a patch with a path for each of many keywords costs no more than an object of them. */
static void h_11_a_patch_of_many_keywords(void **state)
{
	struct rig g;
	struct buf args = {0};

	(void)state;
	begin(&g);
	(void)buf_printf(&args, "'update':{'M1':{'keywords/k0':true");
	for (int i = 1; i < 50000; i++)
		(void)buf_printf(&args, ",'keywords/k%d':true", i);
	(void)buf_printf(&args, "}}");
	row(&g, "Email/set", buf_cstr(&args), "", "notUpdated/M1/type", "\"tooManyKeywords\"",
	    NULL);
	assert_true(g.r.took_ms < 2000);
	buf_fini(&args);
	end(&g);
}

static void states_hold_only_what_follows(void **state)
{
	static const struct scripted between[] = {{.what = SAYS_OK, .was = 50, .modseq = 51},
						  {.what = SAYS_OK, .was = 51, .modseq = 52},
						  {.what = SAYS_OK, .was = 60, .modseq = 61}};
	static const struct scripted other[] = {{.what = SAYS_CODE, .code = MAIL_STATE}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 3, between);
	row(&g, "Email/set",
	    "'update':{'M1':{'keywords/a':true},'M2':{'keywords/b':true},'M3':{'keywords/c':true}}",
	    NULL, "oldState", "\"50\"", "newState", "\"52\"", NULL);
	answers(&g, 1, other);
	{
		char args[200];

		(void)snprintf(args, sizeof args,
			       "'ifInState':'%llu','update':{'M1':{'keywords/a':true}}",
			       (unsigned long long)g.r.mem.modseq);
		row(&g, "Email/set", args, NULL, "type", "\"stateMismatch\"", NULL);
		assert_non_null(strstr(asked(&g), " if"));
	}
	row(&g, "Email/set", "'ifInState':'1','update':{'M1':{'keywords/a':true}}", "", "type",
	    "\"stateMismatch\"", NULL);
	end(&g);
}

static void without_a_verdict_nobody_says_it_is_done(void **state)
{
	static const struct scripted away[] = {{.what = SAYS_LOST}},
				     unsure[] = {{.what = SAYS_UNSURE}},
				     late[] = {{.what = SAYS_OK}, {.what = SAYS_LOST}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 1, away);
	row(&g, "Email/set", "'destroy':['M1']", NULL, "type", "\"serverUnavailable\"", NULL);
	answers(&g, 1, unsure);
	row(&g, "Email/set", "'destroy':['M1']", NULL, "type", "\"serverPartialFail\"", NULL);
	answers(&g, 2, late);
	row(&g, "Email/set", "'update':{'M1':{'keywords/a':true}},'destroy':['M2']", NULL, "type",
	    "\"serverPartialFail\"", NULL);
	end(&g);
}

#define DRAFT                                                                                      \
	"{'mailboxIds':{'F2':true},'subject':'x','from':[{'email':'anna@example.com'}],"           \
	"'textBody':[{'partId':'1'}],'bodyValues':{'1':{'value':'text'}}}"

static void a_message_may_be_refused_at_any_time(void **state)
{
	static const struct scripted no[] = {{.what = SAYS_NO_AT_PIECE}},
				     end_no[] = {{.what = SAYS_LOST}},
				     end_unsure[] = {{.what = SAYS_UNSURE}},
				     full[] = {{.what = SAYS_CODE, .code = MAIL_LIMIT}},
				     fine[] = {{.what = SAYS_OK}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 1, no);
	row(&g, "Email/set", "'create':{'k':" DRAFT "}", NULL, "notCreated/k/type", "\"tooLarge\"",
	    NULL);
	answers(&g, 1, end_no);
	row(&g, "Email/set", "'create':{'k':" DRAFT "}", NULL, "notCreated/k/type",
	    "\"serverUnavailable\"", NULL);
	answers(&g, 1, full);
	row(&g, "Email/set", "'create':{'k':" DRAFT "}", NULL, "notCreated/k/type", "\"overQuota\"",
	    NULL);
	answers(&g, 1, end_unsure);
	row(&g, "Email/set", "'create':{'k':" DRAFT "}", NULL, "type", "\"serverPartialFail\"",
	    NULL);
	assert_int_equal(g.host.drops, 0); /* who was refused needs no telling */
	answers(&g, 1, fine);
	row(&g, "Email/set",
	    "'create':{'k':{'mailboxIds':{'F2':true,'F1':true},'keywords':{'$draft':true}}}",
	    "append\nemail 77 +1\n", "created/k/id", "\"M77\"", "created/k/blobId", "\"GM77\"",
	    "created/k/threadId", "\"T9\"", NULL);
	assert_non_null(memmem(g.host.message.p, g.host.message.n, "Message-ID: <", 13));
	end(&g);
}

/* RFC 8621 s4.6: Message-ID and Date are there, however the client says that it has none. */
static void what_is_missing_is_added(void **state)
{
	static const char *const rows[] = {
		"'messageId':null,'sentAt':null",
		"'messageId':[]",
		"'header:Message-ID:asMessageIds':null,'header:Date:asDate':null",
		"'header:Message-ID:asMessageIds:all':[],'header:Date:all':[]",
	};
	static const struct scripted fine[] = {{.what = SAYS_OK}};
	struct rig g;
	char args[300];

	(void)state;
	begin(&g);
	answers(&g, 1, fine);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		(void)snprintf(args, sizeof args, "'create':{'k':{'mailboxIds':{'F2':true},%s}}",
			       rows[i]);
		row(&g, "Email/set", args, "append\n", "created/k/id", "\"M77\"", NULL);
		assert_non_null(memmem(g.host.message.p, g.host.message.n, "Message-ID: <", 13));
		assert_non_null(memmem(g.host.message.p, g.host.message.n, "Date: ", 6));
	}
	row(&g, "Email/set",
	    "'create':{'k':{'mailboxIds':{'F2':true},'messageId':null,"
	    "'header:Message-ID:asMessageIds':['a@b']}}",
	    "", "notCreated/k/type", "\"invalidProperties\"", NULL);
	end(&g);
}

static void a_blob_goes_in_as_it_is(void **state)
{
	static const struct scripted fine[] = {{.what = SAYS_OK}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 1, fine);
	row(&g, "Email/import",
	    "'emails':{'k':{'blobId':'GM2','mailboxIds':{'F2':true}},"
	    "'m':{'blobId':'GM9','mailboxIds':{'F2':true}},"
	    "'t':{'blobId':'GM2p0','mailboxIds':{'F2':true}}}",
	    "append\nappend\n", "created/k/id", "\"M77\"", "notCreated/m/type", "\"blobNotFound\"",
	    "notCreated/m/notFound", "[\"GM9\"]", "notCreated/t/type", "\"invalidEmail\"", NULL);
	assert_int_equal(g.host.drops, 1);
	end(&g);
}

/* ---- EmailSubmission/set ---- */

static char submit[400];

static void set_submit(struct rig *g, const char *more)
{
	json_t *ids = jmap_rig_call(&g->r, "Identity/get", "'ids':null");

	(void)snprintf(submit, sizeof submit, "'create':{'s':{'emailId':'M1','identityId':'%s'}}%s",
		       json_string_value(jmap_at(ids, "list/0/id")), more);
	json_decref(ids);
}

static void the_header_makes_the_envelope(void **state)
{
	static const struct scripted fine[] = {{.what = SAYS_SMTP, .smtp = 250}, {.what = SAYS_OK}};
	struct rig g;
	json_t *all;
	char calls[800];

	(void)state;
	begin(&g);
	answers(&g, 2, fine);
	set_submit(&g, ",'onSuccessUpdateEmail':{'#s':{'keywords/$draft':null}}");
	(void)snprintf(calls, sizeof calls,
		       "[['EmailSubmission/set',{'accountId':'A7',%s},'0'],"
		       "['Core/echo',{},'1']]",
		       submit);
	buf_clear(&g.host.asked);
	all = jmap_rig_calls(&g.r, calls);
	assert_string_equal(asked(&g), "submit <anna@example.com> to 2, first <b@example.org>\n"
				       "email 1 off10[]\n");
	expect(all, "methodResponses/0/1/created/s/id", "\"abc123\"");
	expect(all, "methodResponses/1/0", "\"Email/set\"");
	expect(all, "methodResponses/1/2", "\"0\"");
	expect(all, "methodResponses/1/1/updated", "{\"M1\":null}");
	expect(all, "methodResponses/2/0", "\"Core/echo\"");
	json_decref(all);
	end(&g);
}

static void refusals_of_sending_have_names(void **state)
{
	static const struct {
		struct scripted answer;
		const char *type;
	} rows[] = {
		{{.what = SAYS_SMTP, .smtp = 550, .enhanced = "5.1.1", .refused = "b@example.org"},
		 "\"invalidRecipients\""},
		{{.what = SAYS_SMTP, .smtp = 550, .enhanced = "5.7.1"}, "\"forbiddenFrom\""},
		{{.what = SAYS_SMTP, .smtp = 553, .enhanced = "5.7.1"}, "\"forbiddenMailFrom\""},
		{{.what = SAYS_SMTP, .smtp = 552, .enhanced = "5.3.4"}, "\"tooLarge\""},
		{{.what = SAYS_SMTP, .smtp = 554, .enhanced = "5.6.0"}, "\"invalidEmail\""},
		{{.what = SAYS_SMTP, .smtp = 450, .enhanced = "4.7.1"}, "\"rateLimit\""},
		{{.what = SAYS_SMTP, .smtp = 452, .enhanced = "4.3.1"}, "\"serverUnavailable\""},
		{{.what = SAYS_SMTP, .smtp = 521}, "\"forbiddenToSend\""},
		{{.what = SAYS_LOST}, "\"serverUnavailable\""},
		{{.what = SAYS_NO_AT_PIECE}, "\"serverUnavailable\""},
	};
	static const struct scripted unsure[] = {{.what = SAYS_UNSURE}};
	struct rig g;

	(void)state;
	begin(&g);
	set_submit(&g, ",'onSuccessDestroyEmail':['#s']");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		answers(&g, 1, &rows[i].answer);
		row(&g, "EmailSubmission/set", submit,
		    "submit <anna@example.com> to 2, first <b@example.org>\n", "created", "null",
		    "notCreated/s/type", rows[i].type, NULL);
	}
	answers(&g, 1, unsure);
	row(&g, "EmailSubmission/set", submit, NULL, "type", "\"serverPartialFail\"", NULL);
	end(&g);
}

static void what_was_sent_is_found(void **state)
{
	struct rig g;

	(void)state;
	begin(&g);
	g.r.mem.sent_n = 2;
	(void)snprintf(g.r.mem.sent[0].id, sizeof g.r.mem.sent[0].id, "s1");
	(void)snprintf(g.r.mem.sent[1].id, sizeof g.r.mem.sent[1].id, "s2");
	g.r.mem.sent[0].number = 1;
	g.r.mem.sent[1].number = 2;
	row(&g, "EmailSubmission/get", "'ids':['s2','s9']", "", "list/0/emailId", "\"M2\"",
	    "list/0/deliveryStatus/b@example.org/delivered", "\"no\"",
	    "list/0/deliveryStatus/b@example.org/smtpReply", "\"550 5.1.1 no\"",
	    "list/0/envelope/rcptTo/0/email", "\"b@example.org\"", "notFound", "[\"s9\"]", NULL);
	row(&g, "EmailSubmission/query",
	    "'sort':[{'property':'emailId','isAscending':false}],'calculateTotal':true", "", "ids",
	    "[\"s2\",\"s1\"]", "total", "2", NULL);
	row(&g, "EmailSubmission/query", "'filter':{'emailIds':['M1']}", "", "ids", "[\"s1\"]",
	    NULL);
	row(&g, "EmailSubmission/query", "'filter':{'undoStatus':'pending'}", "", "ids", "[]",
	    NULL);
	row(&g, "EmailSubmission/query", "'anchor':'s2'", "", "ids", "[\"s2\"]", NULL);
	row(&g, "EmailSubmission/query", "'filter':{'nothing':1}", "", "type",
	    "\"unsupportedFilter\"", NULL);
	row(&g, "EmailSubmission/query", "'sort':[{'property':'size'}]", "", "type",
	    "\"unsupportedSort\"", NULL);
	row(&g, "EmailSubmission/query", "'sort':[{'property':'sentAt','isAscending':1}]", "",
	    "type", "\"invalidArguments\"", NULL);
	row(&g, "EmailSubmission/query", "'filter':{'emailIds':'M1'}", "", "type",
	    "\"invalidArguments\"", NULL);
	row(&g, "Mailbox/query", "'sort':[{'property':'name','collation':'i;unheard-of'}]", "",
	    "type", "\"unsupportedSort\"", NULL);
	row(&g, "Mailbox/query", "'sort':[{'property':'name','isAscending':'no'}]", "", "type",
	    "\"invalidArguments\"", NULL);
	row(&g, "EmailSubmission/set", "'update':{'s1':{'undoStatus':'canceled'},'s9':{}}", "",
	    "notUpdated/s1/type", "\"cannotUnsend\"", "notUpdated/s9/type", "\"notFound\"", NULL);
	end(&g);
}

/* ---- Mailbox/set, Identity/set ---- */

static void what_comes_into_a_mailbox_is_not_lost_with_it(void **state)
{
	static const struct scripted moved[] = {{.what = SAYS_CODE, .code = MAIL_STATE},
						{.what = SAYS_CODE, .code = MAIL_STATE},
						{.what = SAYS_OK}};
	static const struct scripted always[] = {{.what = SAYS_CODE, .code = MAIL_STATE}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 3, moved);
	row(&g, "Mailbox/set", "'destroy':['F3']", NULL, "destroyed", "[\"F3\"]", NULL);
	assert_non_null(strstr(asked(&g), "delete 'Work' if"));
	answers(&g, 1, always);
	row(&g, "Mailbox/set", "'destroy':['F3']", NULL, "type", "\"stateMismatch\"", NULL);
	row(&g, "Mailbox/set", "'destroy':['F1','F2','F9']", "", "notDestroyed/F1/type",
	    "\"forbidden\"", "notDestroyed/F9/type", "\"notFound\"", NULL);
	end(&g);
}

static void names_become_paths(void **state)
{
	static const struct scripted fine[] = {{.what = SAYS_OK}},
				     taken[] = {{.what = SAYS_CODE, .code = MAIL_ALREADYEXISTS}};
	struct rig g;

	(void)state;
	begin(&g);
	answers(&g, 1, fine);
	row(&g, "Mailbox/set", "'create':{'k':{'name':'2026','parentId':'F3'}}",
	    "create 'Work/2026'\n", "created/k/id", "\"F5\"", NULL);
	row(&g, "Mailbox/set", "'create':{'k':{'name':'New'}}", "create 'New'\n",
	    "created/k/parentId", "null", NULL); /* what was not said is told */
	row(&g, "Mailbox/set", "'update':{'F3':{'name':'Play'}}", "rename 'Work' 'Play'\n",
	    "updated", "{\"F3\":null}", NULL);
	row(&g, "Mailbox/set", "'update':{'F3':{'parentId':'F1'}}", "rename 'Work' 'INBOX/Work'\n",
	    NULL);
	answers(&g, 1, taken);
	row(&g, "Mailbox/set", "'create':{'k':{'name':'New'}}", NULL, "notCreated/k/type",
	    "\"invalidProperties\"", NULL);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_the_same_is_one_act),
		cmocka_unit_test(one_without_a_place_does_not_stop_the_others),
		cmocka_unit_test(what_is_ours_may_be_said),
		cmocka_unit_test(h_11_a_patch_of_many_keywords),
		cmocka_unit_test(states_hold_only_what_follows),
		cmocka_unit_test(without_a_verdict_nobody_says_it_is_done),
		cmocka_unit_test(a_message_may_be_refused_at_any_time),
		cmocka_unit_test(what_is_missing_is_added),
		cmocka_unit_test(a_blob_goes_in_as_it_is),
		cmocka_unit_test(the_header_makes_the_envelope),
		cmocka_unit_test(refusals_of_sending_have_names),
		cmocka_unit_test(what_was_sent_is_found),
		cmocka_unit_test(what_comes_into_a_mailbox_is_not_lost_with_it),
		cmocka_unit_test(names_become_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
