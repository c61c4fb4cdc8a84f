/*
 * The SPF machine (RFC 7208 s4). A step is a function that returns what comes next: go on with the top frame,
 * ask, or done. Each kind of answer has its handler; next_term() drives the record of the top frame.
 *
 * What the RFC leaves open, and what is done here:
 *   - a target-name that is no domain name (s4.8) has no records: no match; for include and redirect permerror.
 *   - void lookups (s4.6.4) are counted for the first question of a term, not for the addresses of MX and PTR
 *     names, which the receiver's choice of address family would otherwise turn into errors of the sender.
 *   - %{p} costs questions but no lookup of the ten; its failure gives "unknown" (s7.3).
 */
#include "identity/spf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "identity/internal.h"

#define LOOKUPS_LIMIT	  10
#define VOIDS_LIMIT	  2
#define NAMES_LIMIT	  10
#define RECORD_LIMIT	  (16u << 10)
#define EXPANSION_LIMIT	  4096
#define EXPLANATION_LIMIT 512
#define IDENTITY_LIMIT	  1024

enum next { GO_ON, ASK, DONE };

/* One check_host(): of the sender's domain, or of an include within it. A redirect takes its caller's place. */
struct frame {
	struct span domain;
	struct spf_record record;
	size_t at;	    /* term */
	bool is_counted;    /* the term has been counted as a lookup */
	bool is_redirected; /* no record: permerror */
};

struct spf {
	struct arena memory;
	struct spf_macros macros;
	struct frame frames[SPF_DEPTH_LIMIT];
	size_t depth; /* frames in use */
	unsigned lookups, voids;
	enum next (*on_reply)(struct spf *s, const struct spf_reply *reply);
	struct spf_question question;
	/* Names of an MX or PTR answer, whose addresses are asked one by one. */
	struct span candidates[NAMES_LIMIT];
	size_t candidates_n, candidate;
	/* Reverse names that lead back to the client; asked at most once. */
	struct span validated[NAMES_LIMIT];
	size_t validated_n;
	bool has_validated;
	enum spf_result result;
	bool is_explaining;
	struct span explain; /* the text found, not expanded */
	char explanation[EXPLANATION_LIMIT];
	struct fault why;
};

static void note_match(struct spf *s);

const char *spf_result_name(enum spf_result result)
{
	static const char *const names[] = {"none",	"neutral",   "pass",	 "fail",
					    "softfail", "temperror", "permerror"};

	return names[result];
}

static struct frame *top(struct spf *s)
{
	return &s->frames[s->depth - 1];
}

static enum next final(struct spf *s, enum spf_result result)
{
	s->result = result;
	s->on_reply = NULL;
	if (result == SPF_FAIL && s->depth == 1 && top(s)->record.explain.n) {
		s->is_explaining = true;
		return GO_ON;
	}
	return DONE;
}

static enum next permerror(struct spf *s, const char *what)
{
	fault_set(&s->why, "%.*s: %s", SPAN_FMT(span_first(top(s)->domain, 253)), what);
	return final(s, SPF_PERMERROR);
}

static enum next temperror(struct spf *s)
{
	fault_set(&s->why, "%s: the DNS gave no answer", s->question.name);
	return final(s, SPF_TEMPERROR);
}

/* The top frame has its result: the table of s5.2 says what an include makes of it. */
static enum next leave_frame(struct spf *s, enum spf_result result)
{
	while (s->depth > 1 && result == SPF_PASS) {
		struct frame *f;

		s->depth--;
		f = top(s);
		note_match(s);
		result = f->record.terms[f->at].match;
	}
	if (s->depth == 1)
		return final(s, result);
	s->depth--; /* fail, softfail, neutral: no match */
	top(s)->at++;
	top(s)->is_counted = false;
	return GO_ON;
}

static enum next no_match(struct spf *s)
{
	top(s)->at++;
	top(s)->is_counted = false;
	return GO_ON;
}

static void note_match(struct spf *s)
{
	const struct frame *f = top(s);

	if (s->depth == 1)
		fault_set(&s->why, "%.*s: term %zu matches", SPAN_FMT(span_first(f->domain, 253)),
			  f->at + 1);
}

static enum next match(struct spf *s)
{
	const struct frame *f = top(s);

	note_match(s);
	return leave_frame(s, f->record.terms[f->at].match);
}

/* --- names */

