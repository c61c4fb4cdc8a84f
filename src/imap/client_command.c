/*
 * Commands: their text and when it may be sent. A string that cannot stand in quotes becomes a literal; the text is then cut
 * there, and the rest waits for the server's "+" unless it takes literals at once (RFC 7888).
 */
#include "imap/client_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/must.h"

enum {
	LITERAL_PLUS_BYTES =
		64 << 10, /* larger ones wait: the server may say no before they are sent */
	LITERAL_MINUS_BYTES = 4096, /* RFC 7888 s5 */
};

void imap_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_clear(b);
}

/* ---- text ---- */

void imap_begin(struct imap_client *c, enum imap_command command, const char *verb)
{
	must(c->state == STATE_READY || c->state == STATE_TALKING || c->state == STATE_TLS);
	imap_wipe(&c->text);
	must(buf_reserve(&c->text, 4096)); /* so that a password is not left behind by growing */
	c->command = command;
	c->sent = c->breaks_n = 0;
	c->pieces_left = 0;
	c->idling = c->body_seen = c->is_committed = false;
	buf_printf(&c->text, "H%u %s", ++c->tag, verb);
}

/* A command of the host: what the last one left is forgotten. */
static void begin_fresh(struct imap_client *c, enum imap_command command, const char *verb)
{
	must(c->state == STATE_READY);
	c->result = (struct imap_client_result){.text = c->result_text};
	c->result_text[0] = '\0';
	c->uid = 0;
	imap_begin(c, command, verb);
}

static bool takes_at_once(const struct imap_client *c, uint64_t n)
{
	return (c->caps.literal_plus && n <= LITERAL_PLUS_BYTES) ||
	       (c->caps.literal_minus && n <= LITERAL_MINUS_BYTES);
}

static bool is_quotable(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] > 126)
			return false;
	}
	return s.n <= 1000;
}

void imap_add_string(struct imap_client *c, struct span s)
{
	if (!is_quotable(s)) {
		bool at_once = takes_at_once(c, s.n);

		buf_printf(&c->text, " {%zu%s}\r\n", s.n, at_once ? "+" : "");
		if (!at_once) {
			must(c->breaks_n < IMAP_BREAKS_LIMIT);
			c->breaks[c->breaks_n++] = c->text.n;
		}
		buf_append(&c->text, s);
		return;
	}
	buf_append(&c->text, SPAN_LIT(" \""));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_append_byte(&c->text, '\\');
		buf_append_byte(&c->text, s.p[i]);
	}
	buf_append_byte(&c->text, '"');
}

/* False: no name of a mailbox; the command is over (LOCAL). */
static bool add_name(struct imap_client *c, struct span name)
{
	struct buf utf7;
	bool good;

	buf_init(&utf7, 0);
	good = imap_client_name_encode(name, &utf7);
	if (good)
		imap_add_string(c, buf_span(&utf7));
	buf_fini(&utf7);
	if (!good)
		imap_local(c, "this cannot be the name of a mailbox");
	return good;
}

/* " (\Seen $Junk)". False: a keyword is no atom. */
static bool add_flags(struct imap_client *c, uint32_t flags, struct span keywords)
{
	static const char *const names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					    "\\Draft"};
	const char *space = "";

	buf_append(&c->text, SPAN_LIT(" ("));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (flags & 1u << i) {
			buf_printf(&c->text, "%s%s", space, names[i]);
			space = " ";
		}
	}
	while (keywords.n) {
		struct span one = span_cut(&keywords, ' ');

		if (!one.n)
			continue;
		if (!imap_is_atom(one))
			return false;
		buf_printf(&c->text, "%s%.*s", space, SPAN_FMT(one));
		space = " ";
	}
	buf_append_byte(&c->text, ')');
	return true;
}

void imap_pump(struct imap_client *c)
{
	size_t until = c->text.n;

	for (size_t i = c->breaks_n; i-- > 0;) {
		if (c->breaks[i] > c->sent)
			until = c->breaks[i];
	}
	c->options.on_output(c->options.arg, span_of(c->text.p + c->sent, until - c->sent));
	c->sent = until;
}

