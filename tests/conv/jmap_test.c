/* JMAP's core over mailboxes in memory (RFC 8620): requests, errors, limits, references, the session, push; H-11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>

#include "base/must.h"
#include "jmap_rig.h"

static struct jmap_rig rig;

static int furnish(void **state)
{
	(void)state;
	jmap_rig_init(&rig);
	(void)mail_mem_add_box(&rig.mem, "INBOX", MAIL_INBOX);
	for (int i = 0; i < 4; i++) {
		char text[80];

		(void)snprintf(text, sizeof text, "Subject: n%d\r\n\r\ntext %d\r\n", i, i);
		(void)mail_mem_put(&rig.mem, "INBOX",
				   mail_mem_add_message(&rig.mem, span_str(text), i < 2 ? 5 : 0), 0,
				   NULL);
	}
	return 0;
}

static int clear(void **state)
{
	(void)state;
	jmap_rig_fini(&rig);
	return 0;
}

/* ---- the whole request ---- */

#define USING "\"using\":[\"urn:ietf:params:jmap:core\",\"urn:ietf:params:jmap:mail\"]"
#define ERROR "urn:ietf:params:jmap:error:"

static void expect_refused(const char *name, struct span type, struct span body, const char *error,
			   const char *limit)
{
	json_t *a = jmap_rig_send(&rig, type, body);
	const char *got = json_string_value(json_object_get(a, "type"));
	const char *got_limit = json_string_value(json_object_get(a, "limit"));

	if (!got || strcmp(got, error) != 0 || rig.status != 400)
		fail_msg("%s: %u %.*s", name, rig.status, SPAN_FMT(buf_span(&rig.said)));
	assert_int_equal(json_integer_value(json_object_get(a, "status")), 400);
	assert_true(json_is_string(json_object_get(a, "detail")));
	assert_string_equal(got_limit ? got_limit : "", limit);
	json_decref(a);
}