/* A name that can be asked for: labels of 1 to 63 bytes, at least two, 253 bytes at most. */
static bool is_name(struct span s)
{
	size_t labels = 0;

	if (!s.n || s.n > SPF_NAME_BYTES - 1 || memchr(s.p, '\0', s.n) || s.p[s.n - 1] == '.')
		return false;
	while (s.n) {
		struct span label = span_cut(&s, '.');

		if (!label.n || label.n > 63)
			return false;
		labels++;
	}
	return labels >= 2;
}

static struct span without_dot(struct span s)
{
	return s.n && s.p[s.n - 1] == '.' ? span_first(s, s.n - 1) : s;
}

static enum next ask(struct spf *s, struct span name, enum spf_type type,
		     enum next (*on_reply)(struct spf *s, const struct spf_reply *reply))
{
	must(name.n < SPF_NAME_BYTES);
	memcpy(s->question.name, name.p, name.n);
	s->question.name[name.n] = '\0';
	s->question.type = type;
	s->on_reply = on_reply;
	return ASK;
}

static enum spf_type address_type(const struct spf *s)
{
	return s->macros.is_v6 ? SPF_AAAA : SPF_A;
}

/* %{p}: the domain itself, a name within it, any, "unknown". */
static struct span best_validated(const struct spf *s, struct span domain)
{
	struct span best = s->validated_n ? s->validated[0] : SPAN_LIT("unknown");
	bool is_within = false;

	for (size_t i = 0; i < s->validated_n; i++) {
		struct span v = s->validated[i];

		if (span_eq_nocase(v, domain))
			return v;
		if (!is_within && v.n > domain.n && span_ends_nocase(v, domain) &&
		    v.p[v.n - domain.n - 1] == '.') {
			best = v;
			is_within = true;
		}
	}
	return best;
}

static bool expand(struct spf *s, struct span spec, size_t limit, struct buf *out)
{
	s->macros.domain = top(s)->domain;
	s->macros.validated = best_validated(s, top(s)->domain);
	buf_init(out, limit);
	return spf_macro_expand(spec, &s->macros, out);
}

/*
 * The target-name of a domain-spec; empty: it is none. s7.3: too long a name loses labels on the left.
 * LATER: it is beyond all limits.
 */
static enum rc target_name(struct spf *s, struct span spec, struct span *out)
{
	struct buf text;
	struct span name;
	enum rc rc = LATER;

	if (!spec.n) {
		*out = top(s)->domain;
		return OK;
	}
	if (expand(s, spec, EXPANSION_LIMIT, &text)) {
		name = without_dot(buf_span(&text));
		while (name.n > SPF_NAME_BYTES - 1 && span_chr(name, '.') >= 0)
			name = span_from(name, (size_t)span_chr(name, '.') + 1);
		name = is_name(name) ? arena_span(&s->memory, name) : SPAN_NONE;
		*out = name;
		rc = OK;
	}
	buf_fini(&text);
	return rc;
}

/* --- addresses */

static bool is_within(const struct spf *s, const unsigned char *network, unsigned length)
{
	const unsigned char *client = s->macros.client;
	unsigned whole = length / 8, rest = length % 8;

	if (memcmp(client, network, whole) != 0)
		return false;
	return !rest || (client[whole] ^ network[whole]) >> (8 - rest) == 0;
}

static bool has_client(const struct spf *s, const struct spf_reply *reply, const struct spf_term *t)
{
	size_t bytes = s->macros.is_v6 ? 16 : 4;
	unsigned length = !t ? (unsigned)bytes * 8 : s->macros.is_v6 ? t->cidr6 : t->cidr4;

	for (size_t i = 0; reply->rc == OK && i < reply->n; i++) {
		if (reply->records[i].n == bytes && is_within(s, reply->records[i].p, length))
			return true;
	}
	return false;
}

static bool is_void(const struct spf_reply *reply)
{
	return reply->rc == REFUSED || reply->rc == MORE || (reply->rc == OK && !reply->n);
}

static bool is_answer(const struct spf_reply *reply)
{
	return reply->rc == OK || is_void(reply);
}

/* True: one too many (s4.6.4). */
static bool count_void(struct spf *s, const struct spf_reply *reply)
{
	return is_void(reply) && ++s->voids > VOIDS_LIMIT;
}

/* --- candidates: names whose addresses are asked one by one */

