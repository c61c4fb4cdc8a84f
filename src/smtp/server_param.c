/*
 * Parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET ENVID
 * NOTIFY ORCPT (RFC 3461). Each at most once; what is not known is refused with 555 (RFC 5321
 * s4.1.1.11). Values that would decode to a control character are refused, so that a DSN made later
 * cannot gain a line from them (S-20).
 */
#include "smtp/server_internal.h"

#include "base/ascii.h"

/* xtext of RFC 3461 s4 whose decoded bytes are printable; with allows_utf8 also RFC 6533's bytes
 * above 127. */
bool server_xtext_is_good(struct span text, bool allows_utf8)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];
		int high, low;

		if (c >= 128) {
			size_t n = allows_utf8 ? utf8_length(text.p + i, text.n - i) : 0;

			if (n == 0 || (c == 0xc2 && text.p[i + 1] < 0xa0))
				return false;
			i += n - 1;
			continue;
		}
		if (!ascii_is_graph(c) || c == '=')
			return false;
		if (c != '+')
			continue;
		if (text.n - i < 3)
			return false;
		high = ascii_hex(text.p[i + 1]);
		low = ascii_hex(text.p[i + 2]);
		if (high < 0 || low < 0 || high * 16 + low < 32 || high * 16 + low == 127)
			return false;
		i += 2;
	}
	return true;
}

static bool bad_value(struct smtp_server *s, const char *text)
{
	server_reply(s, 501, "5.5.4", text);
	return false;
}

/* Marks a parameter as seen; false when it was already. */
static bool once(struct smtp_server *s, bool *has)
{
	if (*has)
		return bad_value(s, "A parameter stands twice in the command");
	*has = true;
	return true;
}

static bool on_size(struct smtp_server *s, struct span value, bool allows_utf8,
		    struct smtp_params *p)
{
	(void)allows_utf8;
	if (value.n > 20 || !span_to_u64(value, UINT64_MAX, &p->size))
		return bad_value(s, "SIZE must be a number of bytes");
	return once(s, &p->has_size);
}

static bool on_body(struct smtp_server *s, struct span value, bool allows_utf8,
		    struct smtp_params *p)
{
	(void)allows_utf8;
	if (span_eq_nocase(value, SPAN_LIT("8BITMIME")))
		p->body = SMTP_8BITMIME;
	else if (!span_eq_nocase(value, SPAN_LIT("7BIT")))
		return bad_value(s, "BODY must be 7BIT or 8BITMIME");
	return once(s, &p->has_body);
}

static bool on_smtputf8(struct smtp_server *s, struct span value, bool allows_utf8,
			struct smtp_params *p)
{
	(void)allows_utf8;
	if (value.p)
		return bad_value(s, "SMTPUTF8 takes no value");
	return once(s, &p->has_smtputf8);
}

static bool on_ret(struct smtp_server *s, struct span value, bool allows_utf8,
		   struct smtp_params *p)
{
	(void)allows_utf8;
	if (span_eq_nocase(value, SPAN_LIT("FULL")))
		p->ret = SMTP_RET_FULL;
	else if (span_eq_nocase(value, SPAN_LIT("HDRS")))
		p->ret = SMTP_RET_HDRS;
	else
		return bad_value(s, "RET must be FULL or HDRS");
	return once(s, &p->has_ret);
}

static bool on_envid(struct smtp_server *s, struct span value, bool allows_utf8,
		     struct smtp_params *p)
{
	(void)allows_utf8;
	if (value.n == 0 || value.n > SERVER_ENVID_LIMIT || !server_xtext_is_good(value, false))
		return bad_value(s, "ENVID must be at most 100 characters of xtext (RFC 3461)");
	p->envid = value;
	return once(s, &p->has_envid);
}

/* Who the message is from, says another server (RFC 4954 s5): nobody's word is taken for that here. */
static bool on_auth(struct smtp_server *s, struct span value, bool allows_utf8,
		    struct smtp_params *p)
{
	(void)allows_utf8;
	if (!s->service->auth.n) {
		server_reply(s, 555, "5.5.4",
			     "A parameter of the command is not known or not offered here");
		return false;
	}
	if (value.n == 0 || value.n > SERVER_ORCPT_LIMIT || !server_xtext_is_good(value, false))
		return bad_value(s, "AUTH must be an address in xtext, or <> (RFC 4954)");
	return once(s, &p->has_auth);
}

