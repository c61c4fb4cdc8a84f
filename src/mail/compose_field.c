/* Header fields: folding (RFC 5322 s2.2.3), encoded-words (RFC 2047), addresses, parameters (RFC 2231). */
#include "base/base64.h"
#include "mail/address.h"
#include "mail/compose_internal.h"

enum {
	LINE_BYTES = 76,    /* that fields are folded at */
	WORD_BYTES = 75,    /* of an encoded-word, RFC 2047 s2 */
	WORD_OVERHEAD = 12, /* "=?utf-8?Q?" and "?=" */
	WORD_LEAST = 24,    /* less room than this in a line is not begun with */
	TOKEN_BYTES = 800,  /* a longer word is encoded, so that it can be divided */
	NAME_BYTES = 76,
	SEGMENT_BYTES = 60, /* of a parameter's value in a line */
};

/* ---- characters ---- */

static bool is_in(unsigned char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_atext(unsigned char c)
{
	return ascii_is_alnum(c) || is_in(c, "!#$%&'*+-/=?^_`{|}~");
}

static bool is_token_char(unsigned char c)
{
	return ascii_is_graph(c) && !is_in(c, "()<>@,;:\\\"/[]?=");
}

bool compose_is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n > 0 && s.n <= 200;
}

bool compose_is_type(struct span type)
{
	struct span rest = type, first = span_cut(&rest, '/');

	return compose_is_token(first) && compose_is_token(rest);
}

bool compose_is_id(struct span id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_graph(id.p[i]) || id.p[i] == '<' || id.p[i] == '>')
			return false;
	return id.n > 0 && id.n <= TOKEN_BYTES;
}

bool compose_is_field_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_graph(name.p[i]) || name.p[i] == ':')
			return false;
	return name.n > 0 && name.n <= NAME_BYTES;
}

/* Control characters become blanks, blanks at the ends go. */
static void clean(struct span utf8, struct buf *out)
{
	for (size_t i = 0; i < utf8.n; i++) {
		unsigned char c = utf8.p[i];

		buf_append_byte(out, c < 32 || c == 127 ? ' ' : c);
	}
}

/* ---- lines ---- */

struct line {
	struct buf *out;
	size_t column;
};

static void put(struct line *l, struct span s)
{
	buf_append(l->out, s);
	l->column += s.n;
}

static struct line begin(struct buf *out, struct span name)
{
	struct line l = {out, 0};

	put(&l, name);
	put(&l, SPAN_LIT(":"));
	return l;
}

static void end(struct line *l)
{
	put(l, SPAN_LIT("\r\n"));
}

/* Blanks before a word of so many bytes: a line ends before them when it would not fit. */
static void gap(struct line *l, struct span blanks, size_t next)
{
	bool is_first = l->column == 0;

	if (!is_first && l->column + blanks.n + next > LINE_BYTES) {
		put(l, SPAN_LIT("\r\n"));
		l->column = 0;
	}
	put(l, blanks);
}

static void put_word(struct line *l, struct span word)
{
	gap(l, SPAN_LIT(" "), word.n);
	put(l, word);
}

/* ---- encoded-words ---- */

static bool is_plain_in_q(unsigned char c)
{
	return ascii_is_alnum(c) || is_in(c, "!*+-/"); /* RFC 2047 s5 (3): right in phrases too */
}

static size_t q_cost(unsigned char c)
{
	return is_plain_in_q(c) || c == ' ' ? 1 : 3;
}

static void put_q(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_plain_in_q(s.p[i]))
			buf_append_byte(out, s.p[i]);
		else if (s.p[i] == ' ')
			buf_append_byte(out, '_');
		else
			buf_printf(out, "=%02X", s.p[i]);
	}
}

static size_t character(struct span s)
{
	size_t n = utf8_length(s.p, s.n);

	return n ? n : 1;
}

