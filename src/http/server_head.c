/*
 * The head of a request (RFC 9112 s3 and s5), complete and known to hold nothing but text and CRLF. Strict (W2): what is not as
 * the standard writes it is refused, and so is a second one of a field that may be there once.
 */
#include "base/ascii.h"
#include "http/internal.h"

enum { METHOD_BYTES = 24, HOST_BYTES = 262 };

bool http_is_token(unsigned char c)
{
	return ascii_is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_is_text(unsigned char c)
{
	return c == '\t' || (c >= ' ' && c != 127);
}

static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!http_is_token(s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* ---- the target ---- */

/* What browsers leave as it is stays allowed; a backslash does not, for some take it for a slash. */
static bool is_target_char(unsigned char c, bool in_query)
{
	return ascii_is_graph(c) && !strchr(in_query ? "\"<>#\\" : "\"<>#\\^`{}?", c);
}

static bool are_escapes_fine(struct span s, bool in_query)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_target_char(s.p[i], in_query))
			return false;
		if (s.p[i] != '%')
			continue;
		if (s.n - i < 3 || ascii_hex(s.p[i + 1]) < 0 || ascii_hex(s.p[i + 2]) < 0 ||
		    (s.p[i + 1] == '0' && s.p[i + 2] == '0'))
			return false;
	}
	return true;
}

/* "." or "..", in whatever way it is written. */
static bool is_dots(struct span part)
{
	size_t dots = 0;

	while (part.n) {
		if (part.p[0] == '.')
			part = span_from(part, 1);
		else if (span_starts_nocase(part, SPAN_LIT("%2e")))
			part = span_from(part, 3);
		else
			return false;
		dots++;
	}
	return dots == 1 || dots == 2;
}

static bool is_path_fine(struct span path)
{
	struct span rest = span_from(path, 1);

	if (path.n == 0 || path.p[0] != '/' || !are_escapes_fine(path, false))
		return false;
	while (rest.n) {
		if (is_dots(span_cut(&rest, '/')))
			return false;
	}
	return true;
}

/* RFC 9112 s3.2.2: an absolute target's authority counts, not Host. */
static void cut_authority(struct http_request *r, struct span *target)
{
	size_t scheme = span_starts_nocase(*target, SPAN_LIT("https://"))  ? 8
			: span_starts_nocase(*target, SPAN_LIT("http://")) ? 7
									   : 0;
	size_t n = scheme;

	if (!scheme)
		return;
	while (n < target->n && target->p[n] != '/' && target->p[n] != '?')
		n++;
	r->host = span_of(target->p + scheme, n - scheme);
	*target = n < target->n ? span_from(*target, n) : SPAN_LIT("/");
}

static bool parse_target(struct http_request *r)
{
	struct span target = r->target;
	ssize_t mark;

	if (span_eq(target, SPAN_LIT("*"))) {
		r->path = target;
		return span_eq(r->method, SPAN_LIT("OPTIONS"));
	}
	cut_authority(r, &target);
	mark = span_chr(target, '?');
	r->path = mark < 0 ? target : span_first(target, (size_t)mark);
	r->query = mark < 0 ? SPAN_NONE : span_from(target, (size_t)mark + 1);
	return is_path_fine(r->path) && are_escapes_fine(r->query, true);
}

/* ---- the request line ---- */

static unsigned parse_version(struct http_request *r, struct span v, const char **why)
{
	if (v.n != 8 || !span_starts(v, SPAN_LIT("HTTP/")) || !ascii_is_digit(v.p[5]) ||
	    v.p[6] != '.' || !ascii_is_digit(v.p[7])) {
		*why = "the request line is not as HTTP writes it";
		return 400;
	}
	if (v.p[5] != '1') {
		*why = "this version of HTTP is not spoken here";
		return 505;
	}
	r->is_11 = v.p[7] != '0';
	return 0;
}

static unsigned parse_request_line(struct http_server *s, struct span line, const char **why)
{
	struct http_request *r = &s->request;
	unsigned status;

	*why = "the request line is not as HTTP writes it";
	r->method = span_cut(&line, ' ');
	r->target = span_cut(&line, ' ');
	if (!is_token(r->method) || r->method.n > METHOD_BYTES || !r->target.n)
		return 400;
	status = parse_version(r, line, why);
	if (status)
		return status;
	if (r->target.n > s->service->limits.target_bytes) {
		*why = "the address asked for is too long";
		return 414;
	}
	if (span_eq(r->method, SPAN_LIT("CONNECT")) || span_eq(r->method, SPAN_LIT("TRACE"))) {
		*why = "this method is not served here";
		return 501;
	}
	r->is_head = span_eq(r->method, SPAN_LIT("HEAD"));
	*why = "the address asked for is not as HTTP writes it";
	return parse_target(r) ? 0 : 400;
}

/* ---- fields ---- */

