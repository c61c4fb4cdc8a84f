/*
 * The IMAP client engine against any server: the input is what the server says; its first byte picks how the host behaves.
 * Whatever comes, a command ends with a result, PREAUTH never lets us in, and what callbacks are given keeps its promises (I5).
 */
#include "base/buf.h"
#include "base/must.h"
#include "imap/client.h"

struct host {
	size_t sent, commands;
	bool in_command;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_output(void *arg, struct span bytes)
{
	((struct host *)arg)->sent += bytes.n;
}

static void on_box(void *arg, const struct imap_client_box *box)
{
	struct buf utf7;

	(void)arg;
	buf_init(&utf7, 0);
	must(box->name.n && box->name.n <= IMAP_CLIENT_NAME_BYTES);
	must(span_chr(box->name, '\r') < 0 && span_chr(box->name, '\n') < 0 &&
	     span_chr(box->name, 0) < 0);
	must(imap_client_name_encode(box->name, &utf7));
	buf_fini(&utf7);
}

static void on_uid(void *arg, uint32_t uid)
{
	(void)arg;
	must(uid);
}

static void on_message(void *arg, const struct imap_client_message *m)
{
	(void)arg;
	must(m->seq && m->flags <= 31);
	must(span_chr(m->keywords, '"') < 0 && span_chr(m->keywords, '\r') < 0);
}

static void on_body(void *arg, struct span piece)
{
	must(((struct host *)arg)->in_command && piece.n);
}

static void command(struct imap_client *c, struct host *h, unsigned which)
{
	const struct imap_client_append append = {
		.mailbox = SPAN_LIT("Sent"), .flags = 1, .has_date = true, .size_bytes = 9};

	h->in_command = true;
	switch (which % 13) {
	case 0:
		imap_client_login(c, SPAN_LIT("u"), SPAN_NONE, SPAN_LIT("p\303\244"));
		break;
	case 1:
		imap_client_select(c, SPAN_LIT("INBOX"));
		break;
	case 2:
		imap_client_list(c, SPAN_LIT("*"));
		break;
	case 3:
		imap_client_search_header(c, SPAN_LIT("Message-ID"), SPAN_LIT("<a@b>"));
		break;
	case 4:
		imap_client_fetch(c, 5, 9, SPAN_LIT("Message-ID Date"));
		break;
	case 5:
		imap_client_fetch_body(c, 5);
		break;
	case 6:
		imap_client_append(c, &append);
		break;
	case 7:
		imap_client_store(c, 5, IMAP_CLIENT_ADD, 3, SPAN_LIT("$a b"), 7);
		break;
	case 8:
		imap_client_move(c, 5, SPAN_LIT("Trash"));
		break;
	case 9:
		imap_client_idle(c);
		break;
	case 10:
		imap_client_namespace(c);
		break;
	case 11:
		imap_client_create(c, SPAN_LIT("a\303\244"), IMAP_CLIENT_BOX_SENT);
		break;
	default:
		imap_client_noop(c);
	}
}

/* One turn of the host. False: nothing more to do before the next bytes. */
static bool turn(struct imap_client *c, struct host *h, uint8_t how)
{
	switch (imap_client_want(c)) {
	case IMAP_CLIENT_WANT_INPUT:
		if (imap_client_is_idling(c) && how & 16)
			imap_client_idle_end(c);
		return false;
	case IMAP_CLIENT_WANT_TLS:
		imap_client_secured(c);
		return true;
	case IMAP_CLIENT_WANT_COMMAND:
		if (++h->commands > 60)
			imap_client_logout(c);
		else
			command(c, h, (unsigned)h->commands - 1 + (how >> 5));
		return true;
	case IMAP_CLIENT_WANT_PIECE:
		imap_client_append_piece(c, SPAN_LIT("x: y\r\n\r\nz"));
		return true;
	case IMAP_CLIENT_WANT_RESULT:
		must(imap_client_result(c).text &&
		     strlen(imap_client_result(c).text) < IMAP_CLIENT_TEXT_BYTES);
		h->in_command = false;
		imap_client_next(c);
		return true;
	case IMAP_CLIENT_WANT_CLOSE:
		return false;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = {0};
	uint8_t how = size ? data[0] : 0;
	struct span rest = span_from(span_of(data, size), 1);
	size_t step = how & 8 ? 1 : rest.n ? rest.n : 1;
	const struct imap_client_options options = {.tls = (enum imap_client_tls)((how & 3) % 3),
						    .on_output = on_output,
						    .on_box = on_box,
						    .on_uid = on_uid,
						    .on_message = on_message,
						    .on_body = on_body,
						    .arg = &h};
	struct imap_client *c = imap_client_new(&options);

	if (span_starts_nocase(rest, SPAN_LIT("* PREAUTH ")) && span_chr(rest, '\n') > 0) {
		imap_client_input(c, rest);
		must(imap_client_want(c) == IMAP_CLIENT_WANT_CLOSE && !h.sent);
	}
	for (; rest.n; rest = span_from(rest, step)) {
		imap_client_input(c, span_first(rest, step));
		while (turn(c, &h, how))
			;
	}
	imap_client_lost(c, "end of input");
	must(imap_client_want(c) == IMAP_CLIENT_WANT_CLOSE);
	imap_client_free(c);
	return 0;
}
