/*
 * Runs one script against the IMAP server engine over mailboxes in memory (imap_rig.h), four times: all input between "!" lines at
 * once, byte by byte, in sevens, and with verdicts that come late. What is said must be the same each time (I1).
 *
 *   # comment
 *   C: a line of the client's, CR LF is added       C+ the same with \r \n \0 \\ \xHH and nothing added
 *   S: a line of the server's          A: an act that was asked for          L: what the host noted
 *   (each of the three must come in its own order)
 *   ! add BOX FLAGS   ! flag BOX UID FLAGS   ! gone BOX UID   ! drop BOX     others change something
 *   ! changed         the host tells the engine of changes
 *   ! tick SECONDS    ! away 0|1   ! index 0|1   ! full 0|1   ! broken 0|1   ! no-tls   ! tls   ! clear 0|1   ! end   ! wind-down
 *   ! slow 1          verdicts come late   ! prompt: they may not, in this script
 *   ! turn            what stands above came together
 *   ! closed          the session has ended here
 *
 * imap_server_conv FILE, or -w FILE: prints the script with what was said, to be looked at before it is kept.
 */
#include "imap_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

struct play {
	struct imap_rig rig;
	size_t step;
	struct buf in; /* of this turn */
	bool writes, is_bad;
	const char *file;
	unsigned line;
	size_t said_at, acts_at, log_at; /* what was compared, or printed */
};

static void unescape(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (c == '\\' && i + 1 < text.n) {
			c = text.p[++i];
			if (c == 'x') {
				char hex[3] = {(char)text.p[i + 1], (char)text.p[i + 2], 0};

				c = (unsigned char)strtoul(hex, NULL, 16);
				i += 2;
			} else {
				c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? 0 : c;
			}
		}
		(void)buf_append_byte(out, c);
	}
}

static void feed(struct play *p)
{
	imap_rig_feed(&p->rig, buf_span(&p->in), p->step);
	buf_clear(&p->in);
}

/* What was said since the last look, a line; CR is left out, what cannot be printed becomes \xHH. */
static bool next_line(const struct buf *all, size_t *at, struct buf *out)
{
	buf_clear(out);
	if (*at >= all->n)
		return false;
	while (*at < all->n) {
		unsigned char c = all->p[(*at)++];

		if (c == '\n')
			break;
		if (c == '\r' && *at < all->n && all->p[*at] == '\n')
			continue;
		if (c < ' ' || c == 127)
			(void)buf_printf(out, "\\x%02x", c);
		else
			(void)buf_append_byte(out, c);
	}
	return true;
}

static struct buf *stream(struct play *p, char kind, size_t **at)
{
	*at = kind == 'S' ? &p->said_at : kind == 'A' ? &p->acts_at : &p->log_at;
	return kind == 'S' ? &p->rig.said : kind == 'A' ? &p->rig.acts : &p->rig.log;
}

static void complain(struct play *p, char kind, struct span wanted, struct span got)
{
	fprintf(stderr, "%s:%u (step %zu%s): wanted %c: %.*s\n      got: %.*s\n", p->file, p->line,
		p->step, p->rig.is_slow ? ", slow" : "", kind, SPAN_FMT(wanted), SPAN_FMT(got));
	p->is_bad = true;
}

static void expect(struct play *p, char kind, struct span wanted)
{
	struct buf got = {0};
	size_t *at;
	struct buf *all = stream(p, kind, &at);

	if (!next_line(all, at, &got))
		complain(p, kind, wanted, SPAN_LIT("(nothing)"));
	else if (!span_eq(buf_span(&got), wanted))
		complain(p, kind, wanted, buf_span(&got));
	buf_fini(&got);
}

/* What no line of the script wanted: printed, or a fault. */
static void rest(struct play *p)
{
	for (const char *kind = "SAL"; *kind; kind++) {
		struct buf got = {0};
		size_t *at;
		struct buf *all = stream(p, *kind, &at);

		while (next_line(all, at, &got)) {
			if (p->writes)
				printf("%c: %.*s\n", *kind, SPAN_FMT(buf_span(&got)));
			else
				complain(p, *kind, SPAN_LIT("(nothing)"), buf_span(&got));
		}
		buf_fini(&got);
	}
}

static struct rig_entry *entry_of(struct play *p, const char *box, unsigned uid)
{
	struct rig_box *b = imap_rig_box(&p->rig, box);

	for (size_t i = 0; b && i < b->n; i++) {
		if (b->entries[i].uid == uid)
			return &b->entries[i];
	}
	must_never("no such entry in the script");
}

static void change(struct play *p, const char *word, const char *box, unsigned uid, unsigned flags)
{
	struct imap_rig *r = &p->rig;
	struct rig_box *b = imap_rig_box(r, box);
	struct rig_entry *e;

	must(b);
	if (strcmp(word, "add") == 0) {
		(void)imap_rig_add(r, b, 0, uid);
		return;
	}
	if (strcmp(word, "drop") == 0) {
		b->exists = false;
		return;
	}
	e = entry_of(p, box, uid);
	if (strcmp(word, "gone") == 0)
		e->is_gone = true;
	else
		e->flags = flags;
	e->modseq = b->modseq = ++r->modseq;
}