/* How many bytes, in whole characters, fit into so many of encoded text. */
static size_t fitting(struct span s, size_t room, bool is_q)
{
	size_t n = 0, cost = 0;

	while (n < s.n) {
		size_t step = character(span_from(s, n)), more = 0;

		for (size_t i = 0; i < step; i++)
			more += q_cost(s.p[n + i]);
		if (is_q ? cost + more > room : (n + step + 2) / 3 * 4 > room)
			break;
		cost += more;
		n += step;
	}
	return n;
}

/* The run of words as encoded-words, blanks between them inside. */
static void put_encoded(struct line *l, struct span blanks, struct span run)
{
	size_t q = 0;
	bool is_q;

	for (size_t i = 0; i < run.n; i++)
		q += q_cost(run.p[i]);
	is_q = q <= (run.n + 2) / 3 * 4;
	while (run.n) {
		size_t used = l->column + blanks.n + WORD_OVERHEAD, n;
		size_t room = used + WORD_LEAST <= LINE_BYTES ? LINE_BYTES - used : 0;
		struct buf word = {0};

		if (room == 0 || room > WORD_BYTES - WORD_OVERHEAD)
			room = WORD_BYTES - WORD_OVERHEAD;
		n = fitting(run, room, is_q);
		buf_append(&word, is_q ? SPAN_LIT("=?utf-8?Q?") : SPAN_LIT("=?utf-8?B?"));
		if (is_q)
			put_q(&word, span_first(run, n));
		else
			base64_encode(&word, span_first(run, n));
		buf_append(&word, SPAN_LIT("?="));
		gap(l, blanks, word.n);
		put(l, buf_span(&word));
		buf_fini(&word);
		run = span_from(run, n);
		blanks = SPAN_LIT(" ");
	}
}

static bool needs_encoding(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] > 126)
			return true;
	return word.n > TOKEN_BYTES || memmem(word.p, word.n, "=?", 2) != NULL;
}

/* Cuts blanks and the word behind them off *rest. */
static bool next_word(struct span *rest, struct span *out_blanks, struct span *out_word)
{
	size_t at = 0, from;

	while (at < rest->n && rest->p[at] == ' ')
		at++;
	from = at;
	while (at < rest->n && rest->p[at] != ' ')
		at++;
	*out_blanks = span_first(*rest, from);
	*out_word = span_of(rest->p + from, at - from);
	*rest = span_from(*rest, at);
	return at > from;
}

/* Text without control characters. The run of words from one that must be encoded to the last such one beside it is one. */
static void put_text(struct line *l, struct span text)
{
	struct span blanks, word, after;

	while (next_word(&text, &blanks, &word)) {
		struct span rest = text, run = word, more;

		if (blanks.n == 0)
			blanks = SPAN_LIT(" ");
		if (!needs_encoding(word)) {
			gap(l, blanks, word.n);
			put(l, word);
			continue;
		}
		while (next_word(&rest, &more, &after) && needs_encoding(after)) {
			run.n = (size_t)(after.p + after.n - run.p);
			text = rest;
		}
		put_encoded(l, blanks, run);
	}
}

bool compose_text(struct buf *out, struct span name, struct span utf8)
{
	struct buf cleaned = {0};
	struct line l;

	if (!compose_is_field_name(name))
		return false;
	clean(utf8, &cleaned);
	l = begin(out, name);
	put_text(&l, span_trim(buf_span(&cleaned)));
	end(&l);
	buf_fini(&cleaned);
	return true;
}

/* ---- addresses ---- */

enum phrase { PHRASE_ATOMS, PHRASE_QUOTED, PHRASE_ENCODED };

static enum phrase phrase_of(struct span name)
{
	enum phrase kind = PHRASE_ATOMS;

	if (needs_encoding(name) || name.n > 200)
		return PHRASE_ENCODED;
	for (size_t i = 0; i < name.n; i++)
		if (!is_atext(name.p[i]) &&
		    !(name.p[i] == ' ' && i + 1 < name.n && name.p[i + 1] != ' '))
			kind = PHRASE_QUOTED;
	return kind;
}

static void quote(struct span s, struct buf *out)
{
	buf_append_byte(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, s.p[i]);
	}
	buf_append_byte(out, '"');
}

