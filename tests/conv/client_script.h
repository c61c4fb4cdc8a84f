/*
 * Scripted dialogues for the SMTP client engine. A script is an array of lines, each a letter, a
 * blank and bytes:
 *
 *   S bytes   the server sends them (all at once, or one by one)        C bytes   what the client
 * sent since the last C M args    begin a transaction (see client_script.c)                 B bytes
 * a piece of the body E         the body ends            P   permit the dot               T the
 * handshake came through L why     the connection is lost   Q   quit                         N next
 * (forget the transaction) W name    the want is now input tls mail body permit result close R n
 * text  result of recipient n: "accepted|4xx|5xx|unreached|lost stage code enhanced text" F text
 * how it failed: "stage code enhanced text", or "no"        I text    queue id
 */
#pragma once

#include "smtp/client.h"

struct client_script {
	const char *name;
	enum smtp_tls_policy tls;
	const char *const *lines; /* ends with NULL */
	bool logs_in;		  /* as "u" with the password "p" */
	bool in_clear;		  /* without TLS too */
};

/* Plays the script twice, whole pieces and byte by byte; fails the test at the first line that is
 * not as written. */
void client_script_play(const struct client_script *script);