void imap_send(struct imap_client *c)
{
	buf_append(&c->text, SPAN_LIT("\r\n"));
	imap_enter(c, STATE_TALKING);
	imap_pump(c);
}

/* ---- of the engine itself ---- */

void imap_start_capability(struct imap_client *c)
{
	c->caps_told = false;
	imap_begin(c, COMMAND_CAPABILITY, "CAPABILITY");
	imap_send(c);
}

void imap_start_starttls(struct imap_client *c)
{
	imap_begin(c, COMMAND_STARTTLS, "STARTTLS");
	imap_send(c);
}

void imap_start_move_step(struct imap_client *c, enum imap_command command)
{
	switch ((int)command) {
	case COMMAND_MOVE:
	case COMMAND_COPY:
		imap_begin(c, command, command == COMMAND_MOVE ? "UID MOVE" : "UID COPY");
		buf_printf(&c->text, " %u", c->uid);
		imap_add_string(c, buf_span(&c->target));
		break;
	case COMMAND_MARK:
		imap_begin(c, command, "UID STORE");
		buf_printf(&c->text, " %u +FLAGS.SILENT (\\Deleted)", c->uid);
		break;
	default:
		imap_begin(c, command, "UID EXPUNGE");
		buf_printf(&c->text, " %u", c->uid);
		break;
	}
	imap_send(c);
}

/* ---- login ---- */

/* RFC 4616: authorize NUL user NUL password. */
static void authenticate_plain(struct imap_client *c, struct span user, struct span authorize,
			       struct span password)
{
	struct buf plain;

	buf_init(&plain, 0);
	must(buf_reserve(&plain, authorize.n + user.n + password.n + 2));
	buf_append(&plain, authorize);
	buf_append_byte(&plain, 0);
	buf_append(&plain, user);
	buf_append_byte(&plain, 0);
	buf_append(&plain, password);
	imap_wipe(&c->answer);
	must(buf_reserve(&c->answer, 4096));
	base64_encode(&c->answer, buf_span(&plain));
	imap_wipe(&plain);
	buf_fini(&plain);
	if (c->caps.sasl_ir) {
		buf_append_byte(&c->text, ' ');
		buf_append(&c->text, buf_span(&c->answer));
		imap_wipe(&c->answer);
	} else {
		buf_append(&c->answer, SPAN_LIT("\r\n"));
	}
}

void imap_client_login(struct imap_client *c, struct span user, struct span authorize,
		       struct span password)
{
	struct span all[] = {user, authorize, password};
	bool plain = c->caps.auth_plain;

	begin_fresh(c, COMMAND_LOGIN, plain ? "AUTHENTICATE PLAIN" : "LOGIN");
	for (size_t i = 0; i < 3; i++) {
		if (span_chr(all[i], '\0') >= 0 || all[i].n > 1000) {
			imap_local(c, "this name or password cannot be sent");
			return;
		}
	}
	if (!c->is_secured && c->options.tls != IMAP_CLIENT_TLS_NONE) {
		imap_local(c, "no login without TLS"); /* I2 */
	} else if (plain) {
		c->caps_told = false;
		authenticate_plain(c, user, authorize, password);
		imap_send(c);
	} else if (c->caps.logindisabled || authorize.n) {
		imap_local(c, "the server does not offer AUTHENTICATE PLAIN");
	} else {
		c->caps_told = false;
		imap_add_string(c, user);
		imap_add_string(c, password);
		imap_send(c);
	}
}

/* ---- mailboxes ---- */

void imap_client_namespace(struct imap_client *c)
{
	begin_fresh(c, COMMAND_NAMESPACE, "NAMESPACE");
	buf_clear(&c->space);
	c->delimiter = 0;
	if (!c->caps.namespaces)
		imap_local(c, "the server does not offer NAMESPACE");
	else
		imap_send(c);
}

