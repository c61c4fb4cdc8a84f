/* The notifications that dsn_test checks byte by byte and the referees (dsn_referee.py) read with other people's parsers. */
#pragma once

#include "mail/dsn.h"

struct dsn_sample {
	const char *name;
	struct dsn_facts facts;
};

#define ORIGINAL                                                                                   \
	"Subject: =?x?= hello\r\nFrom: a@sender.example\r\nMessage-ID: "                           \
	"<1@sender.example>\r\n\r\nbody line\r\n"
#define ORIGINAL_HEADER_BYTES 80

#define COMMON                                                                                     \
	.node = SPAN_LIT("mx2.example.net"),                                                       \
	.message_id = SPAN_LIT("00112233445566778899aabbccddeeff"),                                \
	.received_us = 1763759422000000, .now_us = 1763763022000000,                               \
	.original = SPAN_LIT(ORIGINAL), .header_bytes = ORIGINAL_HEADER_BYTES

#define PEOPLE .sender = SPAN_LIT("a@sender.example"), .rcpt = SPAN_LIT("nobody@example.com")

#define REFUSED_550                                                                                \
	.code = 550, .enhanced = SPAN_LIT("5.1.1"), .text = SPAN_LIT("no such user here"),         \
	.host = SPAN_LIT("mail.example.com")

static const struct dsn_sample dsn_samples[] = {
	{"failed_headers", {COMMON, PEOPLE, REFUSED_550}},
	{"failed_full",
	 {COMMON, PEOPLE, REFUSED_550, .return_full = true, .envid = SPAN_LIT("QQ314+2B159"),
	  .orcpt = SPAN_LIT("rfc822;nobody+2Bx@example.com")}},
	{"delayed",
	 {COMMON, PEOPLE, .action = DSN_DELAYED, .text = SPAN_LIT("the server does not answer"),
	  .retry_until_us = 1764195022000000}},
	{"relayed",
	 {COMMON, PEOPLE, .action = DSN_RELAYED, .code = 250, .enhanced = SPAN_LIT("2.0.0"),
	  .host = SPAN_LIT("old.example.com")}},
	/* S-20: ENVID and ORCPT with line ends, text with control bytes, a wrong enhanced code */
	{"hostile",
	 {COMMON, PEOPLE, .code = 554, .enhanced = SPAN_LIT("2.1.1"),
	  .text = SPAN_LIT("no\r\nBcc: all@example.com\r\n\r\n\033[2J\200"),
	  .host = SPAN_LIT("evil\r\nX: y"), .envid = SPAN_LIT("a+0D+0AX-Injected:+20yes"),
	  .orcpt = SPAN_LIT("rfc822;a+0D+0AX-Injected:+20yes")}},
	{"bad_parameters",
	 {COMMON, PEOPLE, REFUSED_550, .envid = SPAN_LIT("a\r\nX: y"),
	  .orcpt = SPAN_LIT("rfc822\r\nX: y;a@b")}},
	{"utf8",
	 {COMMON, REFUSED_550, .rcpt = SPAN_LIT("j\303\266rg@example.com"),
	  .sender = SPAN_LIT("\303\251@sender.example")}},
};
#define DSN_SAMPLES (sizeof dsn_samples / sizeof *dsn_samples)
