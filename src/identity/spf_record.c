/* Records into terms (RFC 7208 s4.5, s4.6, s5, s6). */
#include "identity/internal.h"

#include <arpa/inet.h>

#include "base/ascii.h"

#define VERSION SPAN_LIT("v=spf1")

bool spf_record_is(struct span text)
{
	return span_starts_nocase(text, VERSION) &&
	       (text.n == VERSION.n || text.p[VERSION.n] == ' ');
}

/* toplabel of s7.1: not all digits, no hyphen at either end. */
static bool is_top_label(struct span s)
{
	bool has_other = false;

	if (!s.n || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '-')
			return false;
		has_other = has_other || !ascii_is_digit(s.p[i]);
	}
	return has_other;
}

/* domain-spec = macro-string domain-end; domain-end = ( "." toplabel [ "." ] ) / macro-expand */
static bool is_domain_spec(struct span s)
{
	bool ends_in_macro;
	ssize_t dot;

	if (!s.n || !spf_macro_is_good(s, false, &ends_in_macro))
		return false;
	if (ends_in_macro)
		return true;
	if (s.p[s.n - 1] == '.')
		s.n--;
	dot = span_rchr(s, '.');
	return dot >= 0 && is_top_label(span_from(s, (size_t)dot + 1));
}

/* "/24" at the very end; false when it is there and out of range. s loses it. */
static bool take_length(struct span *s, const char *slash, unsigned max, unsigned *out)
{
	size_t digits = 0, slashes = strlen(slash);
	uint64_t value;
	struct span number;

	while (digits < s->n && ascii_is_digit(s->p[s->n - 1 - digits]))
		digits++;
	if (!digits || s->n < digits + slashes ||
	    memcmp(s->p + s->n - digits - slashes, slash, slashes) != 0)
		return true;
	number = span_from(*s, s->n - digits);
	if ((number.n > 1 && number.p[0] == '0') || !span_to_u64(number, max, &value))
		return false;
	*out = (unsigned)value;
	s->n -= digits + slashes;
	return true;
}

/* [ ":" domain-spec ] [ dual-cidr-length ] */
static bool parse_dual(struct span rest, struct spf_term *t)
{
	unsigned none = 999;
	unsigned cidr6 = none;

	if (!take_length(&rest, "//", 128, &cidr6))
		return false;
	t->cidr6 = cidr6 == none ? 128 : cidr6;
	if (!take_length(&rest, "/", 32, &t->cidr4))
		return false;
	if (!rest.n)
		return true;
	t->domain = span_from(rest, 1);
	return rest.p[0] == ':' && is_domain_spec(t->domain);
}

/* ":" domain-spec, and nothing else */
static bool parse_domain(struct span rest, bool is_optional, struct spf_term *t)
{
	if (!rest.n)
		return is_optional;
	t->domain = span_from(rest, 1);
	return rest.p[0] == ':' && is_domain_spec(t->domain);
}

static bool parse_network(struct span rest, bool is_v6, struct spf_term *t)
{
	char text[64];

	if (!rest.n || rest.p[0] != ':')
		return false;
	rest = span_from(rest, 1);
	if (!take_length(&rest, "/", is_v6 ? 128 : 32, is_v6 ? &t->cidr6 : &t->cidr4))
		return false;
	if (rest.n >= sizeof text || (rest.n && memchr(rest.p, '\0', rest.n)))
		return false;
	memcpy(text, rest.p, rest.n);
	text[rest.n] = '\0';
	return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, t->bytes) == 1;
}

static const struct {
	const char *name;
	enum spf_term_kind kind;
} mechanisms[] = {
	{"all", SPF_TERM_ALL}, {"include", SPF_TERM_INCLUDE}, {"a", SPF_TERM_A},
	{"mx", SPF_TERM_MX},   {"ptr", SPF_TERM_PTR},	      {"ip4", SPF_TERM_IP4},
	{"ip6", SPF_TERM_IP6}, {"exists", SPF_TERM_EXISTS},
};

