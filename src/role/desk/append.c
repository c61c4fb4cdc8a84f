/*
 * A message that a person puts into a mailbox, from bytes (role/common/intake.h) to a MESSAGE record with its act; and where
 * the bytes are those of an IMAP session's APPEND.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/header.h"
#include "os/os.h"
#include "role/common/intake.h"
#include "role/desk/internal.h"

enum {
	FIRST_ROOM = 8 << 10,
	ID_BYTES = 33,
};

/* ---- the beginning ---- */

static void open_append(struct desk_session *s, const char *code, const char *text)
{
	imap_server_append_open(s->imap, code, span_str(text));
}

static void finish(void *arg);

void desk_append_begin(struct desk_session *s)
{
	const struct imap_append *asked = imap_server_append(s->imap);
	struct desk *d = s->desk;

	if (asked->bytes > d->policy->message_bytes) {
		open_append(s, "TOOBIG", "The message is larger than is taken here");
		return;
	}
	if (lane_is_below_reserve(d->lane)) {
		open_append(s, "OVERQUOTA",
			    "No disk space for new messages at the moment; try again later");
		return;
	}
	if (!desk_can_act(d)) {
		open_append(s, "UNAVAILABLE",
			    "Changes cannot be made at the moment; try again soon");
		return;
	}
	s->append = intake_new(&d->hall, asked->bytes < FIRST_ROOM ? (size_t)asked->bytes : 0,
			       SPAN_NONE, finish, s);
	open_append(s, NULL, "");
}

void desk_append_drop(struct desk_session *s)
{
	if (!s->append)
		return;
	intake_drop(s->append);
	s->append = NULL;
	list_remove(&s->hunger);
}

void desk_append_piece(struct desk_session *s, struct span piece)
{
	if (s->append)
		intake_piece(s->append, piece);
}

/* ---- the record ---- */

static struct span protocol_of(const struct desk_actor *who)
{
	return strcmp(who->protocol, "jmap") == 0 ? SPAN_LIT("JMAP") : SPAN_LIT("IMAP");
}

static void write_meta(struct desk *d, const struct desk_actor *who, struct span tls,
		       const struct header_walk *h, struct span detail, struct buf *out)
{
	unsigned char random[16];
	char id[ID_BYTES];
	struct header_refs refs;

	header_refs(h, SPAN_NONE, &refs);
	os_random(d->os, random, sizeof random);
	hex_encode(id, span_of(random, sizeof random));
	msg_message_meta_encode(
		out, &(struct msg_message_meta){
			     .id = span_str(id),
			     .peer = span_str(who->peer),
			     .protocol = protocol_of(who),
			     .tls = tls,
			     .message_id = header_message_id(h),
			     .subject = header_subject(h),
			     .from = header_from(h),
			     .date = header_date(h),
			     .hops = (uint8_t)(h->received < 255 ? h->received : 255),
			     .header_bytes =
				     h->header_bytes <= UINT32_MAX ? (uint32_t)h->header_bytes : 0,
			     .origin = 2,
			     .account = who->account,
			     .detail = detail,
			     .refs = refs.ids,
			     .refs_n = refs.n,
			     .subject_hash = refs.subject,
		     });
}

/* What the lane gives back with a result. */
struct pin {
	struct desk *desk;
	uint64_t ask;
	uint64_t bytes;
};

static void on_stored(void *arg, const struct lane_result *result)
{
	struct pin pin = *(struct pin *)arg;

	free(arg);
	if (result->rc == OK) {
		desk_count(METRIC_APPENDS, 1);
		desk_count(METRIC_APPEND_BYTES, pin.bytes);
	}
	desk_ask_recorded(pin.desk, pin.ask, result->rc);
}

void desk_append_store(struct desk *d, const struct desk_actor *who, struct span tls,
		       struct intake *i, const struct mail_act *act, uint64_t ask)
{
	struct pin *pin = must_alloc(sizeof *pin);
	struct buf meta = {0}, detail = {0};

	*pin = (struct pin){d, ask, intake_bytes(i)};
	desk_act_write(who, ask, act, &detail);
	write_meta(d, who, tls, intake_header(i), buf_span(&detail), &meta);
	intake_store(i, os_wall_us(d->os), buf_span(&meta), on_stored, pin);
	buf_fini(&meta);
	buf_fini(&detail);
}

static void append_message(struct desk_session *s)
{
	struct desk_actor actor = desk_session_actor(s);
	const struct imap_append *asked = imap_server_append(s->imap);

	desk_append_store(s->desk, &actor, span_str(conn_tls_text(s->conn)), s->append, &asked->act,
			  desk_session_ask(s, asked->id));
}

/* All of it is here and its chunks are durable. */
static void finish(void *arg)
{
	struct desk_session *s = arg;

	if (intake_rc(s->append) == OK && desk_can_act(s->desk)) {
		append_message(s);
		desk_append_drop(s);
		return;
	}
	imap_server_verdict(s->imap, imap_server_append(s->imap)->id, NULL);
	desk_append_drop(s);
	desk_session_go_on(s);
}

void desk_append_end(struct desk_session *s)
{
	if (!s->append)
		return;
	intake_end(s->append);
	if (intake_is_settled(s->append))
		finish(s);
}