static bool on_notify(struct smtp_server *s, struct span value, bool allows_utf8,
		      struct smtp_params *p)
{
	static const struct {
		struct span word;
		uint8_t flag;
	} words[] = {{SPAN_LIT("NEVER"), SMTP_NOTIFY_NEVER},
		     {SPAN_LIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
		     {SPAN_LIT("FAILURE"), SMTP_NOTIFY_FAILURE},
		     {SPAN_LIT("DELAY"), SMTP_NOTIFY_DELAY}};
	const size_t words_n = sizeof words / sizeof *words;

	(void)allows_utf8;
	for (struct span rest = value; rest.n;) {
		struct span word = span_cut(&rest, ',');
		size_t i = 0;

		while (i < words_n && !span_eq_nocase(word, words[i].word))
			i++;
		if (i == words_n || (p->notify & words[i].flag))
			return bad_value(
				s, "NOTIFY must be NEVER or a list of SUCCESS, FAILURE, DELAY");
		p->notify |= words[i].flag;
	}
	if (p->notify == 0 || value.p[value.n - 1] == ',' ||
	    ((p->notify & SMTP_NOTIFY_NEVER) && p->notify != SMTP_NOTIFY_NEVER))
		return bad_value(s, "NOTIFY must be NEVER or a list of SUCCESS, FAILURE, DELAY");
	return once(s, &p->has_notify);
}

static bool on_orcpt(struct smtp_server *s, struct span value, bool allows_utf8,
		     struct smtp_params *p)
{
	struct span text = value;
	struct span type = span_cut(&text, ';');
	bool is_good = value.n <= SERVER_ORCPT_LIMIT && type.n > 0 && text.n > 0 &&
		       server_xtext_is_good(text, allows_utf8);

	for (size_t i = 0; i < type.n; i++)
		is_good = is_good && (ascii_is_alnum(type.p[i]) || type.p[i] == '-');
	if (!is_good)
		return bad_value(s, "ORCPT must be a type, \";\" and at most 500 characters of "
				    "xtext (RFC 3461)");
	p->orcpt = value;
	return once(s, &p->has_orcpt);
}

struct param {
	const char *name;
	bool (*take)(struct smtp_server *s, struct span value, bool allows_utf8,
		     struct smtp_params *out);
};

static const struct param mail_params[] = {
	{"SIZE", on_size},
	{"BODY", on_body},
	{"SMTPUTF8", on_smtputf8},
	{"RET", on_ret},
	{"ENVID", on_envid},
	{"AUTH", on_auth},
	{0},
};
static const struct param rcpt_params[] = {{"NOTIFY", on_notify}, {"ORCPT", on_orcpt}, {0}};

static bool take_one(struct smtp_server *s, struct span word, const struct param *known,
		     bool allows_utf8, struct smtp_params *out)
{
	ssize_t equals = span_chr(word, '=');
	struct span name = span_first(word, equals < 0 ? word.n : (size_t)equals);
	struct span value = equals < 0 ? SPAN_NONE : span_from(word, (size_t)equals + 1);

	for (; known->name; known++) {
		if (span_eq_nocase(name, span_str(known->name)))
			return known->take(s, value, allows_utf8, out);
	}
	server_reply(s, 555, "5.5.4",
		     "A parameter of the command is not known or not offered here");
	return false;
}

static bool take_all(struct smtp_server *s, struct span rest, const struct param *known,
		     bool allows_utf8, struct smtp_params *out)
{
	struct smtp_params p = {0};

	if (rest.n && rest.p[0] != ' ')
		return bad_value(s, "A blank must stand between the address and its parameters");
	rest = span_trim(rest);
	if (rest.n && !s->is_esmtp) {
		server_reply(s, 555, "5.5.4", "Parameters need EHLO instead of HELO");
		return false;
	}
	while (rest.n) {
		struct span word = span_cut(&rest, ' ');

		if (word.n && !take_one(s, word, known, allows_utf8, &p))
			return false;
	}
	*out = p;
	return true;
}

bool server_mail_params(struct smtp_server *s, struct span rest, struct smtp_params *out)
{
	return take_all(s, rest, mail_params, false, out);
}

bool server_rcpt_params(struct smtp_server *s, struct span rest, bool allows_utf8,
			struct smtp_params *out)
{
	return take_all(s, rest, rcpt_params, allows_utf8, out);
}
