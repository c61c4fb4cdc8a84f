/* Going home: what counts as our message on the primary, and which of its mailboxes stands for one of ours. */
#include "role/courier/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define OUR_ID "00112233445566778899aabbccddeeff"
#define FROM_US                                                                                    \
	"Received: from a (b [192.0.2.1])\r\n\tby mx2 (Holdfast) with ESMTPS\r\n id " OUR_ID "\r"  \
											     "\n"

static struct msg_home_item item(enum home_action action, enum mail_special to)
{
	return (struct msg_home_item){.action = (uint8_t)action,
				      .to_special = (uint8_t)to,
				      .id = SPAN_LIT(OUR_ID),
				      .message_id = SPAN_LIT("<m@x>"),
				      .date = SPAN_LIT("Sat, 21 Nov 2026 21:10:22 +0000"),
				      .bytes = 1000};
}

static void is_it_ours(void **state)
{
	static const struct {
		const char *header;
		uint64_t size;
		enum home_action action;
		enum mail_special to;
		enum home_match wanted;
	} rows[] = {
		/* a Message-ID alone says nothing */
		{"Message-ID: <m@x>\r\n\r\n", 1200, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_NO},
		{"Message-ID: <m@x>\r\nDate: Sun, 22 Nov 2026 21:10:22 +0000\r\n", 1200,
		 HOME_CHANGE, MAIL_INBOX, HOME_MATCH_NO},
		{"Message-ID: <m@x>\r\n" FROM_US, 1200, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_YES},
		{FROM_US "MESSAGE-ID:\r\n <m@x>\r\n", 10, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_YES},
		{FROM_US "Message-ID: <other@x>\r\n", 1200, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_NO},
		/* the primary's own copy: bytes decide; smaller than ours it cannot be it */
		{"Message-ID: <m@x>\r\nDate: Sat,  21 Nov 2026\r\n 21:10:22 +0000\r\n", 1000,
		 HOME_CHANGE, MAIL_INBOX, HOME_MATCH_MAYBE},
		{"Message-ID: <m@x>\r\nDate: Sat, 21 Nov 2026 21:10:22 +0000\r\n", 999, HOME_CHANGE,
		 MAIL_INBOX, HOME_MATCH_NO},
		{"Message-ID: <m@x>\r\nDate: Sat, 21 Nov 2026 21:10:22 +0000\r\n", 1000,
		 HOME_APPEND, MAIL_DRAFTS, HOME_MATCH_MAYBE},
		/* in Sent the person's own copy is as good as ours */
		{"Message-ID: <m@x>\r\nDate: Sat, 21 Nov 2026 21:10:22 +0000\r\n", 700, HOME_APPEND,
		 MAIL_SENT, HOME_MATCH_YES},
		{"Message-ID: <m@x>\r\n", 1000, HOME_APPEND, MAIL_SENT, HOME_MATCH_NO},
		{"", 1000, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_NO},
		{"no field\r\n: x\r\n", 1000, HOME_CHANGE, MAIL_INBOX, HOME_MATCH_NO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_home_item it = item(rows[i].action, rows[i].to);

		if (home_match(&it, span_str(rows[i].header), rows[i].size) != rows[i].wanted)
			fail_msg("row %zu: %s", i, rows[i].header);
	}
}

static void what_is_searched_for(void **state)
{
	struct msg_home_item it = item(HOME_CHANGE, MAIL_INBOX);
	struct span field, text;

	(void)state;
	assert_true(home_search_key(&it, &field, &text));
	assert_true(span_eq(text, SPAN_LIT("<m@x>")));
	it.message_id = SPAN_LIT("<\303\244@x>"); /* cannot stand in a command */
	assert_true(home_search_key(&it, &field, &text));
	assert_true(span_eq(field, SPAN_LIT("Received")));
	it.action = HOME_APPEND; /* our id is in what was handed back, not in what was put here */
	assert_true(home_search_key(&it, &field, &text));
	assert_true(span_eq(field, SPAN_LIT("Date")));
	it.date = SPAN_NONE;
	assert_false(home_search_key(&it, &field, &text));
}

static void folders(void **state)
{
	static const struct {
		const char *prefix;
		char delimiter;
		const char *boxes[4]; /* "name/flags in hexadecimal" after the last blank */
		enum mail_special special;
		const char *name, *wanted;
		bool exists;
	} rows[] = {
		{"", '/', {"INBOX 100", "Gesendet 2"}, MAIL_SENT, "Sent", "Gesendet", true},
		{"", '/', {"INBOX 100", "Sent Items 0"}, MAIL_SENT, "Sent", "Sent Items", true},
		{"", '/', {"INBOX 100", "sent 0"}, MAIL_SENT, "Sent", "sent", true},
		{"", '/', {"INBOX 100"}, MAIL_TRASH, "Trash", "Trash", false},
		{"INBOX.", '.', {"INBOX 100"}, MAIL_TRASH, "Trash", "INBOX.Trash", false},
		{"INBOX.", '.', {"INBOX 100", "INBOX.A.B 0"}, MAIL_PLAIN, "A/B", "INBOX.A.B", true},
		{"", '.', {"INBOX 100"}, MAIL_PLAIN, "v1.2/x", "v1_2.x", false},
		{"", '/', {"INBOX 100"}, MAIL_PLAIN, "a.b/c", "a.b/c", false},
		{"",
		 '/',
		 {"INBOX 100", "Junk 1"},
		 MAIL_JUNK,
		 "Junk",
		 "Junk",
		 false}, /* \Noselect */
		{"INBOX.", '.', {"INBOX 100"}, MAIL_INBOX, "INBOX", "INBOX", true},
		{"INBOX.", '.', {"INBOX 100"}, MAIL_PLAIN, "INBOX/x", "INBOX.x", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct home_folders f = {.delimiter = rows[i].delimiter};
		char out[HOME_PATH_BYTES];
		bool exists;

		strcpy(f.prefix, rows[i].prefix);
		for (size_t k = 0; k < 4 && rows[i].boxes[k]; k++) {
			const char *blank = strrchr(rows[i].boxes[k], ' ');
			const struct imap_client_box box = {
				.name = span_of(rows[i].boxes[k],
						(size_t)(blank - rows[i].boxes[k])),
				.delimiter = rows[i].delimiter,
				.flags = (uint32_t)strtoul(blank, NULL, 16)};

			home_folders_add(&f, &box);
		}
		exists = home_folder_for(&f, rows[i].special, span_str(rows[i].name), out);
		if (exists != rows[i].exists || strcmp(out, rows[i].wanted) != 0)
			fail_msg("row %zu: %s, %d", i, out, exists);
		home_folders_fini(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_it_ours),
		cmocka_unit_test(what_is_searched_for),
		cmocka_unit_test(folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