static void requests_that_are_none(void **state)
{
	static const struct {
		const char *name, *type, *body, *error, *limit;
	} rows[] = {
		{"another type", "text/plain", "{" USING ",\"methodCalls\":[]}", ERROR "notJSON",
		 ""},
		{"no type", "", "{" USING ",\"methodCalls\":[]}", ERROR "notJSON", ""},
		{"nothing", "application/json", "", ERROR "notJSON", ""},
		{"no JSON", "application/json", "{" USING ",", ERROR "notJSON", ""},
		{"something behind", "application/json", "{" USING ",\"methodCalls\":[]} x",
		 ERROR "notJSON", ""},
		{"H-11 duplicate names", "application/json",
		 "{" USING "," USING ",\"methodCalls\":[]}", ERROR "notJSON", ""},
		{"H-11 duplicate names in arguments", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":1,\"a\":2},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"H-11 1e309", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":1e309},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"H-11 an integer beyond 64 bits", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":99999999999999999999},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"H-11 a lone surrogate", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"\\ud800\"},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"H-11 the second half of a surrogate", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"\\udc00\"},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"H-11 an escaped NUL", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"\\u0000\"},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"not UTF-8", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"\xff\"},\"0\"]]}",
		 ERROR "notJSON", ""},
		{"a text", "application/json", "\"using\"", ERROR "notRequest", ""},
		{"an array", "application/json", "[]", ERROR "notRequest", ""},
		{"no calls", "application/json", "{" USING "}", ERROR "notRequest", ""},
		{"no using", "application/json", "{\"methodCalls\":[]}", ERROR "notRequest", ""},
		{"using a number", "application/json", "{\"using\":[1],\"methodCalls\":[]}",
		 ERROR "notRequest", ""},
		{"a call of two", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",{}]]}", ERROR "notRequest", ""},
		{"a call without an object", "application/json",
		 "{" USING ",\"methodCalls\":[[\"Core/echo\",[],\"0\"]]}", ERROR "notRequest", ""},
		{"created ids that are none", "application/json",
		 "{" USING ",\"methodCalls\":[],\"createdIds\":{\"a\":1}}", ERROR "notRequest", ""},
		{"an unknown capability", "application/json",
		 "{\"using\":[\"https://example.com/apis/foobar\"],\"methodCalls\":[]}",
		 ERROR "unknownCapability", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_refused(rows[i].name, span_str(rows[i].type), span_str(rows[i].body),
			       rows[i].error, rows[i].limit);
	expect_refused("H-11 a NUL", SPAN_LIT("application/json"),
		       SPAN_LIT("{\"using\":[],\"methodCalls\":[]\0}"), ERROR "notJSON", "");
}

/* Many times the same text, between two others. */
static void fill(struct buf *out, const char *before, const char *again, size_t times,
		 const char *after)
{
	buf_clear(out);
	(void)buf_printf(out, "%s", before);
	for (size_t i = 0; i < times; i++)
		(void)buf_append(out, span_str(again));
	(void)buf_printf(out, "%s", after);
}

static long resident_kb(void)
{
	struct rusage use;

	assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
	return use.ru_maxrss;
}

static void h_11_sizes(void **state)
{
	struct buf body = {0};
	json_t *a;
	long before;

	(void)state;
	fill(&body, "{" USING ",\"methodCalls\":[", "[\"Core/echo\",{},\"0\"],",
	     rig.service.limits.calls - 1, "[\"Core/echo\",{},\"0\"]]}");
	a = jmap_rig_send(&rig, SPAN_LIT("application/json"), buf_span(&body));
	assert_int_equal(rig.status, 200);
	assert_int_equal(json_array_size(json_object_get(a, "methodResponses")),
			 rig.service.limits.calls);
	json_decref(a);
	fill(&body, "{" USING ",\"methodCalls\":[", "[\"Core/echo\",{},\"0\"],",
	     rig.service.limits.calls, "[\"Core/echo\",{},\"0\"]]}");
	expect_refused("maxCalls + 1", SPAN_LIT("application/json"), buf_span(&body), ERROR "limit",
		       "maxCallsInRequest");

	before = resident_kb();
	fill(&body, "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":", "[", 100000, "");
	expect_refused("depth 100,000", SPAN_LIT("application/json"), buf_span(&body),
		       ERROR "notJSON", "");
	assert_true(rig.took_ms < 50);
	fill(&body, "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"", "0123456789", 1000000,
	     "\"},\"0\"]]}");
	expect_refused("10 MB", SPAN_LIT("application/json"), buf_span(&body), ERROR "limit",
		       "maxSizeRequest");
	assert_true(rig.took_ms < 50);
	fill(&body, "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":[", "[],", 3000000,
	     "[]]},\"0\"]]}");
	expect_refused("9 MB of arrays", SPAN_LIT("application/json"), buf_span(&body),
		       ERROR "limit", "maxSizeRequest");
	assert_true(rig.took_ms < 50);
	assert_true(resident_kb() - before < 64 << 10); /* the text itself grows by doubling */

	/* brackets in texts are no depth, and what is deep but fits is taken */
	fill(&body, "{" USING ",\"methodCalls\":[[\"Core/echo\",{\"a\":\"", "[\\\"", 10000,
	     "\"},\"0\"]]}");
	a = jmap_rig_send(&rig, SPAN_LIT("application/json"), buf_span(&body));
	assert_int_equal(rig.status, 200);
	json_decref(a);
	buf_fini(&body);
}

/* ---- calls ---- */

static const char *one_line(const char *calls)
{
	json_t *a = jmap_rig_calls(&rig, calls);
	const char *text = jmap_text_of(json_object_get(a, "methodResponses"));

	json_decref(a);
	return text;
}

static void echo(void **state)
{
	(void)state; /* RFC 8620 s4.1 */
	assert_string_equal(one_line("[['Core/echo',{'hello':true,'high':5},'b3ff']]"),
			    "[[\"Core/echo\",{\"hello\":true,\"high\":5},\"b3ff\"]]");
	assert_string_equal(one_line("[]"), "[]");
}

static void created_ids_come_back(void **state)
{
	json_t *a = jmap_rig_send(&rig, SPAN_LIT("Application/JSON"),
				  SPAN_LIT("{\"using\":[],\"methodCalls\":[],"
					   "\"createdIds\":{\"k1\":\"M7\"},\"unknown\":1}"));

	(void)state;
	assert_int_equal(rig.status, 200);
	assert_string_equal(jmap_text_of(json_object_get(a, "createdIds")), "{\"k1\":\"M7\"}");
	assert_true(json_is_string(json_object_get(a, "sessionState")));
	json_decref(a);
	a = jmap_rig_calls(&rig, "[]");
	assert_null(json_object_get(a, "createdIds"));
	json_decref(a);
}

static void errors_of_calls(void **state)
{
	static const struct {
		const char *call, *error;
	} rows[] = {
		{"['Foo/get',{'accountId':'A7'},'0']", "unknownMethod"},
		{"['Email/get',{'ids':[]},'0']", "invalidArguments"},
		{"['Email/get',{'accountId':7,'ids':[]},'0']", "invalidArguments"},
		{"['Email/get',{'accountId':'A8','ids':[]},'0']", "accountNotFound"},
		{"['Email/get',{'accountId':'A07','ids':[]},'0']", "accountNotFound"},
		{"['Email/get',{'accountId':'A7','ids':null},'0']", "requestTooLarge"},
		{"['Email/get',{'accountId':'A7','ids':[1]},'0']", "invalidArguments"},
		{"['Email/get',{'accountId':'A7','ids':['a b']},'0']", "invalidArguments"},
		{"['Email/get',{'accountId':'A7','ids':[],'foo':1},'0']", "invalidArguments"},
		{"['Email/get',{'accountId':'A7','ids':[],'properties':['foo']},'0']",
		 "invalidArguments"},
		{"['Email/get',{'accountId':'A7','ids':[],'properties':['header:From:asDate']},'0'"
		 "]",
		 "invalidArguments"},
		{"['Email/get',{'accountId':'A7','ids':[],'maxBodyValueBytes':-1},'0']",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','limit':-1},'0']", "invalidArguments"},
		{"['Email/query',{'accountId':'A7','limit':9007199254740992},'0']",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','filter':{'foo':1}},'0']", "unsupportedFilter"},
		{"['Email/query',{'accountId':'A7','filter':{'minSize':'x'}},'0']",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','filter':{'before':'2026-01-01'}},'0']",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','filter':{'operator':'XOR','conditions':[]}},'0'"
		 "]",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','sort':[{'property':'foo'}]},'0']",
		 "unsupportedSort"},
		{"['Email/query',{'accountId':'A7','sort':[{'property':'subject','collation':'i;"
		 "klingon'}]},'0']",
		 "unsupportedSort"},
		{"['Email/query',{'accountId':'A7','sort':[{'property':'hasKeyword'}]},'0']",
		 "invalidArguments"},
		{"['Email/query',{'accountId':'A7','anchor':'M99'},'0']", "anchorNotFound"},
		{"['Email/changes',{'accountId':'A7'},'0']", "invalidArguments"},
		{"['Email/changes',{'accountId':'A7','sinceState':'x'},'0']",
		 "cannotCalculateChanges"},
		{"['Email/changes',{'accountId':'A7','sinceState':'99999'},'0']",
		 "cannotCalculateChanges"},
		{"['Email/changes',{'accountId':'A7','sinceState':'10','maxChanges':0},'0']",
		 "invalidArguments"},
		{"['Mailbox/get',{'accountId':'A7','properties':['id','foo']},'0']",
		 "invalidArguments"},
		{"['Thread/get',{'accountId':'A7','ids':null},'0']", "requestTooLarge"},
		{"['SearchSnippet/get',{'accountId':'A7','filter':{'text':'x'}},'0']",
		 "invalidArguments"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char calls[400];
		json_t *a;
		const json_t *error;

		(void)snprintf(calls, sizeof calls, "[%s]", rows[i].call);
		a = jmap_rig_calls(&rig, calls);
		error = jmap_at(a, "methodResponses/0/1/type");
		if (!error || strcmp(json_string_value(error), rows[i].error) != 0)
			fail_msg("%s: %s", rows[i].call, jmap_text_of(a));
		assert_string_equal(json_string_value(jmap_at(a, "methodResponses/0/0")), "error");
		json_decref(a);
	}
}

static void a_capability_that_is_not_used(void **state)
{
	json_t *a =
		jmap_rig_send(&rig, SPAN_LIT("application/json"),
			      SPAN_LIT("{\"using\":[\"urn:ietf:params:jmap:core\"],\"methodCalls\":"
				       "[[\"Mailbox/get\","
				       "{\"accountId\":\"A7\"},\"0\"],[\"Core/echo\",{},\"1\"]]}"));

	(void)state;
	assert_string_equal(json_string_value(jmap_at(a, "methodResponses/0/1/type")),
			    "unknownMethod");
	assert_string_equal(json_string_value(jmap_at(a, "methodResponses/1/0")), "Core/echo");
	json_decref(a);
}

static void too_many_ids(void **state)
{
	struct buf ids = {0};
	json_t *a;

	(void)state;
	rig.service.limits.get = 3;
	a = jmap_rig_call(&rig, "Email/get", "'ids':['M1','M2','M3'],'properties':['id']");
	assert_int_equal(json_array_size(json_object_get(a, "list")), 3);
	json_decref(a);
	a = jmap_rig_call(&rig, "Email/get", "'ids':['M1','M2','M3','M4']");
	assert_string_equal(json_string_value(json_object_get(a, "type")), "requestTooLarge");
	json_decref(a);
	buf_fini(&ids);
}

static void a_store_that_cannot_be_read(void **state)
{
	static const char *const calls[] = {"Mailbox/get", "Email/query", "Mailbox/query"};

	(void)state;
	rig.mem.is_broken = true;
	for (size_t i = 0; i < 3; i++) {
		json_t *a = jmap_rig_call(&rig, calls[i], "");

		assert_string_equal(json_string_value(json_object_get(a, "type")),
				    "serverUnavailable");
		json_decref(a);
	}
}

/* ---- references (RFC 8620 s3.7) ---- */

static void references(void **state)
{
	json_t *a = jmap_rig_calls(
		&rig, "[['Email/query',{'accountId':'A7','limit':10},'t0'],"
		      "['Email/get',{'accountId':'A7','#ids':{'resultOf':'t0','name':'Email/"
		      "query','path':'/ids'},'properties':['threadId']},'t1'],"
		      "['Thread/get',{'accountId':'A7','#ids':{'resultOf':'t1','name':'Email/"
		      "get','path':'/list/*/threadId'}},'t2'],"
		      "['Email/get',{'accountId':'A7','#ids':{'resultOf':'t2','name':'Thread/"
		      "get','path':'/list/*/emailIds'},'properties':['subject']},'t3']]");

	(void)state;
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/0/1/ids")),
			    "[\"M4\",\"M3\",\"M2\",\"M1\"]");
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/2/1/list")),
			    "[{\"emailIds\":[\"M4\"],\"id\":\"T102\"},{\"emailIds\":[\"M3\"],"
			    "\"id\":\"T101\"},{\"emailIds\":[\"M1\",\"M2\"],\"id\":\"T5\"}]");
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/3/1/list")),
			    "[{\"id\":\"M4\",\"subject\":\"n3\"},{\"id\":\"M3\",\"subject\":\"n2\"}"
			    ",{\"id\":\"M1\",\"subject\":\"n0\"},{\"id\":\"M2\",\"subject\":"
			    "\"n1\"}]");
	json_decref(a);
}

/* H-11: by reference an answer holds the one before many times, and that one the one before it. */
static void h_11_references_do_not_multiply(void **state)
{
	struct buf calls = {0};
	json_t *a;

	(void)state;
	(void)buf_printf(&calls, "[['Core/echo',{'x':'0123456789'},'0']");
	for (int i = 1; i < 30; i++) {
		(void)buf_printf(&calls, ",['Core/echo',{");
		for (int k = 0; k < 8; k++)
			(void)buf_printf(&calls,
					 "%s'#x%d':{'resultOf':'%d','name':'Core/echo','path':''}",
					 k ? "," : "", k, i - 1);
		(void)buf_printf(&calls, "},'%d']", i);
	}
	(void)buf_printf(&calls, "]");
	a = jmap_rig_calls(&rig, buf_cstr(&calls));
	assert_int_equal(rig.status, 200);
	assert_true(rig.said.n < 64 << 20);
	assert_true(rig.took_ms < 5000);
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/1/1/x7/x")), "\"0123456789\"");
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/29/0")), "\"error\"");
	json_decref(a);

	buf_clear(&calls); /* and a call does not copy a list as often as it likes */
	(void)buf_printf(&calls, "[['Core/echo',{'x':[1,2]},'0'],['Core/echo',{");
	for (int k = 0; k < 9; k++)
		(void)buf_printf(&calls,
				 "%s'#x%d':{'resultOf':'0','name':'Core/echo','path':'/x/*'}",
				 k ? "," : "", k);
	(void)buf_printf(&calls, "},'1']]");
	a = jmap_rig_calls(&rig, buf_cstr(&calls));
	assert_string_equal(jmap_text_of(jmap_at(a, "methodResponses/1/1/type")),
			    "\"invalidResultReference\"");
	json_decref(a);
	buf_fini(&calls);
}

static void references_that_name_nothing(void **state)
{
	static const struct {
		const char *ids, *error;
	} rows[] = {
		{"'#ids':{'resultOf':'x','name':'Core/echo','path':'/a'}",
		 "invalidResultReference"},
		{"'#ids':{'resultOf':'0','name':'Core/other','path':'/a'}",
		 "invalidResultReference"},
		{"'#ids':{'resultOf':'0','name':'Core/echo','path':'/nothing'}",
		 "invalidResultReference"},
		{"'#ids':{'resultOf':'0','name':'Core/echo','path':'a'}", "invalidResultReference"},
		{"'#ids':{'resultOf':'0','name':'Core/echo'}", "invalidResultReference"},
		{"'#ids':7", "invalidResultReference"},
		{"'ids':[],'#ids':{'resultOf':'0','name':'Core/echo','path':'/a'}",
		 "invalidArguments"},
		{"'#ids':{'resultOf':'1','name':'Email/get','path':'/list'}",
		 "invalidResultReference"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char calls[400];
		json_t *a;

		(void)snprintf(calls, sizeof calls,
			       "[['Core/echo',{'a':['M1']},'0'],['Email/get',{'accountId':'A7',%s},"
			       "'1'],['Core/echo',{},'2']]",
			       rows[i].ids);
		a = jmap_rig_calls(&rig, calls);
		assert_string_equal(json_string_value(jmap_at(a, "methodResponses/1/1/type")),
				    rows[i].error);
		assert_string_equal(json_string_value(jmap_at(a, "methodResponses/2/0")),
				    "Core/echo");
		json_decref(a);
	}
}

/* ---- session, push, blobs ---- */

static void the_session(void **state)
{
	struct buf text = {0};
	json_t *s, *a = jmap_rig_calls(&rig, "[]");

	(void)state;
	jmap_session(&rig.service, &rig.person, SPAN_LIT("https://mail.example"), &text);
	s = json_loadb((const char *)text.p, text.n, 0, NULL);
	assert_non_null(s);
	assert_string_equal(json_string_value(json_object_get(s, "apiUrl")),
			    "https://mail.example/jmap/api");
	assert_string_equal(json_string_value(json_object_get(s, "state")),
			    json_string_value(json_object_get(a, "sessionState")));
	assert_string_equal(
		json_string_value(jmap_at(s, "primaryAccounts/urn:ietf:params:jmap:mail")), "A7");
	assert_null(jmap_at(s, "primaryAccounts/urn:ietf:params:jmap:core"));
	assert_true(json_integer_value(
			    json_object_get(jmap_at(s, "capabilities/urn:ietf:params:jmap:core"),
					    "maxCallsInRequest")) >= 16);
	assert_string_equal(json_string_value(jmap_at(s, "accounts/A7/name")), "anna");
	assert_true(json_is_object(
		jmap_at(s, "accounts/A7/accountCapabilities/urn:ietf:params:jmap:submission")));
	json_decref(s);
	json_decref(a);
	buf_fini(&text);
}

static struct span pushed(struct jmap_push *p, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(jmap_push_next(p, &rig.person, out, NULL), OK);
	return buf_span(out);
}

static void push(void **state)
{
	struct jmap_push p = {.types = jmap_push_types(SPAN_LIT("Email, Mailbox,Foo"))};
	struct jmap_push deliveries = {.types = jmap_push_types(SPAN_LIT("EmailDelivery"))};
	struct buf out = {0};
	struct span said;

	(void)state;
	assert_int_equal(p.types, JMAP_EMAIL | JMAP_MAILBOX);
	assert_int_equal(jmap_push_types(SPAN_LIT("*")), JMAP_TYPES_ALL);
	said = pushed(&p, &out);
	assert_true(span_eq(said, SPAN_LIT("{\"@type\":\"StateChange\",\"changed\":{\"A7\":{"
					   "\"Mailbox\":\"15\",\"Email\":\"15\"}}}")));
	assert_int_equal(pushed(&p, &out).n, 0);
	assert_int_not_equal(pushed(&deliveries, &out).n, 0);
	mail_mem_touch(&rig.mem, &rig.mem.entries[0]);
	assert_int_not_equal(pushed(&p, &out).n, 0);
	assert_int_equal(pushed(&deliveries, &out).n, 0); /* RFC 8621 s1.5: new Emails alone */
	(void)mail_mem_put(&rig.mem, "INBOX",
			   mail_mem_add_message(&rig.mem, SPAN_LIT("Subject: new\r\n\r\n"), 0), 0,
			   NULL);
	said = pushed(&deliveries, &out);
	assert_non_null(memmem(said.p, said.n, "\"EmailDelivery\":\"17\"", 20));
	buf_fini(&out);
}

/* RFC 8620 s7.3: the id of an event holds what was told, so that what was missed is told at once, and nothing else. */
static void push_goes_on_from_an_id(void **state)
{
	struct jmap_push p = {.types = JMAP_EMAIL | JMAP_EMAIL_DELIVERY}, again = p;
	char id[JMAP_PUSH_ID_BYTES];
	struct buf out = {0};
	struct span said;

	(void)state;
	assert_int_not_equal(pushed(&p, &out).n, 0);
	jmap_push_id(&p, id);
	assert_true(jmap_push_from(&again, span_str(id)));
	assert_int_equal(pushed(&again, &out).n, 0);
	mail_mem_touch(&rig.mem, &rig.mem.entries[0]);
	assert_true(jmap_push_from(&again, span_str(id)));
	said = pushed(&again, &out);
	assert_non_null(memmem(said.p, said.n, "\"Email\":", 8));
	assert_null(memmem(said.p, said.n, "EmailDelivery", 13));
	rig.mem.told_from = rig.mem.modseq; /* what came since then cannot be told: perhaps mail */
	assert_true(jmap_push_from(&again, span_str(id)));
	said = pushed(&again, &out);
	assert_non_null(memmem(said.p, said.n, "EmailDelivery", 13));
	assert_false(jmap_push_from(&again, SPAN_LIT("")));
	assert_false(jmap_push_from(&again, SPAN_LIT("9e3779b9")));
	assert_false(jmap_push_from(&again, SPAN_LIT("1.2.3")));
	assert_false(jmap_push_from(&again, SPAN_LIT("1.2.3.4.5")));
	assert_false(jmap_push_from(&again, SPAN_LIT("1.2.3.-4")));
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, furnish, clear)
		TEST(requests_that_are_none),
		TEST(h_11_sizes),
		TEST(echo),
		TEST(created_ids_come_back),
		TEST(errors_of_calls),
		TEST(a_capability_that_is_not_used),
		TEST(too_many_ids),
		TEST(a_store_that_cannot_be_read),
		TEST(references),
		TEST(h_11_references_do_not_multiply),
		TEST(references_that_name_nothing),
		TEST(the_session),
		TEST(push),
		TEST(push_goes_on_from_an_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
