/* JMAP for mail, reading (RFC 8621): what an Email looks like, header forms, body parts, blobs, snippets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "jmap_rig.h"

static struct jmap_rig rig;

static int furnish(void **state)
{
	(void)state;
	jmap_rig_init(&rig);
	(void)mail_mem_add_box(&rig.mem, "INBOX", MAIL_INBOX);
	(void)mail_mem_add_box(&rig.mem, "Trash", MAIL_TRASH);
	(void)mail_mem_add_box(&rig.mem, "Work", MAIL_PLAIN);
	(void)mail_mem_add_box(&rig.mem, "Work/2026", MAIL_PLAIN);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	jmap_rig_fini(&rig);
	return 0;
}

static uint64_t add(const char *text)
{
	uint64_t number = mail_mem_add_message(&rig.mem, span_str(text), 0);

	(void)mail_mem_put(&rig.mem, "INBOX", number, 0, NULL);
	return number;
}

/* The first Email, with these arguments ("'properties':[...]"). */
static json_t *get(uint64_t number, const char *args)
{
	char all[600];
	json_t *a, *out;

	(void)snprintf(all, sizeof all, "'ids':['M%llu']%s%s", (unsigned long long)number,
		       args[0] ? "," : "", args);
	a = jmap_rig_call(&rig, "Email/get", all);
	out = json_incref(json_array_get(json_object_get(a, "list"), 0));
	if (!out)
		fail_msg("%s: %s", all, jmap_text_of(a));
	json_decref(a);
	return out;
}

/* ---- header forms (RFC 8621 s4.1.2) ---- */

static const char example[] = "From: \"  James Smythe\" <james@example.com>, Friends:\r\n"
			      "  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n"
			      "  <john@example.com>;\r\n"
			      "To: (all of us) undisclosed-recipients:;\r\n"
			      "Cc: a@example.com\r\n"
			      "Cc: \"quoted \\\"local\\\" part\"@example.com (a comment)\r\n"
			      "Subject:   =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus?= Bonn\r\n"
			      "Message-ID: (x) < one@example.com >\r\n"
			      "References: <a@x> (comment (nested)) <b@x>\r\n\t<c@x>\r\n"
			      "In-Reply-To: your message of today\r\n"
			      "Date: Sun, 22 Nov 2026 01:02:03 -0530\r\n"
			      "Resent-Date: some day\r\n"
			      "List-Post: <mailto:partytime@lists.example.com>\r\n"
			      "List-Help: <https://x.example/a b>, (or) <mailto:h@x>\r\n"
			      "List-Unsubscribe: NO\r\n"
			      "X-Latin: caf\xe9\r\n"
			      "X-Two: one\r\nX-Two: two\r\n"
			      "\r\nbody\r\n";

static void header_forms(void **state)
{
	static const struct {
		const char *property, *value;
	} rows[] = {
		{"header:From:asAddresses",
		 "[{\"email\":\"james@example.com\",\"name\":\"James Smythe\"},{\"email\":\"jane@"
		 "example.com\",\"name\":null},{\"email\":\"john@example.com\",\"name\":\"John "
		 "Sm\u00eeth\"}]"},
		{"header:From:asGroupedAddresses",
		 "[{\"addresses\":[{\"email\":\"james@example.com\",\"name\":\"James Smythe\"}],"
		 "\"name\":null},{\"addresses\":[{\"email\":\"jane@example.com\",\"name\":null},{"
		 "\"email\":\"john@example.com\",\"name\":\"John Sm\u00eeth\"}],\"name\":"
		 "\"Friends\"}]"},
		{"header:to:asGroupedAddresses",
		 "[{\"addresses\":[],\"name\":\"undisclosed-recipients\"}]"},
		{"to", "[]"},
		{"cc",
		 "[{\"email\":\"\\\"quoted \\\\\\\"local\\\\\\\" part\\\"@example.com\",\"name\":"
		 "\"a comment\"}]"},
		{"header:Cc:asAddresses:all",
		 "[[{\"email\":\"a@example.com\",\"name\":null}],[{\"email\":\"\\\"quoted "
		 "\\\\\\\"local\\\\\\\" part\\\"@example.com\",\"name\":\"a comment\"}]]"},
		{"subject", "\"Gr\u00fc\u00dfe aus Bonn\""},
		{"header:Subject",
		 "\"   =?utf-8?q?Gr=C3=BC=C3=9Fe?=\\r\\n =?utf-8?q?_aus?= Bonn\""},
		{"messageId", "[\"one@example.com\"]"},
		{"references", "[\"a@x\",\"b@x\",\"c@x\"]"},
		{"inReplyTo", "null"},
		{"sentAt", "\"2026-11-22T01:02:03-05:30\""},
		{"header:Resent-Date:asDate", "null"},
		{"header:List-POST:asURLs", "[\"mailto:partytime@lists.example.com\"]"},
		{"header:List-Help:asURLs", "[\"https://x.example/ab\",\"mailto:h@x\"]"},
		{"header:List-Unsubscribe:asURLs", "null"},
		{"header:X-Latin", "\" caf\ufffd\""},
		{"header:X-Two", "\" two\""},
		{"header:x-two:all", "[\" one\",\" two\"]"},
		{"header:x-two:asText:all", "[\"one\",\"two\"]"},
		{"header:x-two:asDate:all", "[null,null]"},
		{"header:X-None", "null"},
		{"header:X-None:all", "[]"},
		{"sender", "null"},
		{"bcc", "null"},
	};

	(void)state;
	(void)add(example);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char args[200];
		json_t *email;

		(void)snprintf(args, sizeof args, "'properties':['%s']", rows[i].property);
		email = get(1, args);
		assert_string_equal(jmap_text_of(json_object_get(email, rows[i].property)),
				    rows[i].value);
		assert_int_equal(json_object_size(email), 2); /* and the id */
		json_decref(email);
	}
}

