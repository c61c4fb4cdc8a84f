/* Email/query, /queryChanges and /changes (RFC 8621 s4.3 to s4.5): every condition and order, changes by the dice, and speed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "jmap_rig.h"

static struct jmap_rig rig;

static uint64_t add(const char *box, uint64_t thread, uint32_t flags, const char *keywords,
		    const char *text)
{
	uint64_t number = mail_mem_add_message(&rig.mem, span_str(text), thread);

	(void)mail_mem_put(&rig.mem, box, number, flags, keywords);
	return number;
}

/* M1 to M6, a minute between them. M1, M2 and M5 are one conversation; M3 is in two mailboxes. */
static int furnish(void **state)
{
	(void)state;
	jmap_rig_init(&rig);
	(void)mail_mem_add_box(&rig.mem, "INBOX", MAIL_INBOX);
	(void)mail_mem_add_box(&rig.mem, "Trash", MAIL_TRASH);
	(void)mail_mem_add_box(&rig.mem, "Work", MAIL_PLAIN);
	(void)add("INBOX", 5, MAIL_SEEN, NULL,
		  "From: Zoe <z@example.org>\r\nTo: anna@example.com\r\nSubject: Lunch plans\r\n"
		  "Date: Thu, 1 Jan 2026 12:00:00 +0000\r\nX-Spam: no\r\n\r\nAt noon\r\n");
	(void)add(
		"INBOX", 5, 0, "$Work",
		"From: anna@example.com\r\nTo: Zoe <z@example.org>\r\nSubject: Re: Lunch plans\r\n"
		"Date: Thu, 1 Jan 2026 08:00:00 +0000\r\n\r\nRather at one, K\xc3\xb6ln time\r\n");
	(void)add("INBOX", 0, MAIL_FLAGGED, NULL,
		  "From: \"Bert B\" <b@example.org>\r\nCc: carl@example.org\r\nSubject: "
		  "[list] budget\r\nContent-Type: multipart/mixed; "
		  "boundary=1\r\n\r\n--1\r\n\r\nsee\r\n"
		  "--1\r\nContent-Type: application/pdf; name=b.pdf\r\n\r\nx\r\n--1--\r\n");
	(void)mail_mem_put(&rig.mem, "Work", 3, MAIL_SEEN, "$Work");
	(void)add("Trash", 0, MAIL_SEEN, NULL,
		  "From: spam@example.net\r\nBcc: anna@example.com\r\nSubject: win\r\n\r\n"
		  "noon is the time; a much longer text than the others have, so that it is larger "
		  "than they are by far\r\n");
	(void)add("Work", 5, MAIL_SEEN | MAIL_ANSWERED, NULL,
		  "From: carl@example.org\r\nSubject: AW: lunch\r\n\r\nnoon?\r\n");
	(void)add("INBOX", 0, MAIL_DELETED, NULL, "Subject: not visible noon\r\n\r\n");
	return 0;
}

static int clear(void **state)
{
	(void)state;
	jmap_rig_fini(&rig);
	return 0;
}

static const char *ids(const char *args)
{
	json_t *a = jmap_rig_call(&rig, "Email/query", args);
	const char *text =
		jmap_text_of(json_object_get(a, json_object_get(a, "ids") ? "ids" : "type"));

	json_decref(a);
	return text;
}

#define ALL "[\"M5\",\"M4\",\"M3\",\"M2\",\"M1\"]"