void imap_client_list(struct imap_client *c, struct span pattern)
{
	begin_fresh(c, COMMAND_LIST, "LIST \"\"");
	if (!add_name(c, pattern))
		return;
	if (c->caps.special_use)
		buf_append(&c->text, SPAN_LIT(" RETURN (SPECIAL-USE)"));
	imap_send(c);
}

static const char *use_name(uint32_t special)
{
	return special == IMAP_CLIENT_BOX_SENT	    ? "\\Sent"
	       : special == IMAP_CLIENT_BOX_DRAFTS  ? "\\Drafts"
	       : special == IMAP_CLIENT_BOX_ARCHIVE ? "\\Archive"
	       : special == IMAP_CLIENT_BOX_TRASH   ? "\\Trash"
	       : special == IMAP_CLIENT_BOX_JUNK    ? "\\Junk"
						    : NULL;
}

void imap_client_create(struct imap_client *c, struct span name, uint32_t special)
{
	begin_fresh(c, COMMAND_CREATE, "CREATE");
	if (!add_name(c, name))
		return;
	if (use_name(special) && c->caps.create_special_use)
		buf_printf(&c->text, " (USE (%s))", use_name(special));
	imap_send(c);
}

void imap_client_subscribe(struct imap_client *c, struct span name)
{
	begin_fresh(c, COMMAND_SUBSCRIBE, "SUBSCRIBE");
	if (add_name(c, name))
		imap_send(c);
}

void imap_client_select(struct imap_client *c, struct span name)
{
	begin_fresh(c, COMMAND_SELECT, "SELECT");
	c->is_selected = false;
	c->selected = (struct imap_client_selected){.flags_allowed = 31};
	if (!add_name(c, name))
		return;
	if (c->caps.condstore)
		buf_append(&c->text, SPAN_LIT(" (CONDSTORE)"));
	imap_send(c);
}

/* ---- messages ---- */

void imap_client_search_header(struct imap_client *c, struct span field, struct span text)
{
	begin_fresh(c, COMMAND_SEARCH, "UID SEARCH HEADER");
	if (!imap_is_atom(field) || !is_quotable(text)) {
		imap_local(c, "this text cannot be searched for");
		return;
	}
	imap_add_string(c, field);
	imap_add_string(c, text);
	imap_send(c);
}

void imap_client_fetch(struct imap_client *c, uint32_t first, uint32_t last, struct span fields)
{
	begin_fresh(c, COMMAND_FETCH, "UID FETCH");
	buf_printf(&c->text, " %u", first);
	if (last)
		buf_printf(&c->text, ":%u", last);
	buf_append(&c->text, SPAN_LIT(" (UID FLAGS INTERNALDATE RFC822.SIZE"));
	if (c->caps.condstore)
		buf_append(&c->text, SPAN_LIT(" MODSEQ"));
	if (fields.n)
		buf_printf(&c->text, " BODY.PEEK[HEADER.FIELDS (%.*s)]", SPAN_FMT(fields));
	buf_append_byte(&c->text, ')');
	imap_send(c);
}

void imap_client_fetch_body(struct imap_client *c, uint32_t uid)
{
	begin_fresh(c, COMMAND_FETCH_BODY, "UID FETCH");
	c->uid = uid;
	buf_printf(&c->text, " %u (UID BODY.PEEK[])", uid);
	imap_send(c);
}

void imap_client_store(struct imap_client *c, uint32_t uid, enum imap_client_how how,
		       uint32_t flags, struct span keywords, uint64_t unchanged_since)
{
	static const char *const items[] = {"FLAGS", "+FLAGS", "-FLAGS"};

	begin_fresh(c, COMMAND_STORE, "UID STORE");
	buf_printf(&c->text, " %u", uid);
	if (unchanged_since && c->caps.condstore)
		buf_printf(&c->text, " (UNCHANGEDSINCE %llu)", (unsigned long long)unchanged_since);
	buf_printf(&c->text, " %s.SILENT", items[how]);
	if (!add_flags(c, flags, keywords)) {
		imap_local(c, "a keyword cannot be sent");
		return;
	}
	imap_send(c);
}