static bool find_mechanism(struct span name, enum spf_term_kind *out)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
		if (span_eq_nocase(name, span_str(mechanisms[i].name))) {
			*out = mechanisms[i].kind;
			return true;
		}
	}
	return false;
}

static bool parse_rest(struct span rest, struct spf_term *t)
{
	switch (t->kind) {
	case SPF_TERM_ALL:
		return rest.n == 0;
	case SPF_TERM_INCLUDE:
	case SPF_TERM_EXISTS:
		return parse_domain(rest, false, t);
	case SPF_TERM_PTR:
		return parse_domain(rest, true, t);
	case SPF_TERM_A:
	case SPF_TERM_MX:
		return parse_dual(rest, t);
	case SPF_TERM_IP4:
		return parse_network(rest, false, t);
	case SPF_TERM_IP6:
		return parse_network(rest, true, t);
	}
	return false;
}

static bool parse_mechanism(struct span word, struct spf_term *out)
{
	struct spf_term t = {.match = SPF_PASS, .cidr4 = 32, .cidr6 = 128};
	size_t n = 0;

	switch (word.p[0]) {
	case '+':
		word = span_from(word, 1);
		break;
	case '-':
		t.match = SPF_FAIL;
		word = span_from(word, 1);
		break;
	case '~':
		t.match = SPF_SOFTFAIL;
		word = span_from(word, 1);
		break;
	case '?':
		t.match = SPF_NEUTRAL;
		word = span_from(word, 1);
		break;
	default:
		break;
	}
	while (n < word.n && word.p[n] != ':' && word.p[n] != '/')
		n++;
	if (!find_mechanism(span_first(word, n), &t.kind) || !parse_rest(span_from(word, n), &t))
		return false;
	*out = t;
	return true;
}

static bool is_one_of(unsigned char c, const char *set)
{
	return c && strchr(set, c) != NULL;
}

/* name "=" with name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ): length of the name, or 0. */
static size_t modifier_name(struct span word)
{
	size_t n = 0;

	if (!ascii_is_alpha(word.p[0]))
		return 0;
	while (n < word.n && (ascii_is_alnum(word.p[n]) || is_one_of(word.p[n], "-_.")))
		n++;
	return n < word.n && word.p[n] == '=' ? n : 0;
}

static bool take_once(struct span value, struct span *out)
{
	if (out->n || !is_domain_spec(value))
		return false;
	*out = value;
	return true;
}

static bool parse_modifier(struct span name, struct span value, struct spf_record *r)
{
	if (span_eq_nocase(name, SPAN_LIT("redirect")))
		return take_once(value, &r->redirect);
	if (span_eq_nocase(name, SPAN_LIT("exp")))
		return take_once(value, &r->explain);
	return spf_macro_is_good(value, true, NULL);
}

static size_t count_words(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] != ' ' && (i == 0 || text.p[i - 1] == ' ');
	return n;
}

enum rc spf_record_parse(struct arena *a, struct span text, struct spf_record *out,
			 struct fault *why)
{
	struct spf_record r = {0};
	size_t number = 0;

	text = span_from(text, VERSION.n);
	r.terms = arena_array(a, count_words(text) + 1, sizeof *r.terms);
	if (!r.terms)
		return LATER;
	while (text.n) {
		struct span word = span_cut(&text, ' ');
		size_t name;
		bool is_good;

		if (!word.n)
			continue;
		number++;
		name = modifier_name(word);
		if (name)
			is_good = parse_modifier(span_first(word, name), span_from(word, name + 1),
						 &r);
		else
			is_good = parse_mechanism(word, &r.terms[r.n]);
		if (!is_good) {
			fault_set(why, "syntax error in term %zu of its record", number);
			return REFUSED;
		}
		r.n += !name;
	}
	*out = r;
	return OK;
}
