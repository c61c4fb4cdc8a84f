/* Commands of any state, TLS and login: CAPABILITY NOOP LOGOUT ID ENABLE STARTTLS AUTHENTICATE LOGIN IDLE. */
#include "imap/server_internal.h"

#include "base/ascii.h"
#include "base/base64.h"
#include "base/must.h"

enum { SASL_LIMIT = 4096 }; /* of one message, decoded */

static bool allows_login(const struct imap_server *s)
{
	return s->is_tls || s->service->allows_clear_login;
}

static void put_mechanisms(struct imap_server *s, struct buf *out)
{
	struct span rest = span_str(s->service->mechanisms);

	while (rest.n) {
		struct span name = span_cut(&rest, ' ');

		if (name.n)
			(void)buf_printf(out, " AUTH=%.*s", SPAN_FMT(name));
	}
}

void imap_put_capabilities(struct imap_server *s, struct buf *out)
{
	(void)buf_append(out,
			 SPAN_LIT("CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE"));
	if (!imap_server_is_in(s)) {
		if (s->service->has_tls && !s->is_tls)
			(void)buf_append(out, SPAN_LIT(" STARTTLS"));
		if (allows_login(s))
			put_mechanisms(s, out);
		else
			(void)buf_append(out, SPAN_LIT(" LOGINDISABLED"));
		return;
	}
	(void)buf_append(
		out,
		SPAN_LIT(
			" IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE "
			"CREATE-SPECIAL-USE"
			" LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES CONDSTORE QRESYNC"
			" UTF8=ACCEPT BINARY OBJECTID"));
	(void)buf_printf(out, " APPENDLIMIT=%llu",
			 (unsigned long long)s->service->limits.append_bytes);
}

static bool wants_nothing(struct imap_server *s, struct imap_work *w)
{
	if (imap_get_end(&w->args))
		return true;
	imap_bad(s, w, "Nothing may follow");
	return false;
}

void imap_on_capability(struct imap_server *s, struct imap_work *w)
{
	struct buf line = {0};

	if (!wants_nothing(s, w))
		return;
	imap_put_capabilities(s, &line);
	imap_put(s, "* ");
	imap_put_span(s, buf_span(&line));
	imap_put(s, "\r\n");
	buf_fini(&line);
	imap_finish(w, "OK CAPABILITY completed");
}

void imap_on_noop(struct imap_server *s, struct imap_work *w)
{
	if (wants_nothing(s, w))
		imap_finish(w, "OK %s completed", w->verb->name);
}

void imap_on_logout(struct imap_server *s, struct imap_work *w)
{
	if (!wants_nothing(s, w))
		return;
	imap_put(s, "* BYE Until next time\r\n");
	imap_box_forget(s);
	s->ends_after_work = true;
	imap_finish(w, "OK LOGOUT completed");
}

/* ---- ID (RFC 2971) ---- */

static bool get_id_fields(struct imap_work *w, struct span *c)
{
	struct span text;
	unsigned n = 0;

	if (imap_get(c, "NIL"))
		return true;
	if (!imap_get(c, "("))
		return false;
	if (imap_get(c, ")"))
		return true;
	do {
		if (n++ >= 60 || (!imap_get(c, "NIL") && !imap_get_string(&w->arena, c, &text)))
			return false;
	} while (imap_get_space(c));
	return n % 2 == 0 && imap_get(c, ")");
}

void imap_on_id(struct imap_server *s, struct imap_work *w)
{
	struct buf version = {0};
	struct span c = w->args;

	if (!imap_get_space(&c) || !get_id_fields(w, &c) || !imap_get_end(&c)) {
		imap_bad(s, w, "ID wants a list of names and values, or NIL");
		return;
	}
	imap_put(s, "* ID (\"name\" \"Holdfast\"");
	if (s->service->version.n && imap_server_is_in(s)) {
		imap_put_string(&version, s->service->version);
		imap_put(s, " \"version\" ");
		imap_put_span(s, buf_span(&version));
		buf_fini(&version);
	}
	imap_put(s, ")\r\n");
	imap_finish(w, "OK ID completed");
}

/* ---- ENABLE (RFC 5161) ---- */

