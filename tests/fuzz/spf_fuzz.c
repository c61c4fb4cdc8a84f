/*
 * SPF against a hostile DNS. Input: first line sender, second HELO, third how the client comes (4 or 6), then
 * answers, one a line, used in turn; a line's first byte says what it is: T text, N a name (MX, PTR), A an
 * address (raw bytes), X no such name, E an error.
 */
#include "identity/spf.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum rc kind_of(struct span line)
{
	if (!line.n || line.p[0] == 'X')
		return REFUSED;
	return line.p[0] == 'E' ? LATER : OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span all = span_of(data, n), rest;
	struct span sender = span_cut(&all, '\n'), helo = span_cut(&all, '\n'),
		    how = span_cut(&all, '\n');
	struct spf_input input = {.address = how.n && how.p[0] == '6' ? "2001:db8::1" : "192.0.2.1",
				  .helo = helo,
				  .sender = sender};
	struct spf *s = spf_new(&input);
	struct spf_question q;
	unsigned questions = 0;
	enum rc rc = spf_step(s, NULL, &q);

	rest = all;
	while (rc == MORE) {
		struct span line = span_cut(&rest, '\n');
		struct span record = span_from(line, 1);
		struct spf_reply reply = {.rc = kind_of(line), .n = 1, .records = &record};

		must(++questions <= 122); /* S1 */
		if (!rest.n)
			rest = all; /* round and round */
		rc = spf_step(s, &reply, &q);
	}
	must(rc == OK);
	must(spf_result_name(spf_result(s)) != NULL);
	spf_free(s);
	return 0;
}