/* after: what follows at once (":" of a group). */
static void put_phrase(struct line *l, struct span utf8, struct span after)
{
	struct buf cleaned = {0}, quoted = {0};
	struct span name;

	clean(utf8, &cleaned);
	name = span_trim(buf_span(&cleaned));
	switch (phrase_of(name)) {
	case PHRASE_ATOMS:
		put_text(l, name);
		break;
	case PHRASE_QUOTED:
		quote(name, &quoted);
		put_word(l, buf_span(&quoted));
		break;
	case PHRASE_ENCODED:
		put_encoded(l, SPAN_LIT(" "), name);
		break;
	}
	put(l, after);
	buf_fini(&cleaned);
	buf_fini(&quoted);
}

/* Not an address (yet), as drafts have: without anything that means something in a list of addresses. */
static bool is_harmless(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_graph(s.p[i]) || is_in(s.p[i], "()<>[]:;,\\\""))
			return false;
	return s.n > 0 && s.n <= 320;
}

static bool put_address(struct line *l, const struct compose_address *a, bool is_last)
{
	struct span email = span_trim(a->email);
	struct address parsed;
	struct buf word = {0};
	bool is_fine = address_parse(email, true, &parsed) == ADDRESS_FINE;

	if (!is_fine && !is_harmless(email))
		return false;
	if (is_fine)
		email = address_span(&parsed);
	if (span_trim(a->name).n) {
		put_phrase(l, a->name, SPAN_NONE);
		buf_append_byte(&word, '<');
	}
	buf_append(&word, email);
	if (span_trim(a->name).n)
		buf_append_byte(&word, '>');
	if (!is_last)
		buf_append_byte(&word, ',');
	put_word(l, buf_span(&word));
	buf_fini(&word);
	return true;
}

static bool is_mark(const struct compose_address *a)
{
	return a->is_group || a->ends_group;
}

bool compose_addresses(struct buf *out, struct span name, const struct compose_address *list,
		       size_t n)
{
	struct line l;
	size_t was = out->n;
	bool in_group = false, is_fine = compose_is_field_name(name);

	l = begin(out, name);
	for (size_t i = 0; is_fine && i < n; i++) {
		bool is_last = i + 1 == n;

		if (!is_mark(&list[i])) {
			is_fine = put_address(&l, &list[i],
					      is_last || (in_group && is_mark(&list[i + 1])));
			/* a list goes on behind a lone address before a group: the comma stands already */
			continue;
		}
		if (in_group)
			put(&l, is_last && list[i].ends_group ? SPAN_LIT(";") : SPAN_LIT(";,"));
		in_group = list[i].is_group;
		if (in_group)
			put_phrase(&l, list[i].name.n ? list[i].name : SPAN_LIT("-"),
				   SPAN_LIT(":"));
	}
	if (in_group)
		put(&l, SPAN_LIT(";"));
	end(&l);
	if (!is_fine)
		out->n = was;
	return is_fine;
}

/* ---- the other forms ---- */

static bool put_angles(struct buf *out, struct span name, const struct span *list, size_t n,
		       const char *between)
{
	size_t was = out->n;
	struct line l = begin(out, name);
	bool is_fine = compose_is_field_name(name);

	for (size_t i = 0; is_fine && i < n; i++) {
		struct buf word = {0};

		is_fine = compose_is_id(list[i]);
		(void)buf_printf(&word, "<%.*s>%s", SPAN_FMT(list[i]), i + 1 < n ? between : "");
		put_word(&l, buf_span(&word));
		buf_fini(&word);
	}
	end(&l);
	if (!is_fine)
		out->n = was;
	return is_fine;
}

bool compose_ids(struct buf *out, struct span name, const struct span *ids, size_t n)
{
	return put_angles(out, name, ids, n, "");
}

bool compose_urls(struct buf *out, struct span name, const struct span *urls, size_t n)
{
	return put_angles(out, name, urls, n, ",");
}