static void enable(struct imap_server *s, struct span name, struct buf *said)
{
	if (span_eq_nocase(name, SPAN_LIT("CONDSTORE")))
		s->has_condstore = true;
	else if (span_eq_nocase(name, SPAN_LIT("QRESYNC")))
		s->has_condstore = s->has_qresync = true;
	else if (span_eq_nocase(name, SPAN_LIT("IMAP4rev2")))
		s->is_rev2 = s->is_utf8 = true;
	else if (span_eq_nocase(name, SPAN_LIT("UTF8=ACCEPT")))
		s->is_utf8 = true;
	else
		return;
	(void)buf_append_byte(said, ' ');
	for (size_t i = 0; i < name.n; i++)
		(void)buf_append_byte(said, name.p[i]);
}

void imap_on_enable(struct imap_server *s, struct imap_work *w)
{
	struct buf said = {0};
	struct span c = w->args, name;

	while (imap_get_space(&c) && imap_get_atom(&c, &name))
		enable(s, name, &said);
	if (!imap_get_end(&c) || w->args.n == 0) {
		imap_bad(s, w, "ENABLE wants names of extensions");
	} else {
		imap_put(s, "* ENABLED");
		imap_put_span(s, buf_span(&said));
		imap_put(s, "\r\n");
		imap_finish(w, "OK ENABLE completed");
	}
	buf_fini(&said);
}

/* ---- STARTTLS ---- */

void imap_on_starttls(struct imap_server *s, struct imap_work *w)
{
	if (!wants_nothing(s, w))
		return;
	if (s->is_tls || !s->service->has_tls) {
		imap_bad(s, w, "TLS cannot be started here");
		return;
	}
	/* The state changes now: no byte that came with this command is looked at any more (I5). */
	imap_move(s, IMAP_ST_TLS);
	imap_finish(w, "OK Begin TLS now");
}

/* ---- login ---- */

static bool has_mechanism(const struct imap_server *s, struct span name)
{
	struct span rest = span_str(s->service->mechanisms);

	while (rest.n) {
		if (span_eq_nocase(span_cut(&rest, ' '), name))
			return true;
	}
	return false;
}

static enum imap_run_step wait_for_login(struct imap_server *s, struct imap_work *w)
{
	(void)s;
	(void)w;
	return IMAP_RUN_WAIT;
}

static void begin_login(struct imap_server *s, struct imap_work *w, struct span mechanism,
			bool has_initial)
{
	s->login = (struct imap_login){mechanism, buf_span(&s->login_bytes), has_initial};
	s->io = w;
	w->run = wait_for_login;
	w->is_blocked = true;
	s->input = IMAP_IN_HOST;
	s->to_say = IMAP_LOGIN;
}

/* Upper case: the host compares. */
static struct span upper(struct imap_work *w, struct span name)
{
	unsigned char *copy = arena_alloc(&w->arena, name.n + 1);

	for (size_t i = 0; i < name.n; i++)
		copy[i] = ascii_upper(name.p[i]);
	return span_of(copy, name.n);
}

static bool decode(struct imap_server *s, struct span text)
{
	buf_fini(&s->login_bytes);
	buf_init(&s->login_bytes, SASL_LIMIT);
	/* no copies of a secret on the way */
	if (!buf_reserve(&s->login_bytes, text.n && text.n < SASL_LIMIT ? text.n : SASL_LIMIT))
		return false;
	return base64_decode(&s->login_bytes, text);
}

void imap_on_authenticate(struct imap_server *s, struct imap_work *w)
{
	struct span c = w->args, name, initial = SPAN_NONE;
	bool has_initial;

	if (!imap_get_space(&c) || !imap_get_atom(&c, &name)) {
		imap_bad(s, w, "AUTHENTICATE wants a mechanism");
		return;
	}
	has_initial = imap_get_space(&c);
	if (has_initial)
		initial = span_eq(c, SPAN_LIT("=")) ? SPAN_NONE
						    : c; /* RFC 4959: "=" is an empty one */
	if ((!has_initial && !imap_get_end(&c)) || (has_initial && c.n == 0) || !decode(s, initial))
		imap_bad(s, w, "That is not base64, or too long");
	else if (!allows_login(s))
		imap_finish(w, "NO [PRIVACYREQUIRED] Start TLS first");
	else if (!has_mechanism(s, name))
		imap_finish(w, "NO [CANNOT] This mechanism is not offered here");
	else
		begin_login(s, w, upper(w, name), has_initial);
}