static void take_candidates(struct spf *s, const struct spf_reply *reply)
{
	s->candidates_n = s->candidate = 0;
	for (size_t i = 0; reply->rc == OK && i < reply->n && s->candidates_n < NAMES_LIMIT; i++) {
		struct span name = without_dot(reply->records[i]);

		if (is_name(name))
			name = arena_span(&s->memory, name);
		else
			name = SPAN_NONE;
		if (name.p)
			s->candidates[s->candidates_n++] = name;
	}
}

/* --- the client's own names: for ptr and %{p} (s5.5) */

static enum next next_validated(struct spf *s);

static enum next on_validated_address(struct spf *s, const struct spf_reply *reply)
{
	if (has_client(s, reply, NULL))
		s->validated[s->validated_n++] = s->candidates[s->candidate];
	s->candidate++;
	return next_validated(s);
}

static enum next next_validated(struct spf *s)
{
	if (s->candidate < s->candidates_n)
		return ask(s, s->candidates[s->candidate], address_type(s), on_validated_address);
	s->has_validated = true;
	return GO_ON;
}

static enum next on_pointers(struct spf *s, const struct spf_reply *reply)
{
	const struct frame *f = top(s);
	bool is_for_term = !s->is_explaining && f->record.terms[f->at].kind == SPF_TERM_PTR;

	if (is_for_term && count_void(s, reply))
		return permerror(s, "more than 2 lookups without an answer");
	take_candidates(s, reply);
	return next_validated(s);
}

static enum next ask_pointers(struct spf *s)
{
	char text[64], name[SPF_NAME_BYTES];
	struct span left;
	size_t n = 0;

	spf_macro_address(&s->macros, text);
	left = span_str(text);
	while (left.n) {
		ssize_t dot = span_rchr(left, '.');
		struct span label = span_from(left, (size_t)(dot + 1));

		memcpy(name + n, label.p, label.n);
		n += label.n;
		name[n++] = '.';
		left = span_first(left, dot < 0 ? 0 : (size_t)dot);
	}
	n += (size_t)snprintf(name + n, sizeof name - n, "%s.arpa",
			      s->macros.is_v6 ? "ip6" : "in-addr");
	return ask(s, span_of(name, n), SPF_PTR, on_pointers);
}

/* --- mechanisms */

static enum next on_address(struct spf *s, const struct spf_reply *reply)
{
	struct frame *f = top(s);

	if (!is_answer(reply))
		return temperror(s);
	if (count_void(s, reply))
		return permerror(s, "more than 2 lookups without an answer");
	return has_client(s, reply, &f->record.terms[f->at]) ? match(s) : no_match(s);
}

static enum next on_exists(struct spf *s, const struct spf_reply *reply)
{
	if (!is_answer(reply))
		return temperror(s);
	if (count_void(s, reply))
		return permerror(s, "more than 2 lookups without an answer");
	return is_void(reply) ? no_match(s) : match(s);
}

static enum next next_exchanger(struct spf *s);

static enum next on_exchanger_address(struct spf *s, const struct spf_reply *reply)
{
	struct frame *f = top(s);

	if (!is_answer(reply))
		return temperror(s);
	if (has_client(s, reply, &f->record.terms[f->at]))
		return match(s);
	s->candidate++;
	return next_exchanger(s);
}

static enum next next_exchanger(struct spf *s)
{
	if (s->candidate < s->candidates_n)
		return ask(s, s->candidates[s->candidate], address_type(s), on_exchanger_address);
	return no_match(s);
}

static enum next on_exchangers(struct spf *s, const struct spf_reply *reply)
{
	if (!is_answer(reply))
		return temperror(s);
	if (count_void(s, reply))
		return permerror(s, "more than 2 lookups without an answer");
	if (reply->rc == OK && reply->n > NAMES_LIMIT)
		return permerror(s, "more than 10 MX names");
	take_candidates(s, reply);
	return next_exchanger(s);
}

static enum next match_pointer(struct spf *s, struct span target)
{
	for (size_t i = 0; i < s->validated_n; i++) {
		struct span v = s->validated[i];

		if (span_eq_nocase(v, target) || (v.n > target.n && span_ends_nocase(v, target) &&
						  v.p[v.n - target.n - 1] == '.'))
			return match(s);
	}
	return no_match(s);
}

/* --- records */

