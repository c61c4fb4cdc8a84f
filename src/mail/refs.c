/*
 * What tells which messages belong together: hashes of Message-IDs as they pass, and of the base subject. FNV-1a with a
 * finish: recorded in the ledger, so fixed. Who wants two hashes equal can have that; he could as well name the id.
 */
#include "mail/refs.h"

#include "base/ascii.h"
#include "mail/text.h"

enum { BASE_BYTES = 128 }; /* of the folded base subject */

static const uint64_t FNV_START = 0xcbf29ce484222325, FNV_PRIME = 0x100000001b3;

static uint64_t hash_byte(uint64_t h, unsigned char c)
{
	return (h ^ c) * FNV_PRIME;
}

/* Never 0. */
static uint64_t hash_end(uint64_t h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
	h = (h ^ h >> 27) * 0x94d049bb133111eb;
	h ^= h >> 31;
	return h ? h : 1;
}

/* ---- Message-IDs ---- */

static void push(struct header_ids *h)
{
	if (h->n == HEADER_REFERENCES)
		memmove(h->ids, h->ids + 1, --h->n * sizeof h->ids[0]);
	h->ids[h->n++] = hash_end(h->hash);
}

void header_ids_feed(struct header_ids *h, struct span piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		unsigned char c = piece.p[i];

		if (c == '<') {
			h->hash = FNV_START;
			h->is_inside = true;
		} else if (c == '>' && h->is_inside) {
			if (h->hash != FNV_START)
				push(h);
			h->is_inside = false;
		} else if (h->is_inside && c > ' ') { /* folded within: as if it were not */
			h->hash = hash_byte(h->hash, c);
		}
	}
}

void header_ids_end(struct header_ids *h)
{
	h->is_inside = false;
	h->has_any = true;
}

static uint64_t hash_of_bare(struct span s)
{
	uint64_t h = FNV_START;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > ' ')
			h = hash_byte(h, s.p[i]);
	return hash_end(h);
}

/* ---- the base subject ---- */

/* "Re", "Fwd" and what programs write for them; folded. */
static bool is_refwd(struct span word)
{
	static const char *const words[] = {
		"re",
		"fw",
		"fwd",
		"aw",
		"wg",
		"sv",
		"vs",
		"vb",
		"vl",
		"antw",
		"doorst",
		"odp",
		"pd",
		"ynt",
		"ilt",
		"ref",
		"rif",
		"res",
		"enc",
		"tr",
		"rv",
		"r",
		"i",
		"\xe5\x9b\x9e\xe5\xa4\x8d",
		"\xe8\xbd\xac\xe5\x8f\x91",
		"\xe7\xad\x94\xe5\xa4\x8d",
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (span_eq(word, span_str(words[i])))
			return true;
	return false;
}

/* Bytes of "[...]" with the blanks behind it; 0: there is none. */
static size_t blob_n(struct span s)
{
	ssize_t end = s.n && s.p[0] == '[' ? span_chr(s, ']') : -1;
	size_t n = (size_t)end + 1;

	if (end < 0 || memchr(s.p + 1, '[', (size_t)end - 1))
		return 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

/* Bytes of "re:", "Re [2]:", "AW :"; 0: there is none. */
static size_t refwd_n(struct span s)
{
	size_t n = 0;

	while (n < s.n && n < 16 && s.p[n] != ':' && s.p[n] != '[' && s.p[n] != ' ' &&
	       s.p[n] != 0xef) /* a wide colon */
		n++;
	if (n == 0 || !is_refwd(span_first(s, n)))
		return 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	n += blob_n(span_from(s, n));
	if (n < s.n && s.p[n] == ':')
		return n + 1;
	return n + 3 <= s.n && memcmp(s.p + n, "\xef\xbc\x9a", 3) == 0 ? n + 3 : 0;
}

static bool ends_in(struct span s, struct span tail)
{
	return s.n >= tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

/* s is folded. Each step takes something away: no more of them than there are bytes. */
static struct span base_of(struct span s)
{
	for (;;) {
		size_t n;

		s = span_trim(s);
		if (ends_in(s, SPAN_LIT("(fwd)"))) {
			s.n -= 5;
		} else if (span_starts(s, SPAN_LIT("[fwd:")) && s.p[s.n - 1] == ']') {
			s = span_of(s.p + 5, s.n - 6);
		} else if ((n = refwd_n(s)) > 0) {
			s = span_from(s, n);
		} else if ((n = blob_n(s)) > 0 && n < s.n) { /* one alone is the subject */
			s = span_from(s, n);
		} else {
			return s;
		}
	}
}

static uint64_t subject_hash(struct span raw)
{
	struct buf text = {0}, folded = {0};
	uint64_t h = FNV_START;
	struct span base;
	size_t n = 0;

	(void)text_header_plain(raw, &text);
	(void)text_fold(buf_span(&text), &folded);
	base = base_of(buf_span(&folded));
	for (size_t i = 0; i < base.n && n < BASE_BYTES; i++) {
		if (base.p[i] == ' ')
			continue;
		h = hash_byte(h, base.p[i]);
		n++;
	}
	buf_fini(&text);
	buf_fini(&folded);
	return n ? hash_end(h) : 0;
}

/* ---- all of it ---- */

static void add(struct header_refs *out, uint64_t id)
{
	for (size_t i = 0; i < out->n; i++)
		if (out->ids[i] == id)
			return;
	out->ids[out->n++] = id;
}

void header_refs(const struct header_walk *w, struct span own, struct header_refs *out)
{
	struct header_ids made = {0};

	*out = (struct header_refs){
		.subject = subject_hash(span_of(w->whole_subject, w->whole_subject_n))};
	header_ids_feed(&made, own);
	if (made.n)
		add(out, made.ids[0]);
	else if (w->own.n)
		add(out, w->own.ids[0]);
	else if (w->message_id_n)
		add(out, hash_of_bare(header_message_id(w)));
	for (size_t i = 0; i < w->answers.n && i < HEADER_ANSWERED; i++)
		add(out, w->answers.ids[i]);
	for (size_t i = w->references.n; i-- > 0;)
		add(out, w->references.ids[i]);
}

void header_refs_of(struct span message, struct header_refs *out)
{
	struct header_walk w;

	header_walk_init(&w, SPAN_NONE);
	(void)header_walk_feed(&w, message);
	header_walk_end(&w);
	header_refs(&w, SPAN_NONE, out);
}
