/*
 * Writes the messages that compose_referee.py describes. Lines on standard input: a word, then values with blanks between, in
 * hexadecimal behind an "x" where they are bytes. "end" writes the message: its length as a line, then its bytes; a field that
 * was refused: "refused NAME". Blobs come in pieces of the size that "end" names.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/must.h"
#include "mail/compose.h"

enum { WORDS_MOST = 2000 };

struct maker {
	struct arena arena;
	struct buf header;
	struct compose_part parts[COMPOSE_PARTS_LIMIT];
	struct span blobs[COMPOSE_PARTS_LIMIT];
	size_t n;
	size_t piece;
	char refused[100];
};

static struct span bytes_of(struct maker *m, struct span word)
{
	unsigned char *out;

	if (word.n == 0 || word.p[0] != 'x')
		return word;
	out = arena_alloc(&m->arena, word.n + 1);
	must(hex_decode(out, (word.n - 1) / 2, span_from(word, 1)));
	return span_of(out, (word.n - 1) / 2);
}

static int number(struct span word)
{
	return atoi((const char *)word.p);
}

static enum rc on_read(void *arg, size_t blob, uint64_t offset, size_t max, struct span *out,
		       struct fault *why)
{
	struct maker *m = arg;
	struct span rest = span_from(m->blobs[blob], (size_t)offset);

	(void)why;
	*out = span_first(rest, max < m->piece ? max : m->piece);
	return OK;
}

static void finish(struct maker *m)
{
	static const unsigned char random[COMPOSE_RANDOM_BYTES] = {0xde, 0xad, 0xbe, 0xef};
	const struct compose_source source = {on_read, m};
	struct compose *c = compose_new(buf_span(&m->header), m->parts, m->n, random, &source);
	struct buf all = {0};
	struct fault why = {0};
	struct span piece;
	enum rc rc;

	while ((rc = compose_next(c, &piece, &why)) == MORE || (rc == OK && piece.n))
		buf_append(&all, piece);
	must(rc == OK);
	if (m->refused[0])
		printf("refused %s\n", m->refused);
	else
		printf("%zu\n%.*s", all.n, SPAN_FMT(buf_span(&all)));
	compose_free(c);
	buf_fini(&all);
	buf_fini(&m->header);
	arena_fini(&m->arena);
	memset(m, 0, sizeof *m);
}

static bool addresses(struct maker *m, struct span name, const struct span *w, size_t n)
{
	struct compose_address *list = arena_array(&m->arena, n / 2 + 1, sizeof *list);

	for (size_t i = 0; 2 * i + 1 < n; i++) {
		list[i] = (struct compose_address){.name = bytes_of(m, w[2 * i])};
		if (span_eq(w[2 * i + 1], SPAN_LIT("group")))
			list[i].is_group = true;
		else if (span_eq(w[2 * i + 1], SPAN_LIT("over")))
			list[i].ends_group = true;
		else
			list[i].email = bytes_of(m, w[2 * i + 1]);
	}
	return compose_addresses(&m->header, name, list, n / 2);
}

static bool field(struct maker *m, struct span what, struct span name, struct span *w, size_t n)
{
	if (span_eq(what, SPAN_LIT("text")))
		return compose_text(&m->header, name, bytes_of(m, w[0]));
	if (span_eq(what, SPAN_LIT("raw")))
		return compose_raw(&m->header, name, bytes_of(m, w[0]));
	if (span_eq(what, SPAN_LIT("addresses")))
		return addresses(m, name, w, n);
	if (span_eq(what, SPAN_LIT("date")))
		return compose_date(&m->header, name,
				    strtoull((const char *)w[0].p, NULL, 10) * 1000000,
				    number(w[1]));
	for (size_t i = 0; i < n; i++)
		w[i] = bytes_of(m, w[i]);
	if (span_eq(what, SPAN_LIT("ids")))
		return compose_ids(&m->header, name, w, n);
	return compose_urls(&m->header, name, w, n);
}

static void part(struct maker *m, struct span *w)
{
	struct compose_part *p = &m->parts[m->n];

	*p = (struct compose_part){
		.parent = number(w[0]),
		.what = (enum compose_what)number(w[1]),
		.type = bytes_of(m, w[2]),
		.charset = bytes_of(m, w[3]),
		.name = bytes_of(m, w[4]),
		.disposition = bytes_of(m, w[5]),
		.cid = bytes_of(m, w[6]),
		.blob = m->n,
	};
	must(compose_is_type(p->type));
	if (p->what == COMPOSE_TEXT)
		p->text = bytes_of(m, w[7]);
	else
		m->blobs[m->n] = bytes_of(m, w[7]);
	m->n++;
}

int main(void)
{
	static struct maker m;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct span rest, w[WORDS_MOST];
		size_t words = 0;

		rest = arena_span(&m.arena, span_of(line, (size_t)n - 1));
		for (size_t i = 0; i < rest.n; i++)
			if (rest.p[i] == ' ')
				((unsigned char *)(uintptr_t)rest.p)[i] = '\0';
		while (rest.n && words < WORDS_MOST)
			w[words++] = span_cut(&rest, '\0');
		if (span_eq(w[0], SPAN_LIT("end"))) {
			m.piece = (size_t)number(w[1]);
			finish(&m);
		} else if (span_eq(w[0], SPAN_LIT("part"))) {
			part(&m, w + 1);
		} else if (!field(&m, w[0], w[1], w + 2, words - 2)) {
			(void)snprintf(m.refused, sizeof m.refused, "%.*s", SPAN_FMT(w[1]));
		}
	}
	free(line);
	return 0;
}
