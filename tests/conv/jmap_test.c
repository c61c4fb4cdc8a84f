/* JMAP's core and reading over mailboxes in memory (RFC 8620, RFC 8621). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "jmap_rig.h"

static const char lunch[] =
	"From: Bert <bert@example.org>\r\nTo: Anna <anna@example.com>\r\nSubject: Lunch\r\n"
	"Date: Thu, 1 Jan 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\nAt noon?\r\n";

static struct jmap_rig rig;

static int furnish(void **state)
{
	(void)state;
	jmap_rig_init(&rig);
	(void)mail_mem_add_box(&rig.mem, "INBOX", MAIL_INBOX);
	(void)mail_mem_add_box(&rig.mem, "Trash", MAIL_TRASH);
	(void)mail_mem_add_box(&rig.mem, "Work", MAIL_PLAIN);
	(void)mail_mem_add_box(&rig.mem, "Work/2026", MAIL_PLAIN);
	(void)mail_mem_put(&rig.mem, "INBOX", mail_mem_add_message(&rig.mem, span_str(lunch), 0), 0,
			   "$Forwarded");
	return 0;
}

static int clear(void **state)
{
	(void)state;
	jmap_rig_fini(&rig);
	return 0;
}

static void smoke(void **state)
{
	json_t *a;

	(void)state;
	a = jmap_rig_call(&rig, "Mailbox/get", "");
	puts(jmap_text_of(a));
	json_decref(a);
	a = jmap_rig_calls(&rig,
			   "[['Email/query',{'accountId':'A7','filter':{'inMailbox':'F1'}},'0'],"
			   "['Email/get',{'accountId':'A7','#ids':{'resultOf':'0','name':'Email/"
			   "query','path':'/ids'},'fetchTextBodyValues':true},'1']]");
	puts(jmap_text_of(a));
	json_decref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(smoke, furnish, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