static unsigned parse_field(struct http_server *s, struct span line, const char **why)
{
	struct http_field *f = &s->fields[s->request.fields_n];
	ssize_t colon = span_chr(line, ':');

	*why = "a field is not as HTTP writes it";
	if (colon < 1)
		return 400;
	f->name = span_first(line, (size_t)colon);
	f->value = span_trim(span_from(line, (size_t)colon + 1));
	if (!is_token(f->name)) /* folded, space before the colon */
		return 400;
	s->request.fields_n++;
	return 0;
}

size_t http_request_count(const struct http_request *r, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->fields_n; i++)
		n += span_eq_nocase(r->fields[i].name, span_str(name));
	return n;
}

struct span http_request_field(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->fields_n; i++) {
		if (span_eq_nocase(r->fields[i].name, span_str(name)))
			return r->fields[i].value;
	}
	return SPAN_NONE;
}

static bool has_repeated(const struct http_request *r)
{
	static const char *const once[] = {
		"host",		"content-length", "transfer-encoding",
		"content-type", "authorization",  "origin",
		"cookie",	"sec-fetch-site", "x-holdfast-token",
		"expect",	"range",	  "if-range",
		"user-agent",	"last-event-id",  "referer",
	};

	for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
		if (http_request_count(r, once[i]) > 1)
			return true;
	}
	return false;
}

static bool is_host_fine(struct span host)
{
	for (size_t i = 0; i < host.n; i++) {
		if (!ascii_is_alnum(host.p[i]) && !strchr("-._:[]", host.p[i]))
			return false;
	}
	return host.n > 0 && host.n <= HOST_BYTES;
}

/* RFC 9112 s3.2. */
static bool settle_host(struct http_request *r)
{
	bool is_absolute = r->host.n > 0;

	if (r->is_11 && http_request_count(r, "host") != 1)
		return false;
	if (!is_absolute && http_request_count(r, "host") == 0)
		return true; /* 1.0 */
	if (!is_absolute)
		r->host = http_request_field(r, "host");
	return is_host_fine(r->host) && (!is_absolute || http_request_count(r, "host") == 0 ||
					 is_host_fine(http_request_field(r, "host")));
}

/* RFC 9112 s6: one way to tell the body's end, or none. */
static unsigned settle_body(struct http_server *s, const char **why)
{
	struct http_request *r = &s->request;
	bool has_length = http_request_count(r, "content-length") != 0;
	bool has_coding = http_request_count(r, "transfer-encoding") != 0;
	uint64_t bytes = 0;

	*why = "the body's length is not told as HTTP tells it";
	if (has_length && has_coding)
		return 400;
	if (has_length &&
	    !span_to_u64(http_request_field(r, "content-length"), (uint64_t)1 << 53, &bytes))
		return 400;
	if (has_coding && (!r->is_11 || !span_eq_nocase(http_request_field(r, "transfer-encoding"),
							SPAN_LIT("chunked"))))
		return 400;
	s->is_chunked = has_coding;
	s->chunk = CHUNK_SIZE;
	s->left = bytes;
	r->has_body = has_coding || bytes;
	r->bytes = has_coding ? HTTP_ANY_BYTES : (int64_t)bytes;
	s->body = r->has_body ? BODY_WAITS : BODY_DONE;
	return 0;
}

static unsigned settle_expectation(struct http_server *s, const char **why)
{
	const struct http_request *r = &s->request;

	s->expects = false;
	if (!r->is_11 || http_request_count(r, "expect") == 0)
		return 0;
	if (!span_eq_nocase(http_request_field(r, "expect"), SPAN_LIT("100-continue"))) {
		*why = "what the request expects is not served here";
		return 417;
	}
	s->expects = r->has_body;
	return 0;
}

static bool wants_close(const struct http_request *r)
{
	if (!r->is_11)
		return true;
	for (size_t i = 0; i < r->fields_n; i++) {
		struct span rest = r->fields[i].value;

		if (!span_eq_nocase(r->fields[i].name, SPAN_LIT("connection")))
			continue;
		while (rest.n) {
			if (span_eq_nocase(span_trim(span_cut(&rest, ',')), SPAN_LIT("close")))
				return true;
		}
	}
	return false;
}

static struct span cut_line(struct span *rest)
{
	struct span line = span_cut(rest, '\n');

	return span_first(line, line.n - 1); /* a CR stands there */
}

unsigned http_head_parse(struct http_server *s, const char **out_why)
{
	struct span rest = buf_span(&s->head);
	unsigned status;

	s->request = (struct http_request){.fields = s->fields};
	status = parse_request_line(s, cut_line(&rest), out_why);
	while (!status && rest.n > 2)
		status = parse_field(s, cut_line(&rest), out_why);
	if (status)
		return status;
	s->closes = wants_close(&s->request);
	*out_why = "a field is there twice";
	if (has_repeated(&s->request))
		return 400;
	*out_why = "Host is missing or wrong";
	if (!settle_host(&s->request))
		return 400;
	status = settle_body(s, out_why);
	return status ? status : settle_expectation(s, out_why);
}