void imap_on_login(struct imap_server *s, struct imap_work *w)
{
	struct span c = w->args, user, password;

	if (!imap_get_space(&c) || !imap_get_astring(&w->arena, &c, &user) || !imap_get_space(&c) ||
	    !imap_get_astring(&w->arena, &c, &password) || !imap_get_end(&c)) {
		imap_bad(s, w, "LOGIN wants a name and a password");
		return;
	}
	if (!allows_login(s)) {
		imap_finish(w, "NO [PRIVACYREQUIRED] Start TLS first");
		return;
	}
	(void)decode(s, SPAN_NONE);
	if (!buf_append_byte(&s->login_bytes, 0) || !buf_append(&s->login_bytes, user) ||
	    !buf_append_byte(&s->login_bytes, 0) || !buf_append(&s->login_bytes, password))
		imap_finish(w, "NO [AUTHENTICATIONFAILED] Name or password is too long");
	else
		begin_login(s, w, SPAN_LIT("PLAIN"), true);
	explicit_bzero((void *)(uintptr_t)password.p,
		       password.n); /* in the command, or its unquoted copy */
}

const struct imap_login *imap_server_login_asked(const struct imap_server *s)
{
	return &s->login;
}

static bool is_login_asked(const struct imap_server *s)
{
	return s->io && s->input == IMAP_IN_HOST && s->state == IMAP_ST_OPEN;
}

void imap_server_challenge(struct imap_server *s, struct span data)
{
	struct buf line = {0};

	if (!is_login_asked(s))
		return;
	base64_encode(&line, data);
	imap_put(s, "+ ");
	imap_put_span(s, buf_span(&line));
	imap_put(s, "\r\n");
	buf_fini(&line);
	s->input = IMAP_IN_SASL;
	s->since_us = s->now_us;
}

static struct imap_work *login_over(struct imap_server *s)
{
	struct imap_work *w = s->io;

	if (s->login_bytes.p)
		explicit_bzero(s->login_bytes.p, s->login_bytes.n);
	buf_fini(&s->login_bytes);
	s->login = (struct imap_login){0};
	s->io = NULL;
	imap_text_done(s);
	return w;
}

void imap_server_login_fine(struct imap_server *s, const struct mail_store *store)
{
	struct imap_work *w;
	struct buf line = {0};

	if (!is_login_asked(s))
		return;
	w = login_over(s);
	s->store = *store;
	s->has_store = true;
	s->errors = 0;
	imap_move(s, IMAP_ST_IN);
	imap_put_capabilities(s, &line);
	imap_finish(w, "OK [%.*s] Welcome", SPAN_FMT(buf_span(&line)));
	buf_fini(&line);
}

/* Text of the host: what a peer had a hand in must not make a line of its own. */
static size_t clean(struct span text, char *out, size_t max)
{
	size_t n = text.n < max ? text.n : max;

	for (size_t i = 0; i < n; i++)
		out[i] = text.p[i] == ' ' || ascii_is_graph(text.p[i]) ? (char)text.p[i] : '?';
	return n;
}

void imap_server_login_refused(struct imap_server *s, const char *status, struct span text)
{
	char line[300];
	size_t n = clean(text, line, sizeof line);

	if (!is_login_asked(s))
		return;
	imap_finish(login_over(s), "%s %.*s", status, (int)n, line);
}

enum imap_step imap_sasl_line(struct imap_server *s, struct span line, struct span *out_piece)
{
	bool is_cancel = span_eq(line, SPAN_LIT("*"));
	bool is_good = !is_cancel && decode(s, line);

	explicit_bzero(s->text.p, s->text.n);
	buf_clear(&s->text);
	if (is_good) {
		s->input = IMAP_IN_HOST;
		*out_piece = buf_span(&s->login_bytes);
		return IMAP_SASL;
	}
	imap_finish(login_over(s),
		    is_cancel ? "BAD Cancelled" : "BAD That is not base64, or too long");
	return IMAP_SASL_CANCEL;
}

/* ---- IDLE (RFC 2177) ---- */

void imap_on_idle(struct imap_server *s, struct imap_work *w)
{
	if (!wants_nothing(s, w))
		return;
	imap_put(s, "+ Idling\r\n");
	s->io = w;
	w->run = wait_for_login;
	w->is_blocked = true;
	s->input = IMAP_IN_IDLE;
	s->since_us = s->now_us;
	s->has_news = true;
}

void imap_idle_line(struct imap_server *s, struct span line)
{
	struct imap_work *w = s->io;

	s->io = NULL;
	if (span_eq_nocase(line, SPAN_LIT("DONE")))
		imap_finish(w, "OK IDLE completed");
	else
		imap_bad(s, w, "DONE was expected");
	imap_text_done(s);
}

void imap_idle_news(struct imap_server *s)
{
	if (s->input != IMAP_IN_IDLE || !s->has_news || !s->box)
		return;
	if (imap_sync(s, true))
		s->has_news = false;
}
