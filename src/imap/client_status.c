/*
 * What status responses carry in brackets (RFC 3501 s7.1, RFC 5530, 4315, 7162) and what servers can do. A code counts only
 * where it belongs: CAPABILITY and the numbers of SELECT at any time, APPENDUID and COPYUID with their command.
 */
#include "imap/client_internal.h"

void imap_say(char *out, size_t size, struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n && n + 1 < size; i++)
		out[n++] = text.p[i] >= 32 && text.p[i] < 127 ? (char)text.p[i] : '?';
	out[n] = '\0';
}

void imap_read_capabilities(struct imap_client *c, struct imap_cursor *at)
{
	struct imap_client_capabilities *k = &c->caps;
	const struct {
		const char *name;
		bool *has;
	} known[] = {
		{"IMAP4rev1", &k->imap4rev1},
		{"IMAP4rev2", &k->imap4rev2},
		{"STARTTLS", &k->starttls},
		{"LOGINDISABLED", &k->logindisabled},
		{"AUTH=PLAIN", &k->auth_plain},
		{"SASL-IR", &k->sasl_ir},
		{"UIDPLUS", &k->uidplus},
		{"MOVE", &k->move},
		{"CONDSTORE", &k->condstore},
		{"QRESYNC", &k->condstore},
		{"SPECIAL-USE", &k->special_use},
		{"CREATE-SPECIAL-USE", &k->create_special_use},
		{"IDLE", &k->idle},
		{"NAMESPACE", &k->namespaces},
		{"LITERAL+", &k->literal_plus},
		{"LITERAL-", &k->literal_minus},
	};
	struct span word;

	*k = (struct imap_client_capabilities){0};
	while (imap_take_atom(at, &word)) {
		for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
			if (span_eq_nocase(word, span_str(known[i].name)))
				*known[i].has = true;
		}
		if (!imap_take(at, ' '))
			break;
	}
	c->caps_told = true;
}

/* ---- the codes with something behind them ---- */

static bool take_u32(struct imap_cursor *at, uint32_t *out)
{
	uint64_t v;

	if (!imap_take_number(at, UINT32_MAX, &v) || !v)
		return false;
	*out = (uint32_t)v;
	return true;
}

static void on_permanent_flags(struct imap_client *c, struct imap_cursor *at)
{
	struct span keywords;
	uint32_t flags;
	bool any;

	if (!imap_take_flags(at, &flags, &keywords, &any))
		return;
	c->selected.flags_allowed = flags;
	c->selected.keywords_allowed = any;
}

static void on_uidvalidity(struct imap_client *c, struct imap_cursor *at)
{
	(void)take_u32(at, &c->selected.uidvalidity);
}

static void on_uidnext(struct imap_client *c, struct imap_cursor *at)
{
	(void)take_u32(at, &c->selected.uidnext);
}

static void on_modseq(struct imap_client *c, struct imap_cursor *at)
{
	uint64_t v;

	if (imap_take_number(at, INT64_MAX, &v))
		c->selected.highest_modseq = v;
}

static void on_read_only(struct imap_client *c, struct imap_cursor *at)
{
	(void)at;
	c->selected.is_read_only = true;
}

static void on_modified(struct imap_client *c, struct imap_cursor *at)
{
	(void)at;
	c->result.is_modified = c->command == COMMAND_STORE;
}

/* "APPENDUID 38505 3955" */
static void on_appenduid(struct imap_client *c, struct imap_cursor *at)
{
	uint32_t validity, uid;

	if (c->command != COMMAND_APPEND || !take_u32(at, &validity) || !imap_take(at, ' ') ||
	    !take_u32(at, &uid))
		return;
	c->result.uidvalidity = validity;
	c->result.uid = uid;
}

/* "COPYUID 38505 304 3956": of our one message. */
static void on_copyuid(struct imap_client *c, struct imap_cursor *at)
{
	uint32_t validity, from, uid;

	if ((c->command != COMMAND_MOVE && c->command != COMMAND_COPY) ||
	    !take_u32(at, &validity) || !imap_take(at, ' ') || !take_u32(at, &from) ||
	    from != c->uid || !imap_take(at, ' ') || !take_u32(at, &uid))
		return;
	c->result.uidvalidity = validity;
	c->result.uid = uid;
}

static const struct {
	const char *name;
	enum imap_client_code code;
	void (*on_code)(struct imap_client *c, struct imap_cursor *at);
} codes[] = {
	{"CAPABILITY", IMAP_CODE_NONE, imap_read_capabilities},
	{"PERMANENTFLAGS", IMAP_CODE_NONE, on_permanent_flags},
	{"UIDVALIDITY", IMAP_CODE_NONE, on_uidvalidity},
	{"UIDNEXT", IMAP_CODE_NONE, on_uidnext},
	{"HIGHESTMODSEQ", IMAP_CODE_NONE, on_modseq},
	{"READ-ONLY", IMAP_CODE_READ_ONLY, on_read_only},
	{"READ-WRITE", IMAP_CODE_READ_WRITE, NULL},
	{"MODIFIED", IMAP_CODE_MODIFIED, on_modified},
	{"APPENDUID", IMAP_CODE_APPENDUID, on_appenduid},
	{"COPYUID", IMAP_CODE_COPYUID, on_copyuid},
	{"UNAVAILABLE", IMAP_CODE_UNAVAILABLE, NULL},
	{"AUTHENTICATIONFAILED", IMAP_CODE_AUTHENTICATIONFAILED, NULL},
	{"AUTHORIZATIONFAILED", IMAP_CODE_AUTHORIZATIONFAILED, NULL},
	{"EXPIRED", IMAP_CODE_EXPIRED, NULL},
	{"PRIVACYREQUIRED", IMAP_CODE_PRIVACYREQUIRED, NULL},
	{"CONTACTADMIN", IMAP_CODE_CONTACTADMIN, NULL},
	{"NOPERM", IMAP_CODE_NOPERM, NULL},
	{"INUSE", IMAP_CODE_INUSE, NULL},
	{"CORRUPTION", IMAP_CODE_CORRUPTION, NULL},
	{"SERVERBUG", IMAP_CODE_SERVERBUG, NULL},
	{"LIMIT", IMAP_CODE_LIMIT, NULL},
	{"OVERQUOTA", IMAP_CODE_OVERQUOTA, NULL},
	{"ALREADYEXISTS", IMAP_CODE_ALREADYEXISTS, NULL},
	{"NONEXISTENT", IMAP_CODE_NONEXISTENT, NULL},
	{"TRYCREATE", IMAP_CODE_TRYCREATE, NULL},
	{"CANNOT", IMAP_CODE_CANNOT, NULL},
	{"TOOBIG", IMAP_CODE_TOOBIG, NULL},
};

enum imap_client_code imap_read_code(struct imap_client *c, struct span text, struct span *out_text)
{
	struct imap_cursor at = {.at = text.p, .end = text.p + text.n, .scratch = &c->scratch};
	struct span word;
	ssize_t end;

	*out_text = text;
	if (!imap_take(&at, '[') || !imap_take_atom(&at, &word))
		return IMAP_CODE_NONE;
	end = span_chr(text, ']');
	if (end >= 0)
		*out_text = span_trim(span_from(text, (size_t)end + 1));
	(void)imap_take(&at, ' ');
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		if (!span_eq_nocase(word, span_str(codes[i].name)))
			continue;
		if (codes[i].on_code)
			codes[i].on_code(c, &at);
		return codes[i].code;
	}
	return IMAP_CODE_OTHER;
}