bool compose_date(struct buf *out, struct span name, uint64_t at_us, int zone_min)
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t seconds = (int64_t)(at_us / 1000000) + zone_min * 60, day, era, doe, yoe, doy, mp;
	int64_t rest, year, zone = zone_min < 0 ? -zone_min : zone_min;
	struct line l;

	if (!compose_is_field_name(name) || zone > 24 * 60 || seconds < 0 ||
	    seconds > INT64_C(253402300799))
		return false;
	day = seconds / 86400;
	rest = seconds % 86400;
	/* civil date of a day since 1970: years begin in March */
	era = (day + 719468) / 146097;
	doe = (day + 719468) % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	year = yoe + era * 400 + (mp >= 10);
	l = begin(out, name);
	(void)buf_printf(out, " %.3s, %02d %.3s %04d %02d:%02d:%02d %c%02d%02d",
			 days + 3 * (day % 7), (int)(doy - (153 * mp + 2) / 5 + 1),
			 months + 3 * ((mp + 2) % 12), (int)year, (int)(rest / 3600),
			 (int)(rest / 60 % 60), (int)(rest % 60), zone_min < 0 ? '-' : '+',
			 (int)(zone / 60), (int)(zone % 60));
	end(&l);
	return true;
}

/* Lines that begin with a blank and are not all blank, of at most 998 bytes, without control characters. */
static bool is_folded(struct span value, size_t name_n)
{
	size_t line = name_n + 1;
	bool has_any = true;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = value.p[i];

		if (c == '\r') {
			if (!has_any || i + 2 >= value.n || value.p[i + 1] != '\n' ||
			    (value.p[i + 2] != ' ' && value.p[i + 2] != '\t'))
				return false;
			has_any = false;
			line = 0;
			i++;
			continue;
		}
		if ((c < 32 && c != '\t') || c > 126 || ++line > 998)
			return false;
		has_any = has_any || (c != ' ' && c != '\t');
	}
	return has_any;
}

bool compose_raw(struct buf *out, struct span name, struct span value)
{
	if (!compose_is_field_name(name) || !is_folded(value, name.n))
		return false;
	buf_append(out, name);
	buf_append_byte(out, ':');
	buf_append(out, value);
	buf_append(out, SPAN_LIT("\r\n"));
	return true;
}

/* ---- parameters ---- */

static bool is_plain_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] > 126)
			return false;
	return s.n == 0 || (s.n <= SEGMENT_BYTES && !memmem(s.p, s.n, "=?", 2));
}

static bool is_attribute_char(unsigned char c)
{
	return is_token_char(c) && !is_in(c, "*'%");
}

/* One piece of an RFC 2231 value, in whole characters. */
static struct span segment(struct span *rest, struct buf *out)
{
	size_t was = out->n;

	while (rest->n) {
		size_t n = character(*rest);

		if (out->n - was + 3 * n > SEGMENT_BYTES)
			break;
		for (size_t i = 0; i < n; i++) {
			if (is_attribute_char(rest->p[i]))
				buf_append_byte(out, rest->p[i]);
			else
				buf_printf(out, "%%%02X", rest->p[i]);
		}
		*rest = span_from(*rest, n);
	}
	return span_from(buf_span(out), was);
}

static void put_extended(struct buf *out, const char *name, struct span value)
{
	bool has_many = false;

	for (unsigned i = 0; value.n; i++) {
		struct buf text = {0};
		struct span piece = segment(&value, &text);

		has_many = has_many || value.n;
		buf_append(out, SPAN_LIT(";\r\n\t"));
		if (has_many)
			(void)buf_printf(out, "%s*%u*=%s", name, i, i ? "" : "utf-8''");
		else
			(void)buf_printf(out, "%s*=utf-8''", name);
		buf_append(out, piece);
		buf_fini(&text);
	}
}

void compose_param(struct buf *out, const char *name, struct span value)
{
	struct buf cleaned = {0};

	clean(value, &cleaned);
	value = span_trim(buf_span(&cleaned));
	if (!is_plain_value(value)) {
		put_extended(out, name, value);
	} else if (value.n) {
		(void)buf_printf(out, ";\r\n\t%s=", name);
		if (compose_is_token(value))
			buf_append(out, value);
		else
			quote(value, out);
	}
	buf_fini(&cleaned);
}
