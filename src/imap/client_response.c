/*
 * Responses: gathered line by line and literal by literal, then read as a whole. Only the literal of a BODY[] that
 * fetch_body asked for does not wait: its pieces go to the host as they come (I4).
 */
#include "imap/client_internal.h"

#include <stdio.h>

/* ---- gathering ---- */

void imap_reader_init(struct imap_reader *r)
{
	buf_init(&r->bytes, IMAP_CLIENT_RESPONSE_BYTES);
	imap_reader_reset(r);
}

void imap_reader_reset(struct imap_reader *r)
{
	buf_clear(&r->bytes);
	r->line_at = 0;
	r->literal_left = 0;
	r->is_streaming = false;
	r->streamed_at = SIZE_MAX;
}

/* Only data has literals: the text of "* OK ..." may end in "{5}" and mean nothing by it. */
static bool may_hold_literals(struct span response)
{
	static const char *const statuses[] = {"OK ", "NO ", "BAD ", "BYE ", "PREAUTH "};

	if (!span_starts(response, SPAN_LIT("* ")))
		return false;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		if (span_starts_nocase(span_from(response, 2), span_str(statuses[i])))
			return false;
	}
	return true;
}

/* "{5}" before the CRLF: *out is 5 and the answer where "{" stands; -1: no literal. */
static ssize_t announced(struct span line, uint64_t *out)
{
	ssize_t at;

	if (line.n < 3 || line.p[line.n - 1] != '}')
		return -1;
	at = span_rchr(line, '{');
	if (at < 0 ||
	    !span_to_u64(span_of(line.p + at + 1, line.n - (size_t)at - 2), UINT64_MAX, out))
		return -1;
	return at;
}

/* A line of the response is complete. OK: so is the response. */
static enum rc on_line(struct imap_client *c)
{
	struct imap_reader *r = &c->reader;
	struct span response = span_first(buf_span(&r->bytes), r->bytes.n - 2), line, before;
	uint64_t n;
	ssize_t at;

	line = span_from(response, r->line_at);
	if (!may_hold_literals(response) || (at = announced(line, &n)) < 0)
		return OK;
	r->line_at = r->bytes.n;
	r->literal_left = n;
	before = span_first(line, (size_t)at);
	r->is_streaming = c->state == STATE_TALKING && c->command == COMMAND_FETCH_BODY &&
			  (span_ends_nocase(before, SPAN_LIT(" BODY[] ")) ||
			   span_ends_nocase(before, SPAN_LIT("(BODY[] ")));
	if (!r->is_streaming)
		return n <= IMAP_CLIENT_RESPONSE_BYTES - r->bytes.n ? MORE : REFUSED;
	if (r->streamed_at != SIZE_MAX || c->body_seen || n > IMAP_CLIENT_LITERAL_LIMIT)
		return REFUSED;
	r->streamed_at = r->bytes.n;
	c->body_seen = true;
	return MORE;
}

static bool take_literal_bytes(struct imap_client *c, struct span *bytes)
{
	struct imap_reader *r = &c->reader;
	struct span piece =
		span_first(*bytes, r->literal_left < bytes->n ? (size_t)r->literal_left : bytes->n);

	*bytes = span_from(*bytes, piece.n);
	r->literal_left -= piece.n;
	if (!r->is_streaming) {
		r->line_at += piece.n;
		return buf_append(&r->bytes, piece);
	}
	if (c->options.on_body && piece.n)
		c->options.on_body(c->options.arg, piece);
	return true;
}

enum rc imap_reader_feed(struct imap_client *c, struct span *bytes)
{
	struct imap_reader *r = &c->reader;

	while (bytes->n) {
		ssize_t end;
		struct span part;
		enum rc rc;

		if (r->literal_left) {
			if (!take_literal_bytes(c, bytes))
				return REFUSED;
			continue;
		}
		end = span_chr(*bytes, '\n');
		part = end < 0 ? *bytes : span_first(*bytes, (size_t)end + 1);
		*bytes = span_from(*bytes, part.n);
		if (!buf_append(&r->bytes, part))
			return REFUSED;
		if (end < 0)
			return MORE;
		if (r->bytes.n < r->line_at + 2 || r->bytes.p[r->bytes.n - 2] != '\r')
			return REFUSED;
		rc = on_line(c);
		if (rc != MORE)
			return rc;
	}
	return MORE;
}

/* ---- FETCH ---- */

/* The one item `name` of a FETCH response; an unknown one is stepped over. */
static bool take_item(struct imap_client *c, struct span name, struct imap_cursor *at,
		      struct imap_client_message *m)
{
	bool any, streamed;
	uint64_t v;