static void conditions(void **state)
{
	static const struct {
		const char *filter, *ids;
	} rows[] = {
		{"null", ALL},
		{"{}", ALL},
		{"{'inMailbox':'F1'}", "[\"M3\",\"M2\",\"M1\"]"},
		{"{'inMailbox':'F3'}", "[\"M5\",\"M3\"]"},
		{"{'inMailbox':'F9'}", "[]"},
		{"{'inMailbox':'nonsense'}", "[]"},
		{"{'inMailboxOtherThan':['F1','F2']}", "[\"M5\",\"M3\"]"},
		{"{'inMailboxOtherThan':['F1','F2','F3']}", "[]"},
		{"{'inMailboxOtherThan':[]}", ALL},
		{"{'after':'2026-01-01T00:03:00Z'}",
		 "[\"M5\",\"M4\"]"}, /* M3's copy took a minute */
		{"{'before':'2026-01-01T00:01:00Z'}", "[\"M1\"]"},
		{"{'before':'2026-01-01T00:02:00Z','after':'2026-01-01T00:01:00Z'}", "[\"M2\"]"},
		{"{'minSize':142}", "[\"M4\",\"M3\",\"M2\"]"},
		{"{'minSize':143}", "[\"M4\",\"M3\"]"},
		{"{'maxSize':142}", "[\"M5\",\"M1\"]"},
		{"{'maxSize':70}", "[\"M5\"]"},
		{"{'hasKeyword':'$seen'}", "[\"M5\",\"M4\",\"M1\"]"},
		{"{'notKeyword':'$seen'}", "[\"M3\",\"M2\"]"},
		{"{'hasKeyword':'$flagged'}", "[\"M3\"]"},
		{"{'hasKeyword':'$WORK'}", "[\"M3\",\"M2\"]"},
		{"{'notKeyword':'$work','inMailbox':'F1'}", "[\"M1\"]"},
		{"{'hasKeyword':'$answered'}", "[\"M5\"]"},
		{"{'hasKeyword':'$draft'}", "[]"},
		{"{'someInThreadHaveKeyword':'$answered'}", "[\"M5\",\"M2\",\"M1\"]"},
		{"{'allInThreadHaveKeyword':'$seen'}", "[\"M4\"]"},
		{"{'noneInThreadHaveKeyword':'$work'}", "[\"M4\"]"},
		{"{'hasAttachment':true}", "[\"M3\"]"},
		{"{'hasAttachment':false}", "[\"M5\",\"M4\",\"M2\",\"M1\"]"},
		{"{'text':'noon'}", "[\"M5\",\"M4\",\"M1\"]"},
		{"{'text':'NOON time'}", "[\"M4\"]"},
		{"{'text':'\\\"noon time\\\"'}", "[]"},
		{"{'text':'\\\"the time\\\"'}", "[\"M4\"]"},
		{"{'body':'k\u00d6ln'}", "[\"M2\"]"},
		{"{'subject':'lunch'}", "[\"M5\",\"M2\",\"M1\"]"},
		{"{'body':'lunch'}", "[]"},
		{"{'text':''}", ALL},
		{"{'from':'zoe'}", "[\"M1\"]"},
		{"{'to':'zoe'}", "[\"M2\"]"},
		{"{'cc':'carl'}", "[\"M3\"]"},
		{"{'bcc':'anna'}", "[\"M4\"]"},
		{"{'header':['x-spam']}", "[\"M1\"]"},
		{"{'header':['X-Spam','NO']}", "[\"M1\"]"},
		{"{'header':['X-Spam','yes']}", "[]"},
		{"{'operator':'OR','conditions':[{'from':'zoe'},{'cc':'carl'}]}",
		 "[\"M3\",\"M1\"]"},
		{"{'operator':'AND','conditions':[{'inMailbox':'F1'},{'inMailbox':'F3'}]}",
		 "[\"M3\"]"},
		{"{'operator':'OR','conditions':[{'inMailbox':'F1'},{'inMailbox':'F2'}]}",
		 "[\"M4\",\"M3\",\"M2\",\"M1\"]"},
		{"{'operator':'NOT','conditions':[{'inMailbox':'F1'},{'inMailbox':'F2'}]}",
		 "[\"M5\"]"},
		{"{'operator':'NOT','conditions':[{'operator':'NOT','conditions':[{'text':'noon'}]}"
		 "]}",
		 "[\"M5\",\"M4\",\"M1\"]"},
		{"{'operator':'AND','conditions':[]}", ALL},
		{"{'operator':'OR','conditions':[]}", "[]"},
		{"{'operator':'NOT','conditions':[]}", ALL},
		{"{'operator':'AND','conditions':[{'operator':'OR','conditions':[{'subject':'win'},"
		 "{"
		 "'hasKeyword':'$work'}]},{'inMailboxOtherThan':['F2']}]}",
		 "[\"M3\",\"M2\"]"},
	};

	(void)state;
	for (int with_index = 0; with_index < 2; with_index++) {
		rig.mem.has_index = with_index;
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			char args[400];
			const char *got;

			(void)snprintf(args, sizeof args, "'filter':%s", rows[i].filter);
			got = ids(args);
			if (strcmp(got, rows[i].ids) != 0)
				fail_msg("%s: %s, not %s", rows[i].filter, got, rows[i].ids);
		}
	}
}