static void forms_that_a_field_has_not(void **state)
{
	static const char *const bad[] = {
		"header:From:asText",
		"header:Subject:asAddresses",
		"header:Date:asURLs",
		"header:List-Post:asText",
		"header:Received:asText",
		"header:X:asFoo",
		"header:",
		"header",
		"header:X:all:asText",
		"header:X:asText:all:more",
		"header:a b",
		"Header:X",
	};
	static const char *const good[] = {"header:List-Id:asText", "header:X-Any:asAddresses",
					   "header:Received", "header:Keywords:asText:all"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad + sizeof good / sizeof *good; i++) {
		bool is_bad = i < sizeof bad / sizeof *bad;
		const char *name = is_bad ? bad[i] : good[i - sizeof bad / sizeof *bad];
		char args[200];
		json_t *a;

		(void)snprintf(args, sizeof args, "'ids':[],'properties':['%s']", name);
		a = jmap_rig_call(&rig, "Email/get", args);
		if ((json_object_get(a, "type") != NULL) != is_bad)
			fail_msg("%s: %s", name, jmap_text_of(a));
		json_decref(a);
	}
}

static void all_headers(void **state)
{
	json_t *email;

	(void)state;
	(void)add("Received: from a\r\n\tby b\r\nX:\r\nsubject: s\r\n\r\n");
	email = get(1, "'properties':['headers']");
	assert_string_equal(jmap_text_of(json_object_get(email, "headers")),
			    "[{\"name\":\"Received\",\"value\":\" from a\\r\\n\\tby b\"},{\"name\":"
			    "\"X\",\"value\":\"\"},{\"name\":\"subject\",\"value\":\" s\"}]");
	json_decref(email);
}

/* ---- body parts: the example of RFC 8621 s4.1.4 ---- */

static const char newsletter[] =
	"Subject: all\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=1\r\n\r\n"
	"--1\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nA\r\n"
	"--1\r\nContent-Type: multipart/mixed; boundary=2\r\n\r\n"
	"--2\r\nContent-Type: multipart/alternative; boundary=3\r\n\r\n"
	"--3\r\nContent-Type: multipart/mixed; boundary=4\r\n\r\n"
	"--4\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nB\r\n"
	"--4\r\nContent-Type: image/jpeg\r\nContent-Disposition: inline\r\n\r\nC\r\n"
	"--4\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nD\r\n"
	"--4--\r\n"
	"--3\r\nContent-Type: multipart/related; boundary=5\r\n\r\n"
	"--5\r\nContent-Type: text/html\r\n\r\n<b>E</b>\r\n"
	"--5\r\nContent-Type: image/jpeg\r\nContent-ID: (odd) <f@x>\r\n\r\nF\r\n"
	"--5--\r\n"
	"--3--\r\n"
	"--2\r\nContent-Type: image/jpeg\r\nContent-Disposition: attachment\r\n\r\nG\r\n"
	"--2\r\nContent-Type: application/x-excel\r\n\r\nH\r\n"
	"--2\r\nContent-Type: message/rfc822\r\n\r\nSubject: J\r\n\r\nj\r\n"
	"--2--\r\n"
	"--1\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nK\r\n"
	"--1--\r\n";