	if (span_eq_nocase(name, SPAN_LIT("UID"))) {
		if (!imap_take_number(at, UINT32_MAX, &v) || !v)
			return false;
		m->uid = (uint32_t)v;
		return true;
	}
	if (span_eq_nocase(name, SPAN_LIT("FLAGS")))
		return m->has_flags = imap_take_flags(at, &m->flags, &m->keywords, &any);
	if (span_eq_nocase(name, SPAN_LIT("INTERNALDATE")))
		return m->has_date = imap_take_date(at, &m->date_s);
	if (span_eq_nocase(name, SPAN_LIT("RFC822.SIZE")))
		return m->has_size = imap_take_number(at, INT64_MAX, &m->size_bytes);
	if (span_eq_nocase(name, SPAN_LIT("MODSEQ")))
		return imap_take(at, '(') && imap_take_number(at, INT64_MAX, &m->modseq) &&
		       imap_take(at, ')');
	if (span_starts_nocase(name, SPAN_LIT("BODY[HEADER")))
		return imap_take_nstring(at, &m->header, &streamed) && !streamed;
	if (span_eq_nocase(name, SPAN_LIT("BODY[]")) && c->command == COMMAND_FETCH_BODY) {
		struct span body;

		if (!imap_take_nstring(at, &body, &streamed) || (!streamed && c->body_seen))
			return false;
		if (!streamed && body.n && c->options.on_body)
			c->options.on_body(c->options.arg, body);
		c->body_seen = true;
		return m->has_body = true;
	}
	return imap_skip_value(at);
}

/* "UID", "BODY[HEADER.FIELDS (Date Message-ID)]", "BODY[]<0>". */
static bool take_item_name(struct imap_cursor *at, struct span *out)
{
	const unsigned char *from = at->at;
	struct span s;

	while (at->at<at->end && * at->at> 32 && *at->at < 127 && !strchr("()[{\"", *at->at))
		at->at++;
	if (at->at == from)
		return false;
	if (imap_take(at, '[')) {
		while (at->at < at->end && *at->at != ']') {
			bool streamed;

			if (imap_peek(at, '"') || imap_peek(at, '{')) {
				if (!imap_take_string(at, &s, &streamed) || streamed)
					return false;
			} else {
				at->at++;
			}
		}
		if (!imap_take(at, ']'))
			return false;
		if (imap_peek(at, '<') && !imap_take_atom(at, &s))
			return false;
	}
	*out = span_of(from, (size_t)(at->at - from));
	return true;
}

static bool read_fetch(struct imap_client *c, uint32_t seq, struct imap_cursor *at)
{
	struct imap_client_message m = {.seq = seq};

	if (!imap_take(at, '('))
		return false;
	while (!imap_take(at, ')')) {
		struct span name;

		(void)imap_take(at, ' ');
		if (!take_item_name(at, &name) || !imap_take(at, ' ') ||
		    !take_item(c, name, at, &m))
			return false;
	}
	if (m.has_body && m.uid != c->uid)
		return false; /* another message's bytes in place of those asked for */
	if (c->options.on_message && c->is_selected)
		c->options.on_message(c->options.arg, &m);
	return true;
}

/* ---- LIST, SEARCH, NAMESPACE ---- */

static uint32_t box_flag(struct span s)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} names[] = {{"\\Noselect", IMAP_CLIENT_BOX_NOSELECT},
		     {"\\NonExistent", IMAP_CLIENT_BOX_NOSELECT},
		     {"\\Sent", IMAP_CLIENT_BOX_SENT},
		     {"\\Drafts", IMAP_CLIENT_BOX_DRAFTS},
		     {"\\Archive", IMAP_CLIENT_BOX_ARCHIVE},
		     {"\\Trash", IMAP_CLIENT_BOX_TRASH},
		     {"\\Junk", IMAP_CLIENT_BOX_JUNK},
		     {"\\All", IMAP_CLIENT_BOX_ALL},
		     {"\\Flagged", IMAP_CLIENT_BOX_FLAGGED}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (span_eq_nocase(s, span_str(names[i].name)))
			return names[i].flag;
	}
	return 0;
}

static bool read_list(struct imap_client *c, struct imap_cursor *at)
{
	struct imap_client_box box = {0};
	struct span word, name, delimiter;
	struct buf utf8;
	bool streamed;

	if (!imap_take(at, '('))
		return false;
	while (!imap_take(at, ')')) {
		(void)imap_take(at, ' ');
		if (!imap_take_flag(at, &word))
			return false;
		box.flags |= box_flag(word);
	}
	if (!imap_take(at, ' ') || !imap_take_nstring(at, &delimiter, &streamed) ||
	    delimiter.n > 1 || !imap_take(at, ' ') || !imap_take_astring(at, &name))
		return false;
	if (delimiter.n)
		box.delimiter = (char)*delimiter.p;
	if (span_eq_nocase(name, SPAN_LIT("INBOX")))
		box.flags |= IMAP_CLIENT_BOX_INBOX;
	buf_init(&utf8, 0);
	/* A name that is none in this encoding cannot be named by us either: left out. */
	if (imap_client_name_decode(name, &utf8) && c->options.on_box &&
	    c->command == COMMAND_LIST) {
		box.name = buf_span(&utf8);
		c->options.on_box(c->options.arg, &box);
	}
	buf_fini(&utf8);
	return true;
}