static enum next on_text(struct spf *s, const struct spf_reply *reply);

static enum next enter_frame(struct spf *s, struct span domain)
{
	struct frame *f;

	if (s->depth == SPF_DEPTH_LIMIT)
		return permerror(s, "includes too deep");
	f = &s->frames[s->depth++];
	*f = (struct frame){.domain = domain};
	return ask(s, domain, SPF_TXT, on_text);
}

/* s4.3, s5.2, s6.1: no record is none for the domain itself, and an error of whoever named it otherwise. */
static enum next on_no_record(struct spf *s)
{
	if (s->depth > 1 || top(s)->is_redirected)
		return permerror(s, "is named by an SPF record but has none");
	return final(s, SPF_NONE);
}

static enum next on_text(struct spf *s, const struct spf_reply *reply)
{
	struct frame *f = top(s);
	struct span text = SPAN_NONE;
	struct fault why = {0};
	size_t found = 0;

	if (!is_answer(reply))
		return temperror(s);
	for (size_t i = 0; reply->rc == OK && i < reply->n; i++) {
		if (spf_record_is(reply->records[i])) {
			text = reply->records[i];
			found++;
		}
	}
	if (!found)
		return on_no_record(s);
	if (found > 1)
		return permerror(s, "has more than one SPF record");
	text = text.n > RECORD_LIMIT ? SPAN_NONE : arena_span(&s->memory, text);
	if (!text.p)
		return permerror(s, "its record is too big");
	switch (spf_record_parse(&s->memory, text, &f->record, &why)) {
	case OK:
		return GO_ON;
	case LATER:
		return permerror(s, "its record is too big");
	case MORE:
	case EXISTS:
	case REFUSED:
	case BROKEN:
	case UNSURE:
		break;
	}
	return permerror(s, why.text);
}

static bool count_lookup(struct spf *s)
{
	if (top(s)->is_counted)
		return true;
	top(s)->is_counted = true;
	return s->lookups++ < LOOKUPS_LIMIT;
}

static enum next redirect(struct spf *s)
{
	struct frame *f = top(s);
	struct span target = SPAN_NONE;

	if (spf_macro_needs_validated(f->record.redirect) && !s->has_validated)
		return ask_pointers(s);
	if (!count_lookup(s))
		return permerror(s, "more than 10 lookups");
	if (target_name(s, f->record.redirect, &target) != OK || !target.n)
		return permerror(s, "redirects to no name");
	*f = (struct frame){.domain = target, .is_redirected = true};
	return ask(s, target, SPF_TXT, on_text);
}

static enum next look_up(struct spf *s, const struct spf_term *t, struct span target)
{
	switch (t->kind) {
	case SPF_TERM_INCLUDE:
		return target.n ? enter_frame(s, target) : permerror(s, "includes no name");
	case SPF_TERM_A:
		return target.n ? ask(s, target, address_type(s), on_address) : no_match(s);
	case SPF_TERM_MX:
		return target.n ? ask(s, target, SPF_MX, on_exchangers) : no_match(s);
	case SPF_TERM_EXISTS:
		return target.n ? ask(s, target, SPF_A, on_exists) : no_match(s);
	case SPF_TERM_PTR:
		return target.n ? match_pointer(s, target) : no_match(s);
	case SPF_TERM_ALL:
	case SPF_TERM_IP4:
	case SPF_TERM_IP6:
		break;
	}
	must_never("a term that needs no DNS is looked up");
}

static enum next next_term(struct spf *s)
{
	struct frame *f = top(s);
	const struct spf_term *t;
	struct span target = SPAN_NONE;
	bool is_v6;

	if (f->at == f->record.n)
		return f->record.redirect.n ? redirect(s) : leave_frame(s, SPF_NEUTRAL);
	t = &f->record.terms[f->at];
	is_v6 = t->kind == SPF_TERM_IP6;
	if (t->kind == SPF_TERM_ALL)
		return match(s);
	if (t->kind == SPF_TERM_IP4 || is_v6)
		return is_v6 == s->macros.is_v6 &&
				       is_within(s, t->bytes, is_v6 ? t->cidr6 : t->cidr4)
			       ? match(s)
			       : no_match(s);
	if (!count_lookup(s))
		return permerror(s, "more than 10 lookups");
	if (!s->has_validated && (t->kind == SPF_TERM_PTR || spf_macro_needs_validated(t->domain)))
		return ask_pointers(s);
	if (target_name(s, t->domain, &target) != OK)
		return permerror(s, "a name expands to too many bytes");
	return look_up(s, t, target);
}