/* The letters of the parts, by what their blobs hold. */
static const char *letters(const json_t *list)
{
	static char out[40];
	const json_t *part;
	size_t i, n = 0;

	json_array_foreach(list, i, part)
	{
		struct span id = span_of(json_string_value(json_object_get(part, "blobId")),
					 json_string_length(json_object_get(part, "blobId")));
		struct jmap_blob *b;
		struct span piece;
		enum rc rc;

		assert_int_equal(jmap_blob_open(&rig.person, id, &b, NULL), OK);
		while ((rc = jmap_blob_ready(b, NULL)) == MORE)
			;
		assert_int_equal(rc, OK);
		assert_int_equal(jmap_blob_bytes(b),
				 json_integer_value(json_object_get(part, "size")));
		while ((rc = jmap_blob_read(b, &piece, NULL)) == MORE)
			;
		assert_int_equal(rc, OK);
		if (piece.n > 1) /* <b>E</b>, Subject: J */
			piece = span_from(piece, piece.p[0] == '<' ? 3 : 9);
		out[n++] = (char)piece.p[0];
		jmap_blob_close(b);
	}
	out[n] = 0;
	return out;
}

static void the_lists_of_the_standard(void **state)
{
	json_t *email;

	(void)state;
	(void)add(newsletter);
	email = get(1, "'properties':['textBody','htmlBody','attachments']");
	assert_string_equal(letters(json_object_get(email, "textBody")), "ABCDK");
	assert_string_equal(letters(json_object_get(email, "htmlBody")), "AEK");
	assert_string_equal(letters(json_object_get(email, "attachments")), "CFGHJ");
	json_decref(email);
}

static void the_structure(void **state)
{
	json_t *email;

	(void)state;
	(void)add(newsletter);
	email = get(1, "'properties':['bodyStructure'],'bodyProperties':['type','cid']");
	assert_string_equal(
		jmap_text_of(json_object_get(email, "bodyStructure")),
		"{\"cid\":null,\"subParts\":[{\"cid\":null,\"type\":\"text/plain\"},"
		"{\"cid\":null,\"subParts\":[{\"cid\":null,\"subParts\":["
		"{\"cid\":null,\"subParts\":[{\"cid\":null,\"type\":\"text/plain\"},{\"cid\":null,"
		"\"type\":\"image/jpeg\"},{\"cid\":null,\"type\":\"text/plain\"}],\"type\":"
		"\"multipart/mixed\"},{\"cid\":null,\"subParts\":[{\"cid\":null,\"type\":\"text/"
		"html\"},{\"cid\":\"f@x\",\"type\":\"image/jpeg\"}],\"type\":\"multipart/related\"}"
		"],\"type\":\"multipart/alternative\"},{\"cid\":null,\"type\":\"image/jpeg\"},{"
		"\"cid\":null,\"type\":\"application/x-excel\"},{\"cid\":null,\"type\":\"message/"
		"rfc822\"}],\"type\":\"multipart/mixed\"},{\"cid\":null,\"type\":\"text/plain\"}],"
		"\"type\":\"multipart/mixed\"}");
	json_decref(email);
	email = get(1, "'properties':['bodyStructure'],'bodyProperties':['partId','blobId']");
	assert_true(json_is_null(jmap_at(email, "bodyStructure/partId")));
	assert_true(json_is_null(jmap_at(email, "bodyStructure/blobId")));
	json_decref(email);
}

