/*
 * Scripted dialogues for the IMAP client engine: lines of a letter, a blank and bytes.
 *
 *   S bytes  the server sends them (all at once, or one by one)   C bytes  what the client sent since the last C
 *   > text   a command, see imap_client_script.c                  P bytes  a piece of an APPEND
 *   T        the handshake came through     L why  lost           N next   I end of IDLE
 *   W name   the want is now input tls command piece result close
 *   R text   "outcome code-number text[ uidvalidity/uid][ modified]"       F text  how it failed, or "no"
 *   D text   what the callbacks were given since the last D
 */
#pragma once

#include "imap/client.h"

/* Plays the lines (NULL ends them) twice, whole pieces and byte by byte; fails the test at the first that is not so. */
void imap_client_script_play(enum imap_client_tls tls, const char *const *lines);