/* --- the explanation (s6.2): whatever goes wrong, there is none */

static enum next on_explanation(struct spf *s, const struct spf_reply *reply)
{
	s->on_reply = NULL;
	if (reply->rc != OK || reply->n != 1 || !spf_macro_is_good(reply->records[0], true, NULL))
		return DONE;
	s->explain = arena_span(&s->memory, span_first(reply->records[0], RECORD_LIMIT));
	return s->explain.n ? GO_ON : DONE;
}

static enum next explain(struct spf *s)
{
	struct span spec = s->explain.n ? s->explain : top(s)->record.explain;
	struct span target = SPAN_NONE;
	struct buf text;

	if (spf_macro_needs_validated(spec) && !s->has_validated)
		return ask_pointers(s);
	if (!s->explain.n) {
		if (target_name(s, spec, &target) != OK || !target.n)
			return DONE;
		return ask(s, target, SPF_TXT, on_explanation);
	}
	if (expand(s, spec, EXPLANATION_LIMIT - 1, &text) && text.n) {
		memcpy(s->explanation, text.p, text.n);
		s->explanation[text.n] = '\0';
	}
	buf_fini(&text);
	return DONE;
}

/* --- the face */

/* s5: an IPv4-mapped address is an IPv4 address. */
static bool read_address(const char *text, struct spf_macros *m)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned char bytes[16];

	if (inet_pton(AF_INET, text, m->client) == 1)
		return true;
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return false;
	m->is_v6 = memcmp(bytes, mapped, sizeof mapped) != 0;
	memcpy(m->client, m->is_v6 ? bytes : bytes + 12, m->is_v6 ? 16 : 4);
	return true;
}

/* s2.4, s4.3: the local part defaults to postmaster, the domain to the HELO name. */
static void read_identity(struct spf *s, const struct spf_input *in)
{
	struct spf_macros *m = &s->macros;
	struct span sender = in->sender;
	ssize_t at = span_rchr(sender, '@');
	struct span local = at > 0 ? span_first(sender, (size_t)at) : SPAN_LIT("postmaster");
	struct span domain = sender.n ? span_from(sender, (size_t)(at + 1)) : in->helo;
	struct buf whole;

	m->helo = arena_span(&s->memory, in->helo);
	m->receiver = arena_span(&s->memory, in->receiver);
	m->local = arena_span(&s->memory, local);
	m->sender_domain = arena_span(&s->memory, without_dot(domain));
	buf_init(&whole, 0);
	(void)buf_append(&whole, local);
	(void)buf_append_byte(&whole, '@');
	(void)buf_append(&whole, m->sender_domain);
	m->sender = arena_span(&s->memory, buf_span(&whole));
	buf_fini(&whole);
	m->now_s = in->now_s;
}

struct spf *spf_new(const struct spf_input *input)
{
	struct spf *s = must_alloc(sizeof *s);

	arena_init(&s->memory, SPF_MEMORY_BYTES);
	s->result = SPF_NONE;
	if (input->helo.n <= IDENTITY_LIMIT && input->sender.n <= IDENTITY_LIMIT &&
	    input->receiver.n <= IDENTITY_LIMIT && read_address(input->address, &s->macros))
		read_identity(s, input);
	return s;
}

void spf_free(struct spf *s)
{
	if (!s)
		return;
	arena_fini(&s->memory);
	free(s);
}

enum rc spf_step(struct spf *s, const struct spf_reply *reply, struct spf_question *out_question)
{
	enum next next = DONE;

	if (!reply) {
		if (is_name(s->macros.sender_domain))
			next = enter_frame(s, s->macros.sender_domain);
	} else {
		must(s->on_reply != NULL);
		next = s->on_reply(s, reply);
	}
	while (next == GO_ON)
		next = s->is_explaining ? explain(s) : next_term(s);
	if (next == DONE)
		return OK;
	*out_question = s->question;
	return MORE;
}

enum spf_result spf_result(const struct spf *s)
{
	return s->result;
}

const char *spf_explanation(const struct spf *s)
{
	return s->explanation;
}

const char *spf_why(const struct spf *s)
{
	return s->why.text;
}