static void direct(struct play *p, const char *text)
{
	struct imap_rig *r = &p->rig;
	char word[40] = "", arg[200] = "";
	unsigned a = 0, b = 0;
	int n = sscanf(text, "%39s %199s %u %u", word, arg, &a, &b);
	bool on = arg[0] == '1';

	must(n >= 1);
	feed(p);
	if (strcmp(word, "add") == 0 || strcmp(word, "flag") == 0 || strcmp(word, "gone") == 0 ||
	    strcmp(word, "drop") == 0)
		change(p, word, arg, a, b);
	else if (strcmp(word, "changed") == 0)
		imap_server_changed(r->s, 0);
	else if (strcmp(word, "tick") == 0)
		r->now_us += strtoull(arg, NULL, 10) * 1000000;
	else if (strcmp(word, "away") == 0)
		r->is_away = on;
	else if (strcmp(word, "index") == 0)
		r->has_index = on;
	else if (strcmp(word, "full") == 0)
		r->is_append_refused = on;
	else if (strcmp(word, "broken") == 0)
		r->is_store_broken = on;
	else if (strcmp(word, "no-tls") == 0)
		r->service.has_tls = false;
	else if (strcmp(word, "tls") == 0)
		imap_server_secured(r->s);
	else if (strcmp(word, "clear") == 0)
		r->service.allows_clear_login = on;
	else if (strcmp(word, "end") == 0)
		imap_server_end(r->s, NULL, SPAN_LIT("Enough"));
	else if (strcmp(word, "wind-down") == 0)
		imap_server_wind_down(r->s);
	else if (strcmp(word, "slow") == 0)
		r->is_slow = on;
	else if (strcmp(word, "turn") == 0 || strcmp(word, "prompt") == 0)
		; /* what came so far was one turn */
	else if (strcmp(word, "closed") == 0)
		p->is_bad = p->is_bad || !r->is_closed;
	else
		must_never("a word the script does not know");
	if (strcmp(word, "closed") == 0 && !r->is_closed)
		fprintf(stderr, "%s:%u: the session is open\n", p->file, p->line);
	if (!r->is_closed)
		imap_rig_settle(r);
}

static void take_client_line(struct play *p, struct span line)
{
	if (line.p[1] == '+') {
		unescape(span_from(line, 3), &p->in);
		return;
	}
	(void)buf_append(&p->in, span_from(line, 3));
	(void)buf_append(&p->in, SPAN_LIT("\r\n"));
}

static bool is_server_line(struct span line)
{
	return line.n >= 2 && line.p[1] == ':' && strchr("SAL", line.p[0]);
}

/* All that the client says and the world does. Written scripts feed line by line, to show which answer is whose. */
static void play(struct play *p, struct span script)
{
	for (p->line = 1; script.n; p->line++) {
		struct span line = span_cut(&script, '\n');
		char text[400];

		if (is_server_line(line))
			continue;
		if (p->writes && !(line.n > 1 && line.p[0] == 'C' && line.p[1] == '+')) {
			feed(p);
			rest(p);
		}
		if (p->writes)
			printf("%.*s\n", SPAN_FMT(line));
		if (line.n >= 3 && line.p[0] == 'C')
			take_client_line(p, line);
		(void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(span_from(line, 2)));
		if (line.n && line.p[0] == '!')
			direct(p, text);
	}
	feed(p);
}

static void compare(struct play *p, struct span script)
{
	for (p->line = 1; script.n; p->line++) {
		struct span line = span_cut(&script, '\n');

		if (is_server_line(line) && !p->writes)
			expect(p, (char)line.p[0], span_from(line, 3));
	}
	rest(p);
}

static bool run(const char *file, struct span script, size_t step, bool is_slow, bool writes)
{
	static struct play p;
	bool is_good;

	p = (struct play){.step = step, .file = file, .writes = writes};
	imap_rig_init(&p.rig);
	p.rig.is_slow = is_slow;
	p.rig.read_piece = step;
	imap_rig_furnish(&p.rig);
	imap_server_greet(p.rig.s);
	play(&p, script);
	compare(&p, script);
	is_good = !p.is_bad;
	imap_rig_fini(&p.rig);
	buf_fini(&p.in);
	return is_good;
}

int main(int argc, char **argv)
{
	bool writes = argc == 3;
	const char *file = argv[argc - 1];
	struct buf script = {0};
	FILE *f = fopen(file, "r");
	char text[4096];
	size_t n;
	bool is_good = true;

	must(argc >= 2 && f);
	while ((n = fread(text, 1, sizeof text, f)) > 0)
		(void)buf_append(&script, span_of(text, n));
	(void)fclose(f);
	if (writes) {
		(void)run(file, buf_span(&script), 0, false, true);
	} else {
		is_good = run(file, buf_span(&script), 0, false, false) && is_good;
		is_good = run(file, buf_span(&script), 1, false, false) && is_good;
		is_good = run(file, buf_span(&script), 7, false, false) && is_good;
		if (!memmem(script.p, script.n, "! prompt", 8))
			is_good = run(file, buf_span(&script), 0, true, false) && is_good;
	}
	buf_fini(&script);
	return is_good ? 0 : 1;
}