static bool read_search(struct imap_client *c, struct imap_cursor *at)
{
	while (imap_take(at, ' ')) {
		uint64_t uid;

		if (at->at == at->end)
			return true;
		if (imap_peek(at, '('))
			return imap_skip_value(at); /* MODSEQ */
		if (!imap_take_number(at, UINT32_MAX, &uid) || !uid)
			return false;
		if (c->options.on_uid && c->command == COMMAND_SEARCH)
			c->options.on_uid(c->options.arg, (uint32_t)uid);
	}
	return true;
}

/* "((prefix delimiter ...)...) other shared": the first of one's own. */
static bool read_namespace(struct imap_client *c, struct imap_cursor *at)
{
	struct span prefix, delimiter;
	bool streamed;

	if (!imap_take(at, '(')) /* NIL: none */
		return true;
	if (!imap_take(at, '(') || !imap_take_string(at, &prefix, &streamed) || streamed ||
	    !imap_take(at, ' ') || !imap_take_nstring(at, &delimiter, &streamed) || delimiter.n > 1)
		return false;
	buf_clear(&c->space);
	if (prefix.n && !imap_client_name_decode(prefix, &c->space))
		return false;
	c->delimiter = delimiter.n ? (char)*delimiter.p : 0;
	return true;
}

/* ---- the whole ---- */

static bool read_numbered(struct imap_client *c, struct imap_cursor *at)
{
	struct span word;
	uint64_t n;

	if (!imap_take_number(at, UINT32_MAX, &n) || !imap_take(at, ' ') ||
	    !imap_take_atom(at, &word))
		return false;
	if (span_eq_nocase(word, SPAN_LIT("FETCH")))
		return n && imap_take(at, ' ') && read_fetch(c, (uint32_t)n, at);
	if (span_eq_nocase(word, SPAN_LIT("EXISTS")))
		c->selected.exists = (uint32_t)n;
	else if (span_eq_nocase(word, SPAN_LIT("EXPUNGE")) && c->selected.exists)
		c->selected.exists--;
	return true;
}

static bool read_data(struct imap_client *c, struct span word, struct imap_cursor *at)
{
	if (span_eq_nocase(word, SPAN_LIT("SEARCH")))
		return read_search(c, at);
	if (!imap_take(at, ' '))
		return true;
	if (span_eq_nocase(word, SPAN_LIT("CAPABILITY"))) {
		imap_read_capabilities(c, at);
		return true;
	}
	if (span_eq_nocase(word, SPAN_LIT("LIST")))
		return read_list(c, at);
	if (span_eq_nocase(word, SPAN_LIT("NAMESPACE")))
		return read_namespace(c, at);
	return true; /* RFC 3501 s7: everything else is to be taken at any time */
}

static bool read_untagged(struct imap_client *c, struct imap_cursor *at)
{
	static const struct {
		const char *word;
		enum imap_status status;
	} statuses[] = {{"OK", IMAP_OK},
			{"NO", IMAP_NO},
			{"BAD", IMAP_BAD},
			{"BYE", IMAP_BYE},
			{"PREAUTH", IMAP_PREAUTH}};
	struct span word;

	if (at->at < at->end && *at->at >= '0' && *at->at <= '9')
		return read_numbered(c, at);
	if (!imap_take_atom(at, &word))
		return false;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		if (span_eq_nocase(word, span_str(statuses[i].word))) {
			(void)imap_take(at, ' ');
			imap_on_untagged_status(c, statuses[i].status,
						span_of(at->at, (size_t)(at->end - at->at)));
			return true;
		}
	}
	return c->command != COMMAND_GREETING && read_data(c, word, at);
}

static bool read_tagged(struct imap_client *c, struct imap_cursor *at)
{
	struct span tag, word;
	char mine[16];

	(void)snprintf(mine, sizeof mine, "H%u", c->tag);
	if (!imap_take_atom(at, &tag) || !span_eq(tag, span_str(mine)) || !imap_take(at, ' ') ||
	    !imap_take_atom(at, &word))
		return false;
	(void)imap_take(at, ' ');
	for (enum imap_status status = IMAP_OK; status <= IMAP_BAD; status++) {
		static const char *const words[] = {"OK", "NO", "BAD"};

		if (span_eq_nocase(word, span_str(words[status]))) {
			imap_on_tagged(c, status, span_of(at->at, (size_t)(at->end - at->at)));
			return true;
		}
	}
	return false;
}

void imap_response(struct imap_client *c)
{
	const struct imap_reader *r = &c->reader;
	struct imap_cursor at = {
		.at = r->bytes.p, .end = r->bytes.p + r->bytes.n - 2, .scratch = &c->scratch};
	bool good;

	if (r->streamed_at != SIZE_MAX)
		at.streamed = r->bytes.p + r->streamed_at;
	if (imap_take(&at, '+')) {
		imap_on_continue(c);
		return;
	}
	good = imap_take(&at, '*') ? imap_take(&at, ' ') && read_untagged(c, &at)
				   : read_tagged(c, &at);
	arena_reset(&c->scratch);
	if (!good)
		imap_fail(c, "what the server sent is not an IMAP response to what was asked");
}