static void bad_conditions(void **state)
{
	static const struct {
		const char *filter, *error;
	} rows[] = {
		{"7", "\"invalidArguments\""},
		{"[]", "\"invalidArguments\""},
		{"{'operator':'AND'}", "\"invalidArguments\""},
		{"{'operator':'AND','conditions':[7]}", "\"invalidArguments\""},
		{"{'operator':'AND','conditions':[],'text':'x'}", "\"invalidArguments\""},
		{"{'operator':7,'conditions':[]}", "\"invalidArguments\""},
		{"{'text':7}", "\"invalidArguments\""},
		{"{'inMailbox':7}", "\"invalidArguments\""},
		{"{'inMailboxOtherThan':'F1'}", "\"invalidArguments\""},
		{"{'hasKeyword':'a b'}", "\"invalidArguments\""},
		{"{'hasKeyword':''}", "\"invalidArguments\""},
		{"{'hasAttachment':'x'}", "\"invalidArguments\""},
		{"{'header':[]}", "\"invalidArguments\""},
		{"{'header':['a','b','c']}", "\"invalidArguments\""},
		{"{'colour':'red'}", "\"unsupportedFilter\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char args[400];

		(void)snprintf(args, sizeof args, "'filter':%s", rows[i].filter);
		assert_string_equal(ids(args), rows[i].error);
	}
}

/* A filter as wide and as deep as JSON may be is refused or answered, and quickly. */
static void large_filters(void **state)
{
	struct buf args = {0};
	json_t *a;

	(void)state;
	(void)buf_printf(&args, "'filter':{'operator':'OR','conditions':[");
	for (int i = 0; i < 2000; i++)
		(void)buf_printf(&args, "%s{'text':'a%d b'}", i ? "," : "", i);
	(void)buf_printf(&args, "]}");
	assert_string_equal(ids(buf_cstr(&args)), "\"unsupportedFilter\"");
	for (int kind = 0; kind < 2; kind++) { /* each of these reads for itself */
		buf_clear(&args);
		(void)buf_printf(&args, "'filter':{'operator':'OR','conditions':[");
		for (int i = 0; i < 11; i++)
			(void)buf_printf(&args, "%s%s", i ? "," : "",
					 kind ? "{'someInThreadHaveKeyword':'a'}"
					      : "{'header':['x','y']}");
		(void)buf_printf(&args, "]}");
		assert_string_equal(ids(buf_cstr(&args)), "\"unsupportedFilter\"");
	}
	buf_clear(&args);
	(void)buf_printf(&args, "'filter':");
	for (int i = 0; i < 29; i++) /* two levels of JSON each */
		(void)buf_printf(&args, "{'operator':'NOT','conditions':[");
	(void)buf_printf(&args, "{'text':'noon'}");
	for (int i = 0; i < 29; i++)
		(void)buf_printf(&args, "]}");
	assert_string_equal(ids(buf_cstr(&args)), "[\"M3\",\"M2\"]");
	buf_clear(&args);
	(void)buf_printf(&args, "'filter':{'text':'");
	for (int i = 0; i < 3000; i++)
		(void)buf_printf(&args, "w%d ", i);
	(void)buf_printf(&args, "'}");
	a = jmap_rig_call(&rig, "Email/query", buf_cstr(&args));
	assert_string_equal(json_string_value(json_object_get(a, "type")), "unsupportedFilter");
	json_decref(a);
	buf_fini(&args);
}

static void orders(void **state)
{
	static const struct {
		const char *sort, *ids;
	} rows[] = {
		{"[]", ALL},
		{"[{'property':'receivedAt'}]", "[\"M1\",\"M2\",\"M3\",\"M4\",\"M5\"]"},
		{"[{'property':'receivedAt','isAscending':false}]", ALL},
		{"[{'property':'size'}]", "[\"M5\",\"M1\",\"M2\",\"M4\",\"M3\"]"},
		/* without a Date the time of reception counts: 00:02, 00:04, 00:05 */
		{"[{'property':'sentAt'}]", "[\"M3\",\"M4\",\"M5\",\"M2\",\"M1\"]"},
		{"[{'property':'from'}]", "[\"M2\",\"M3\",\"M5\",\"M4\",\"M1\"]"},
		{"[{'property':'from','collation':'i;ascii-casemap'}]",
		 "[\"M2\",\"M3\",\"M5\",\"M4\",\"M1\"]"},
		{"[{'property':'to'}]", "[\"M3\",\"M4\",\"M5\",\"M1\",\"M2\"]"},
		{"[{'property':'subject'}]", "[\"M5\",\"M3\",\"M1\",\"M2\",\"M4\"]"},
		{"[{'property':'hasKeyword','keyword':'$seen'},{'property':'receivedAt'}]",
		 "[\"M2\",\"M3\",\"M1\",\"M4\",\"M5\"]"},
		{"[{'property':'hasKeyword','keyword':'$seen','isAscending':false},{'property':"
		 "'receivedAt'}]",
		 "[\"M1\",\"M4\",\"M5\",\"M2\",\"M3\"]"},
		{"[{'property':'someInThreadHaveKeyword','keyword':'$answered','isAscending':false}"
		 ","
		 "{'property':'receivedAt'}]",
		 "[\"M1\",\"M2\",\"M5\",\"M3\",\"M4\"]"},
		{"[{'property':'allInThreadHaveKeyword','keyword':'$seen'},{'property':'size'}]",
		 "[\"M5\",\"M1\",\"M2\",\"M3\",\"M4\"]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char args[400];
		const char *got;

		(void)snprintf(args, sizeof args, "'sort':%s", rows[i].sort);
		got = ids(args);
		if (strcmp(got, rows[i].ids) != 0)
			fail_msg("%s: %s, not %s", rows[i].sort, got, rows[i].ids);
	}
}

static void windows(void **state)
{
	static const struct {
		const char *args, *ids;
		int position;
	} rows[] = {
		{"'limit':2", "[\"M5\",\"M4\"]", 0},
		{"'position':1,'limit':2", "[\"M4\",\"M3\"]", 1},
		{"'position':-2", "[\"M2\",\"M1\"]", 3},
		{"'position':-9", ALL, 0},
		{"'position':9", "[]", 5},
		{"'limit':0", "[]", 0},
		{"'anchor':'M3'", "[\"M3\",\"M2\",\"M1\"]", 2},
		{"'anchor':'M3','anchorOffset':-1,'limit':2", "[\"M4\",\"M3\"]", 1},
		{"'anchor':'M3','anchorOffset':-7,'position':4", ALL, 0},
		{"'anchor':'M3','anchorOffset':1", "[\"M2\",\"M1\"]", 3},
		{"'collapseThreads':true", "[\"M5\",\"M4\",\"M3\"]", 0},
		{"'collapseThreads':true,'sort':[{'property':'receivedAt'}]",
		 "[\"M1\",\"M3\",\"M4\"]", 0},
		{"'collapseThreads':true,'filter':{'inMailbox':'F1'}", "[\"M3\",\"M2\"]", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *a = jmap_rig_call(&rig, "Email/query", rows[i].args);

		assert_string_equal(jmap_text_of(json_object_get(a, "ids")), rows[i].ids);
		assert_int_equal(json_integer_value(json_object_get(a, "position")),
				 rows[i].position);
		assert_null(json_object_get(a, "total"));
		assert_true(json_is_true(json_object_get(a, "canCalculateChanges")));
		json_decref(a);
	}
	{
		json_t *a = jmap_rig_call(&rig, "Email/query", "'calculateTotal':true,'limit':1");

		assert_int_equal(json_integer_value(json_object_get(a, "total")), 5);
		json_decref(a);
	}
}

/* ---- changes ---- */

static const char *state_now(void)
{
	static char out[24];

	(void)snprintf(out, sizeof out, "%llu", (unsigned long long)rig.mem.modseq);
	return out;
}

static void changes(void **state)
{
	char args[200], since[24];
	json_t *a;

	(void)state;
	(void)snprintf(since, sizeof since, "%s", state_now());
	(void)add("Work", 0, 0, NULL, "Subject: new\r\n\r\n");
	rig.mem.entries[0].e.flags |= MAIL_FLAGGED;
	mail_mem_touch(&rig.mem, &rig.mem.entries[0]);
	mail_mem_remove(&rig.mem, &rig.mem.entries[4]);
	(void)snprintf(args, sizeof args, "'sinceState':'%s'", since);
	a = jmap_rig_call(&rig, "Email/changes", args);
	assert_string_equal(jmap_text_of(json_object_get(a, "created")), "[\"M7\"]");
	assert_string_equal(jmap_text_of(json_object_get(a, "updated")), "[\"M1\"]");
	assert_string_equal(jmap_text_of(json_object_get(a, "destroyed")), "[\"M4\"]");
	assert_string_equal(json_string_value(json_object_get(a, "oldState")), since);
	assert_string_equal(json_string_value(json_object_get(a, "newState")), state_now());
	assert_true(json_is_false(json_object_get(a, "hasMoreChanges")));
	json_decref(a);

	(void)snprintf(args, sizeof args, "'sinceState':'%s','maxChanges':2", since);
	a = jmap_rig_call(&rig, "Email/changes", args);
	assert_true(json_is_true(json_object_get(a, "hasMoreChanges")));
	assert_string_equal(jmap_text_of(json_object_get(a, "destroyed")), "[]");
	(void)snprintf(args, sizeof args, "'sinceState':'%s','maxChanges':2",
		       json_string_value(json_object_get(a, "newState")));
	json_decref(a);
	a = jmap_rig_call(&rig, "Email/changes", args);
	assert_true(json_is_false(json_object_get(a, "hasMoreChanges")));
	assert_string_equal(jmap_text_of(json_object_get(a, "destroyed")), "[\"M4\"]");
	json_decref(a);

	(void)snprintf(args, sizeof args, "'sinceState':'%s'", since);
	a = jmap_rig_call(&rig, "Mailbox/changes", args);
	assert_string_equal(
		jmap_text_of(json_object_get(a, "updatedProperties")),
		"[\"totalEmails\",\"unreadEmails\",\"totalThreads\",\"unreadThreads\"]");
	assert_int_equal(json_array_size(json_object_get(a, "updated")), 3);
	json_decref(a);
	(void)mail_mem_add_box(&rig.mem, "Made", MAIL_PLAIN);
	a = jmap_rig_call(&rig, "Mailbox/changes", args);
	assert_string_equal(jmap_text_of(json_object_get(a, "created")), "[\"F4\"]");
	json_decref(a);
	a = jmap_rig_call(&rig, "Thread/changes", args);
	assert_string_equal(jmap_text_of(json_object_get(a, "updated")), "[\"T5\"]");
	assert_int_equal(json_array_size(json_object_get(a, "created")), 1);
	assert_int_equal(json_array_size(json_object_get(a, "destroyed")), 1);
	json_decref(a);

	rig.mem.told_from = rig.mem.modseq;
	a = jmap_rig_call(&rig, "Email/changes", args);
	assert_string_equal(json_string_value(json_object_get(a, "type")),
			    "cannotCalculateChanges");
	json_decref(a);
}

static unsigned dice(unsigned sides)
{
	static uint32_t seed = 7;

	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static void something_happens(void)
{
	static const char *const boxes[] = {"INBOX", "Trash", "Work"};
	struct mem_entry *e = &rig.mem.entries[dice((unsigned)rig.mem.entries_n)];

	switch (dice(4)) {
	case 0:
		(void)add(boxes[dice(3)], dice(3) ? 1 + dice(6) : 0, dice(32) & ~8u, NULL,
			  dice(2) ? "Subject: noon\r\n\r\n" : "Subject: x\r\n\r\n");
		break;
	case 1:
		if (!e->is_gone)
			mail_mem_remove(&rig.mem, e);
		break;
	case 2:
		if (e->is_gone)
			break;
		e->e.flags ^= MAIL_SEEN | (dice(2) ? MAIL_FLAGGED : 0);
		mail_mem_touch(&rig.mem, e);
		break;
	default:
		if (!e->is_gone && !(e->e.flags & MAIL_DELETED))
			(void)mail_mem_put(&rig.mem, boxes[dice(3)], e->e.number, e->e.flags, NULL);
		break;
	}
}

/* The client's own work (RFC 8620 s5.6): what was removed goes, then what was added is put in by its index. */
static void apply(json_t *cached, const json_t *a)
{
	const json_t *item;
	size_t i, k;

	json_array_foreach(json_object_get(a, "removed"), i, item)
	{
		for (k = 0; k < json_array_size(cached); k++) {
			if (json_equal(json_array_get(cached, k), item))
				(void)json_array_remove(cached, k--);
		}
	}
	json_array_foreach(json_object_get(a, "added"), i, item)
	{
		size_t at = (size_t)json_integer_value(json_object_get(item, "index"));

		assert_true(at <= json_array_size(cached));
		(void)json_array_insert(cached, at, json_object_get(item, "id"));
	}
}

/* Whatever happens, the old result with its changes is the new result. */
static void query_changes_by_the_dice(void **state)
{
	static const char *const queries[] = {
		"'filter':{'inMailbox':'F1'},'collapseThreads':true",
		"'filter':{'inMailbox':'F1'}",
		"'sort':[{'property':'hasKeyword','keyword':'$seen'},{'property':'receivedAt'}]",
		"'filter':{'someInThreadHaveKeyword':'$flagged'},'sort':[{'property':'size'}]",
		"'filter':{'text':'noon'},'sort':[{'property':'receivedAt'}],'collapseThreads':"
		"true",
		"'filter':{'inMailboxOtherThan':['F2'],'notKeyword':'$seen'}",
		"'sort':[{'property':'allInThreadHaveKeyword','keyword':'$seen'},{'property':"
		"'receivedAt'}]",
	};

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		char query[300], args[400];
		json_t *old, *ch, *now, *cached;

		(void)snprintf(query, sizeof query, "%s,'calculateTotal':true",
			       queries[round % (sizeof queries / sizeof *queries)]);
		rig.mem.has_index = round % 2;
		old = jmap_rig_call(&rig, "Email/query", query);
		for (unsigned i = dice(6); i > 0; i--)
			something_happens();
		(void)snprintf(args, sizeof args, "%s,'sinceQueryState':'%s'", query,
			       json_string_value(json_object_get(old, "queryState")));
		ch = jmap_rig_call(&rig, "Email/queryChanges", args);
		now = jmap_rig_call(&rig, "Email/query", query);
		cached = json_deep_copy(json_object_get(old, "ids"));
		apply(cached, ch);
		if (!json_equal(cached, json_object_get(now, "ids")))
			fail_msg("round %u: %s: %s", round, query, jmap_text_of(ch));
		assert_true(
			json_equal(json_object_get(ch, "total"), json_object_get(now, "total")));
		assert_true(json_equal(json_object_get(ch, "newQueryState"),
				       json_object_get(now, "queryState")));
		json_decref(cached);
		json_decref(old);
		json_decref(ch);
		json_decref(now);
	}
}

static void query_changes_at_the_edges(void **state)
{
	char args[300];
	json_t *a;

	(void)state;
	(void)snprintf(args, sizeof args, "'sinceQueryState':'%s'", state_now());
	a = jmap_rig_call(&rig, "Email/queryChanges", args);
	assert_string_equal(jmap_text_of(json_object_get(a, "removed")), "[]");
	assert_string_equal(jmap_text_of(json_object_get(a, "added")), "[]");
	json_decref(a);
	(void)add("INBOX", 0, 0, NULL, "A: 1\n\n");
	(void)add("INBOX", 0, 0, NULL, "A: 2\n\n");
	(void)snprintf(args + strlen(args), sizeof args - strlen(args), ",'maxChanges':1");
	a = jmap_rig_call(&rig, "Email/queryChanges", args);
	assert_string_equal(json_string_value(json_object_get(a, "type")), "tooManyChanges");
	json_decref(a);
	a = jmap_rig_call(&rig, "Email/queryChanges", "'sinceQueryState':'x'");
	assert_string_equal(json_string_value(json_object_get(a, "type")),
			    "cannotCalculateChanges");
	json_decref(a);
	/* immutable: behind upToId nothing is told (RFC 8620 s5.6); M7 and M8 are the newest */
	a = jmap_rig_call(&rig, "Email/queryChanges",
			  "'sinceQueryState':'13','sort':[{'property':'receivedAt'}],"
			  "'upToId':'M3'");
	assert_int_equal(json_array_size(json_object_get(a, "added")), 3);
	json_decref(a);
	a = jmap_rig_call(&rig, "Email/queryChanges",
			  "'sinceQueryState':'13','filter':{'inMailbox':'F1'},"
			  "'sort':[{'property':'receivedAt'}],'upToId':'M1'");
	assert_int_equal(json_array_size(json_object_get(a, "added")), 5);
	json_decref(a);
}

static void query_changes_of_mailboxes(void **state)
{
	json_t *a;
	char args[100];

	(void)state;
	(void)snprintf(args, sizeof args, "'sinceQueryState':'%s'", state_now());
	mail_mem_touch(&rig.mem, &rig.mem.entries[0]);
	a = jmap_rig_call(&rig, "Mailbox/queryChanges", args);
	assert_string_equal(jmap_text_of(json_object_get(a, "added")), "[]");
	json_decref(a);
	(void)mail_mem_add_box(&rig.mem, "Abc", MAIL_PLAIN);
	a = jmap_rig_call(&rig, "Mailbox/queryChanges", args);
	assert_string_equal(jmap_text_of(jmap_at(a, "added/1")), "{\"id\":\"F4\",\"index\":1}");
	json_decref(a);
}

/* ---- 10,000 messages ---- */

static void the_first_rows_of_a_large_mailbox(void **state)
{
	static const char calls[] =
		"[['Email/query',{'accountId':'A7','filter':{'inMailbox':'F1'},'sort':[{'property':"
		"'receivedAt','isAscending':false}],'collapseThreads':true,'limit':50,"
		"'calculateTotal':true},'0'],"
		"['Email/get',{'accountId':'A7','#ids':{'resultOf':'0','name':'Email/query','path':"
		"'/ids'},'properties':['id','threadId','mailboxIds','keywords','hasAttachment',"
		"'from','subject','receivedAt','size','preview']},'1']]";
	double best = 1e9;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		char text[200];

		(void)snprintf(text, sizeof text,
			       "From: a%u@example.org\r\nSubject: n%u\r\n\r\ntext %u\r\n", i, i, i);
		(void)add("INBOX", dice(3) ? 0 : 200 + dice(5000), dice(2) ? MAIL_SEEN : 0, NULL,
			  text);
	}
	for (unsigned i = 0; i < 5; i++) {
		json_t *a;

		rig.mem.entries_told = rig.mem.places_asked = 0;
		a = jmap_rig_calls(&rig, calls);
		assert_int_equal(json_array_size(jmap_at(a, "methodResponses/1/1/list")), 50);
		assert_true(rig.mem.entries_told < 10020); /* each once, though in slices */
		assert_int_equal(rig.mem.places_asked, 50);
		assert_true(rig.steps >= 4); /* J4 */
		best = rig.took_ms < best ? rig.took_ms : best;
		json_decref(a);
	}
	print_message("Email/query and Email/get of 50 among 10,000: %.1f ms in memory\n", best);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, furnish, clear)
		TEST(conditions),
		TEST(bad_conditions),
		TEST(large_filters),
		TEST(orders),
		TEST(windows),
		TEST(changes),
		TEST(query_changes_by_the_dice),
		TEST(query_changes_at_the_edges),
		TEST(query_changes_of_mailboxes),
		TEST(the_first_rows_of_a_large_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