static void lists_of_other_shapes(void **state)
{
	static const struct {
		const char *name, *type, *parts, *text, *html, *attached;
	} rows[] = {
		{"an alternative", "multipart/alternative; boundary=1",
		 "--1\r\nContent-Type: text/plain\r\n\r\nA\r\n--1\r\nContent-Type: "
		 "text/html\r\n\r\n<b>B\r\n--1--",
		 "A", "B", ""},
		{"HTML alone in an alternative", "multipart/alternative; boundary=1",
		 "--1\r\nContent-Type: text/html\r\n\r\n<b>B\r\n--1--", "B", "B", ""},
		{"text alone in an alternative", "multipart/alternative; boundary=1",
		 "--1\r\nContent-Type: text/plain\r\n\r\nA\r\n--1--", "A", "A", ""},
		{"a calendar in an alternative", "multipart/alternative; boundary=1",
		 "--1\r\nContent-Type: text/plain\r\n\r\nA\r\n--1\r\nContent-Type: "
		 "text/calendar\r\n\r\nB\r\n--1--",
		 "A", "A", "B"},
		{"a named text behind the first", "multipart/mixed; boundary=1",
		 "--1\r\n\r\nA\r\n--1\r\nContent-Type: text/plain; name=x.txt\r\n\r\nB\r\n--1--",
		 "A", "A", "B"},
		{"the first is named", "multipart/mixed; boundary=1",
		 "--1\r\nContent-Type: text/plain; name=x.txt\r\n\r\nA\r\n--1--", "A", "A", ""},
		{"the first is attached", "multipart/mixed; boundary=1",
		 "--1\r\nContent-Disposition: ATTACHMENT\r\n\r\nA\r\n--1\r\n\r\nB\r\n--1--", "B",
		 "B", "A"},
		{"a picture related to a text", "multipart/related; boundary=1",
		 "--1\r\nContent-Type: text/html\r\n\r\n<b>A\r\n--1\r\nContent-Type: "
		 "image/png\r\n\r\nB\r\n--1--",
		 "A", "A", "B"},
		{"a picture alone", "image/png", "A", "A", "A", ""},
		{"a file alone", "application/pdf", "A", "", "", "A"},
		{"no part at all", "multipart/mixed; boundary=1", "--1--", "", "", ""},
		{"no boundary", "multipart/mixed", "A", "A", "A", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[600];
		json_t *email;

		(void)snprintf(text, sizeof text, "Content-Type: %s\r\n\r\n%s", rows[i].type,
			       rows[i].parts);
		email = get(add(text), "'properties':['textBody','htmlBody','attachments']");
		assert_string_equal(letters(json_object_get(email, "textBody")), rows[i].text);
		assert_string_equal(letters(json_object_get(email, "htmlBody")), rows[i].html);
		assert_string_equal(letters(json_object_get(email, "attachments")),
				    rows[i].attached);
		json_decref(email);
	}
}

static void properties_of_parts(void **state)
{
	json_t *email;

	(void)state;
	(void)add("Content-Type: multipart/mixed; boundary=1\r\n\r\n--1\r\n"
		  "Content-Type: TEXT/Plain (x); charset=\"ISO-8859-1\"; name=n.txt\r\n"
		  "Content-Disposition: Inline; filename*=utf-8''%e2%82%ac.txt\r\n"
		  "Content-Transfer-Encoding: quoted-printable\r\n"
		  "Content-Language: de, en-GB\r\nContent-Location: http://x/a\r\n\r\n"
		  "Gr=FC=DFe\r\n--1\r\n\r\nx\r\n--1\r\nContent-Type: application/pdf\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--1--\r\n");
	email = get(1, "'properties':['bodyStructure','bodyValues'],'fetchAllBodyValues':true,"
		       "'bodyProperties':['partId','size','name','type','charset','disposition',"
		       "'language','location','header:content-type','headers']");
	assert_string_equal(
		jmap_text_of(jmap_at(email, "bodyStructure/subParts/0")),
		"{\"charset\":\"ISO-8859-1\",\"disposition\":\"inline\",\"header:content-type\":\" "
		"TEXT/Plain (x); charset=\\\"ISO-8859-1\\\"; name=n.txt\",\"headers\":[{\"name\":"
		"\"Content-Type\",\"value\":\" TEXT/Plain (x); charset=\\\"ISO-8859-1\\\"; "
		"name=n.txt\"},{\"name\":\"Content-Disposition\",\"value\":\" Inline; "
		"filename*=utf-8''%e2%82%ac.txt\"},{\"name\":\"Content-Transfer-Encoding\","
		"\"value\":\" quoted-printable\"},{\"name\":\"Content-Language\",\"value\":\" de, "
		"en-GB\"},{\"name\":\"Content-Location\",\"value\":\" http://x/a\"}],\"language\":["
		"\"de\",\"en-GB\"],\"location\":\"http://x/a\",\"name\":\"\u20ac.txt\",\"partId\":"
		"\"1\",\"size\":5,\"type\":\"text/plain\"}");
	assert_string_equal(
		jmap_text_of(jmap_at(email, "bodyStructure/subParts/1")),
		"{\"charset\":\"us-ascii\",\"disposition\":null,\"header:content-type\":null,"
		"\"headers\":[],\"language\":null,\"location\":null,\"name\":null,\"partId\":\"2\","
		"\"size\":1,\"type\":\"text/plain\"}");
	assert_true(json_is_null(jmap_at(email, "bodyStructure/subParts/2/charset")));
	assert_int_equal(json_integer_value(jmap_at(email, "bodyStructure/subParts/2/size")), 3);
	assert_string_equal(json_string_value(jmap_at(email, "bodyValues/1/value")),
			    "Gr\u00fc\u00dfe");
	assert_null(jmap_at(email, "bodyValues/3"));
	json_decref(email);
}

static void body_values(void **state)
{
	static const struct {
		const char *name, *head, *body, *most, *value;
		bool is_problem, is_cut;
	} rows[] = {
		{"line ends", "text/plain", "a\r\nb\nc\rd", "0", "a\nb\nc\rd", false, false},
		{"exactly the limit", "text/plain", "abc\r\n", "4", "abc\n", false, false},
		{"one more", "text/plain", "abcd\r\n", "4", "abcd", false, true},
		{"no character is cut", "text/plain; charset=utf-8", "ab\u20ac", "4", "ab", false,
		 true},
		{"a whole one stays", "text/plain; charset=utf-8", "ab\u20acc", "5", "ab\u20ac",
		 false, true},
		{"no tag is cut", "text/html", "a<b>c</b><a href=\"x\">d", "15", "a<b>c</b>", false,
		 true},
		{"bad bytes", "text/plain; charset=utf-8", "a\xff", "0", "a\ufffd", true, false},
		{"unknown charset", "text/plain; charset=klingon", "abc", "0", "abc", true, false},
		{"unknown encoding", "text/plain\r\nContent-Transfer-Encoding: x-foo", "abc", "0",
		 "abc", true, false},
		{"no charset, UTF-8", "text/plain", "\u00e4", "0", "\u00e4", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300], args[200];
		json_t *email;

		(void)snprintf(text, sizeof text, "Content-Type: %s\r\n\r\n%s", rows[i].head,
			       rows[i].body);
		(void)snprintf(args, sizeof args,
			       "'properties':['bodyValues'],'fetchHTMLBodyValues':true,"
			       "'maxBodyValueBytes':%s",
			       rows[i].most);
		rig.mem.read_piece = i % 2 ? 1 : 0;
		email = get(add(text), args);
		assert_string_equal(json_string_value(jmap_at(email, "bodyValues/0/value")),
				    rows[i].value);
		assert_int_equal(json_is_true(jmap_at(email, "bodyValues/0/isEncodingProblem")),
				 rows[i].is_problem);
		assert_int_equal(json_is_true(jmap_at(email, "bodyValues/0/isTruncated")),
				 rows[i].is_cut);
		json_decref(email);
	}
}

/* The answer does not depend on how the store gives its bytes. */
static void any_pieces(void **state)
{
	static const char args[] =
		"'properties':['headers','bodyStructure','textBody','htmlBody','attachments',"
		"'bodyValues','preview','hasAttachment','from','subject'],'fetchAllBodyValues':"
		"true,"
		"'bodyProperties':['headers','size','type','partId','name']";
	json_t *whole, *pieces;
	uint64_t number;

	(void)state;
	number = add(newsletter);
	whole = get(number, args);
	for (size_t n = 1; n < 9; n++) {
		rig.mem.read_piece = n;
		pieces = get(number, args);
		assert_true(json_equal(whole, pieces));
		json_decref(pieces);
	}
	json_decref(whole);
}

static void a_message_that_is_damaged(void **state)
{
	json_t *email;

	(void)state;
	email = get(add(""), "");
	assert_true(json_is_null(json_object_get(email, "subject")));
	assert_true(json_is_null(json_object_get(email, "from")));
	assert_int_equal(json_integer_value(json_object_get(email, "size")), 0);
	json_decref(email);
}

static void only_the_head_is_read_for_a_list(void **state)
{
	struct buf big = {0};
	json_t *email;

	(void)state;
	(void)buf_printf(&big, "Subject: big\r\nContent-Type: text/plain\r\n\r\n");
	for (int i = 0; i < 200000; i++)
		(void)buf_printf(&big, "0123456789\r\n");
	(void)mail_mem_put(&rig.mem, "INBOX", mail_mem_add_message(&rig.mem, buf_span(&big), 0), 0,
			   NULL);
	email = get(1, "'properties':['subject','from']");
	assert_string_equal(json_string_value(json_object_get(email, "subject")), "big");
	assert_int_equal(rig.mem.reads, 1);
	json_decref(email);
	rig.mem.reads = 0;
	email = get(1, "'properties':['id','keywords','preview']");
	assert_int_equal(rig.mem.reads, 0);
	json_decref(email);
	email = get(1, "'properties':['textBody']");
	assert_true(rig.steps > 5); /* J4 */
	json_decref(email);
	buf_fini(&big);
}

/* A sender cannot make a list of messages fail, or large. */
static void hostile_headers(void **state)
{
	static const struct {
		const char *before, *again, *after;
		size_t times;
	} rows[] = {
		{"To: ", "a,", "\r\n\r\n", 1500000},
		{"", "a:\n", "\n", 1000000},
		{"From: ", "=?utf-8?q?a?= ", "<a@b>\r\n\r\n", 200000},
		{"Subject: ", "\001", "\r\n\r\n", 3000000},
		{"References: ", "<a> ", "\r\n\r\n", 700000},
		{"X: ", "(", "\r\n\r\n", 3000000},
		{"Content-Type: multipart/mixed; boundary=1\n\n", "--1\nA: b\n\n", "", 100000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf text = {0};
		json_t *email;

		(void)buf_append(&text, span_str(rows[i].before));
		for (size_t k = 0; k < rows[i].times; k++)
			(void)buf_append(&text, span_str(rows[i].again));
		(void)buf_append(&text, span_str(rows[i].after));
		(void)mail_mem_put(&rig.mem, "INBOX",
				   mail_mem_add_message(&rig.mem, buf_span(&text), 0), 0, NULL);
		email = get(
			rig.mem.messages_n,
			"'properties':['from','to','subject','references','headers','header:X:all',"
			"'bodyStructure','textBody','attachments','header:x:asAddresses'],"
			"'bodyProperties':['partId','headers','header:A']");
		assert_true(rig.said.n < 4 << 20);
		assert_true(rig.took_ms < 2000);
		json_decref(email);
		buf_fini(&text);
	}
}

/* Properties that differ in case alone name the same field: an answer does not hold it sixty times. */
static void many_names_of_one_header(void **state)
{
	static const char *const wanted[] = {"'properties':[%s]",
					     "'properties':['bodyStructure','textBody','htmlBody',"
					     "'attachments'],'bodyProperties':[%s]"};
	struct buf text = {0}, ids = {0}, names = {0}, args = {0};

	(void)state;
	(void)buf_printf(&text, "Content-Type: multipart/mixed; boundary=1\nXxxxxxxxx: ");
	for (size_t i = 0; i < 120000; i++)
		(void)buf_append_byte(&text, 'a');
	(void)buf_printf(&text, "\n\n");
	for (int i = 0; i < 1500; i++)
		(void)buf_printf(&text, "--1\nXxxxxxxxx: %0400d\n\n", i);
	for (int i = 0; i < 60; i++) {
		(void)buf_printf(&names, "%s'header:", i ? "," : "");
		for (int k = 0; k < 9; k++)
			(void)buf_append_byte(&names, i >> k & 1 ? 'X' : 'x');
		(void)buf_printf(&names, "'");
	}
	for (int i = 0; i < 40; i++) {
		(void)mail_mem_put(&rig.mem, "INBOX",
				   mail_mem_add_message(&rig.mem, buf_span(&text), 0), 0, NULL);
		(void)buf_printf(&ids, "%s'M%zu'", i ? "," : "", (size_t)rig.mem.messages_n);
	}
	for (size_t i = 0; i < 2; i++) {
		ssize_t at = span_chr(span_str(wanted[i]), '%');
		json_t *a;

		buf_clear(&args);
		(void)buf_printf(&args, "'ids':[%.*s],%.*s%.*s]", SPAN_FMT(buf_span(&ids)), (int)at,
				 wanted[i], SPAN_FMT(buf_span(&names)));
		a = jmap_rig_call(&rig, "Email/get", buf_cstr(&args));
		assert_string_equal(jmap_text_of(jmap_at(a, "type")), "\"requestTooLarge\"");
		assert_true(rig.took_ms < 5000);
		json_decref(a);
	}
	buf_fini(&text);
	buf_fini(&ids);
	buf_fini(&names);
	buf_fini(&args);
}

/* ---- blobs ---- */

static enum rc read_blob(const char *id, size_t skip, struct buf *out)
{
	struct jmap_blob *b;
	struct span piece;
	enum rc rc = jmap_blob_open(&rig.person, span_str(id), &b, NULL);

	if (rc != OK)
		return rc;
	while ((rc = jmap_blob_ready(b, NULL)) == MORE)
		;
	if (rc == OK)
		jmap_blob_skip(b, skip);
	while (rc == OK || rc == MORE) {
		rc = jmap_blob_read(b, &piece, NULL);
		if (rc == OK && piece.n == 0)
			break;
		if (rc == OK)
			(void)buf_append(out, piece);
	}
	if (rc == OK)
		assert_int_equal(out->n + skip, jmap_blob_bytes(b));
	jmap_blob_close(b);
	assert_int_equal(rig.mem.open_bodies, 0);
	return rc;
}

static void blobs(void **state)
{
	static const struct {
		const char *id, *bytes;
	} rows[] = {
		{"GM1", NULL},
		{"GM1p1", "plain"},
		{"GM1p2", "\1\2\3\4\5\6\7"},
		{"GM1p3", "Subject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8="},
		{"GM1p3p0", "hello"},
		{"GM1p0", NULL},
		{"GM1p9", NULL},
		{"GM2", NULL},
		{"GS1", NULL},
		{"GM1p01", NULL},
		{"GM1p", NULL},
		{"GM1p3p0p0p0p0p0", NULL},
		{"U00", NULL},
		{"", NULL},
		{"G", NULL},
	};
	struct buf got = {0};

	(void)state;
	(void)add("Content-Type: multipart/mixed; boundary=1\r\n\r\n--1\r\n\r\nplain\r\n--1\r\n"
		  "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		  "AQID\r\nBAUGBw==\r\n--1\r\nContent-Type: message/rfc822\r\n\r\n"
		  "Subject: in\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--1--\r\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t piece = 0; piece < 3; piece++) {
			rig.mem.read_piece = piece;
			buf_clear(&got);
			if (!rows[i].bytes && i) {
				assert_int_equal(read_blob(rows[i].id, 0, &got), REFUSED);
				continue;
			}
			assert_int_equal(read_blob(rows[i].id, 0, &got), OK);
			if (i)
				assert_true(span_eq(buf_span(&got), span_str(rows[i].bytes)));
			else
				assert_true(span_eq(buf_span(&got),
						    buf_span(&rig.mem.messages[0].text)));
		}
	}
	rig.mem.read_piece = 3;
	for (size_t skip = 0; skip <= 7; skip++) {
		buf_clear(&got);
		assert_int_equal(read_blob("GM1p2", skip, &got), OK);
		assert_true(span_eq(buf_span(&got), span_from(SPAN_LIT("\1\2\3\4\5\6\7"), skip)));
	}
	mail_mem_remove(&rig.mem, &rig.mem.entries[0]); /* J5: what is not the account's any more */
	assert_int_equal(read_blob("GM1p1", 0, &got), REFUSED);
	buf_fini(&got);
}

/* ---- places, keywords ---- */

static void keywords_of_all_places(void **state)
{
	json_t *email, *a;

	(void)state;
	(void)mail_mem_put(&rig.mem, "INBOX",
			   mail_mem_add_message(&rig.mem, SPAN_LIT("A: b\n\n"), 0), MAIL_SEEN,
			   "$Forwarded Work");
	(void)mail_mem_put(&rig.mem, "Work", 1, MAIL_FLAGGED, "work");
	email = get(1, "'properties':['keywords','mailboxIds']");
	assert_string_equal(jmap_text_of(json_object_get(email, "keywords")),
			    "{\"$flagged\":true,\"$forwarded\":true,\"work\":true}");
	assert_string_equal(jmap_text_of(json_object_get(email, "mailboxIds")),
			    "{\"F1\":true,\"F3\":true}");
	json_decref(email);
	rig.mem.entries[1].e.flags |= MAIL_DELETED; /* RFC 8621 s4.1.1: not visible */
	email = get(1, "'properties':['keywords','mailboxIds']");
	assert_string_equal(jmap_text_of(json_object_get(email, "keywords")),
			    "{\"$forwarded\":true,\"$seen\":true,\"work\":true}");
	assert_string_equal(jmap_text_of(json_object_get(email, "mailboxIds")), "{\"F1\":true}");
	json_decref(email);
	rig.mem.entries[0].e.flags |= MAIL_DELETED;
	a = jmap_rig_call(&rig, "Email/get", "'ids':['M1','M1','x'],'properties':[]");
	assert_string_equal(jmap_text_of(json_object_get(a, "notFound")), "[\"M1\",\"x\"]");
	json_decref(a);
}

static void mailboxes(void **state)
{
	json_t *a;

	(void)state;
	(void)mail_mem_put(&rig.mem, "Work/2026", add("A: b\n\n"), MAIL_SEEN, NULL);
	(void)mail_mem_put(&rig.mem, "Work/2026", add("A: c\n\n"), MAIL_DRAFT, NULL);
	(void)mail_mem_put(&rig.mem, "Work/2026",
			   mail_mem_add_message(&rig.mem, SPAN_LIT("A\n"), 101), 0, NULL);
	(void)mail_mem_put(&rig.mem, "Work/2026", 3, MAIL_DELETED, NULL);
	(void)mail_mem_put(&rig.mem, "Work/2026", 3, 0, NULL); /* twice in one: counts once */
	a = jmap_rig_call(
		&rig, "Mailbox/get",
		"'ids':['F4','F9','F4'],'properties':['name','parentId','role','totalEmails',"
		"'unreadEmails','totalThreads','unreadThreads']");
	assert_string_equal(jmap_text_of(json_object_get(a, "list")),
			    "[{\"id\":\"F4\",\"name\":\"2026\",\"parentId\":\"F3\",\"role\":null,"
			    "\"totalEmails\":3,\"totalThreads\":2,\"unreadEmails\":1,"
			    "\"unreadThreads\":1}]");
	assert_string_equal(jmap_text_of(json_object_get(a, "notFound")), "[\"F9\"]");
	json_decref(a);
}

static void query_of_mailboxes(void **state)
{
	static const struct {
		const char *args, *ids;
	} rows[] = {
		{"", "[\"F1\",\"F2\",\"F3\",\"F4\"]"},
		{"'filter':{'parentId':null}", "[\"F1\",\"F2\",\"F3\"]"},
		{"'filter':{'parentId':'F3'}", "[\"F4\"]"},
		{"'filter':{'parentId':'x'}", "[]"},
		{"'filter':{'role':'trash'}", "[\"F2\"]"},
		{"'filter':{'role':null}", "[\"F3\",\"F4\"]"},
		{"'filter':{'hasAnyRole':true}", "[\"F1\",\"F2\"]"},
		{"'filter':{'name':'WOR'}", "[\"F3\"]"},
		{"'filter':{'name':'2026'},'filterAsTree':true", "[]"},
		{"'filter':{'operator':'OR','conditions':[{'name':'2026'},{'name':'work'}]},"
		 "'filterAsTree':true",
		 "[\"F3\",\"F4\"]"},
		{"'filter':{'operator':'NOT','conditions':[{'hasAnyRole':true},{'parentId':'F3'}]}",
		 "[\"F3\"]"},
		{"'filter':{'isSubscribed':false}", "[]"},
		{"'sort':[{'property':'name'}]", "[\"F4\",\"F1\",\"F2\",\"F3\"]"},
		{"'sort':[{'property':'name'}],'sortAsTree':true", "[\"F1\",\"F2\",\"F3\",\"F4\"]"},
		{"'sort':[{'property':'name','isAscending':false}],'sortAsTree':true",
		 "[\"F3\",\"F4\",\"F2\",\"F1\"]"},
		{"'sort':[{'property':'sortOrder','isAscending':false},{'property':'name'}]",
		 "[\"F4\",\"F3\",\"F2\",\"F1\"]"},
		{"'position':-1", "[\"F4\"]"},
		{"'anchor':'F3','anchorOffset':-1,'limit':2", "[\"F2\",\"F3\"]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *a = jmap_rig_call(&rig, "Mailbox/query", rows[i].args);

		assert_string_equal(jmap_text_of(json_object_get(a, "ids")), rows[i].ids);
		json_decref(a);
	}
}

/* ---- snippets (RFC 8621 s5) ---- */

static void snippets(void **state)
{
	static const struct {
		const char *filter, *subject, *preview;
	} rows[] = {
		{"{'text':'foo'}", "\"The <mark>Foo</mark>sball &amp; Co\"",
		 "\"\u2026front of all this, so that it has to be cut somewhere: the "
		 "<mark>Foo</mark>/bar method results often returns &lt;1 widget "
		 "rather "
		 "than the complete &quot;<mark>foo</mark>&quot;\""},
		{"{'subject':'foosball'}", "\"The <mark>Foosball</mark> &amp; Co\"", "null"},
		{"{'body':'WIDGET'}", "null",
		 "\"\u2026cut somewhere: the Foo/bar method results often returns "
		 "&lt;1 <mark>widget</mark> "
		 "rather "
		 "than the complete &quot;foo&quot;\""},
		{"{'text':'nothing'}", "null", "null"},
		{"{'from':'foo'}", "null", "null"},
		{"{'operator':'NOT','conditions':[{'text':'foo'}]}", "null", "null"},
		{"{'operator':'NOT','conditions':[{'operator':'NOT','conditions':[{'subject':'co'}]"
		 "},"
		 "{'subject':'the'}]}",
		 "\"The Foosball &amp; <mark>Co</mark>\"", "null"},
		{"{'operator':'AND','conditions':[{'subject':'the'},{'subject':'\\\"sball & "
		 "c\\\"'}]}",
		 "\"<mark>The</mark> Foo<mark>sball &amp; C</mark>o\"", "null"},
		{"{'subject':'the foo'}", "\"<mark>The</mark> <mark>Foo</mark>sball &amp; Co\"",
		 "null"},
		{"null", "null", "null"},
	};

	(void)state;
	(void)add(
		"Subject: The Foosball & Co\r\nContent-Type: "
		"text/html\r\n\r\n<html><head><style>foo"
		"{}</style></head><body title=foo><p>A long sentence stands in front of all this, "
		"so "
		"that it has to be cut somewhere: the&nbsp;Foo/bar method\r\nresults often returns "
		"&lt;1 <i>widget</i> rather than the complete \"foo\"</p></body></html>\r\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char args[300];
		json_t *a;

		(void)snprintf(args, sizeof args, "'filter':%s,'emailIds':['M1','M7']",
			       rows[i].filter);
		a = jmap_rig_call(&rig, "SearchSnippet/get", args);
		assert_string_equal(jmap_text_of(jmap_at(a, "list/0/subject")), rows[i].subject);
		assert_string_equal(jmap_text_of(jmap_at(a, "list/0/preview")), rows[i].preview);
		assert_string_equal(jmap_text_of(jmap_at(a, "notFound")), "[\"M7\"]");
		json_decref(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, furnish, clear)
		TEST(header_forms),
		TEST(forms_that_a_field_has_not),
		TEST(all_headers),
		TEST(the_lists_of_the_standard),
		TEST(the_structure),
		TEST(lists_of_other_shapes),
		TEST(properties_of_parts),
		TEST(body_values),
		TEST(any_pieces),
		TEST(a_message_that_is_damaged),
		TEST(only_the_head_is_read_for_a_list),
		TEST(hostile_headers),
		TEST(many_names_of_one_header),
		TEST(blobs),
		TEST(keywords_of_all_places),
		TEST(mailboxes),
		TEST(query_of_mailboxes),
		TEST(snippets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