void imap_client_move(struct imap_client *c, uint32_t uid, struct span mailbox)
{
	begin_fresh(c, COMMAND_MOVE, "");
	c->uid = uid;
	buf_clear(&c->target);
	if (!imap_client_name_encode(mailbox, &c->target))
		imap_local(c, "this cannot be the name of a mailbox");
	else
		imap_start_move_step(c, c->caps.move ? COMMAND_MOVE : COMMAND_COPY);
}

void imap_client_expunge(struct imap_client *c, uint32_t uid)
{
	begin_fresh(c, COMMAND_EXPUNGE, "UID EXPUNGE");
	buf_printf(&c->text, " %u", uid);
	if (c->caps.uidplus)
		imap_send(c);
	else
		imap_local(c, "the server does not offer UIDPLUS");
}

/* ---- APPEND ---- */

static void civil_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t era, shifted = days + 719468;
	unsigned doe, yoe, doy, mp;

	era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	doe = (unsigned)(shifted - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int64_t)yoe + era * 400 + (*month <= 2);
}

static void add_date(struct imap_client *c, int64_t seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t days = seconds / 86400 - (seconds % 86400 < 0), year;
	unsigned rest = (unsigned)(seconds - days * 86400), month, day;

	civil_of(days, &year, &month, &day);
	if (year < 0 || year > 9999)
		return; /* the server's own time does then */
	buf_printf(&c->text, " \"%2u-%.3s-%04lld %02u:%02u:%02u +0000\"", day,
		   months + (size_t)3 * (month - 1), (long long)year, rest / 3600, rest / 60 % 60,
		   rest % 60);
}

void imap_client_append(struct imap_client *c, const struct imap_client_append *append)
{
	bool at_once = takes_at_once(c, append->size_bytes);

	begin_fresh(c, COMMAND_APPEND, "APPEND");
	if (!add_name(c, append->mailbox))
		return;
	if (!append->size_bytes || !add_flags(c, append->flags, append->keywords)) {
		imap_local(c, "a keyword cannot be sent, or the message is empty");
		return;
	}
	if (append->has_date)
		add_date(c, append->date_s);
	buf_printf(&c->text, " {%llu%s}", (unsigned long long)append->size_bytes,
		   at_once ? "+" : "");
	c->pieces_left = append->size_bytes;
	imap_send(c);
	if (at_once) {
		c->is_committed = true;
		imap_enter(c, STATE_PIECE);
	}
}

void imap_client_append_piece(struct imap_client *c, struct span piece)
{
	if (c->state != STATE_PIECE)
		return; /* the server has said its answer meanwhile */
	must(piece.n <= c->pieces_left);
	if (piece.n)
		c->options.on_output(c->options.arg, piece);
	c->pieces_left -= piece.n;
	if (c->pieces_left)
		return;
	imap_enter(c, STATE_TALKING);
	c->options.on_output(c->options.arg, SPAN_LIT("\r\n"));
}

/* ---- the rest ---- */

void imap_client_idle(struct imap_client *c)
{
	begin_fresh(c, COMMAND_IDLE, "IDLE");
	if (c->caps.idle)
		imap_send(c);
	else
		imap_local(c, "the server does not offer IDLE");
}

void imap_client_idle_end(struct imap_client *c)
{
	if (c->state != STATE_TALKING || !c->idling)
		return;
	c->idling = false;
	c->options.on_output(c->options.arg, SPAN_LIT("DONE\r\n"));
}

void imap_client_noop(struct imap_client *c)
{
	begin_fresh(c, COMMAND_NOOP, "NOOP");
	imap_send(c);
}

void imap_client_logout(struct imap_client *c)
{
	if (c->state != STATE_READY)
		return;
	begin_fresh(c, COMMAND_LOGOUT, "LOGOUT");
	imap_send(c);
}
