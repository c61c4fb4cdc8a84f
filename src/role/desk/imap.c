/* What the IMAP engine asks, and who answers it. */
#include "role/desk/internal.h"

static void send_output(struct desk_session *s)
{
	desk_session_send(s, imap_server_output(s->imap));
	imap_server_sent(s->imap);
}

static void act(struct desk_session *s)
{
	const struct imap_ask *ask = imap_server_asked(s->imap);

	desk_session_act(s, ask->id, ask->act);
}

enum desk_turn desk_imap_step(struct desk_session *s, struct span *in)
{
	const struct imap_login *login;
	struct span piece = SPAN_NONE;
	enum imap_step asked;

	desk_store_step(s->desk);
	asked = imap_server_step(s->imap, in, &piece);
	desk_store_rest(s->desk);
	switch (asked) {
	case IMAP_FEED:
		send_output(s);
		return TURN_CLIENT;
	case IMAP_WAIT:
		send_output(s);
		return TURN_WAIT;
	case IMAP_FLUSH:
	case IMAP_AGAIN:
		send_output(s);
		return TURN_OTHERS;
	case IMAP_LOGIN:
		login = imap_server_login_asked(s->imap);
		desk_login_begin(s, login->mechanism, login->has_initial, login->initial);
		return TURN_AGAIN;
	case IMAP_SASL:
		desk_login_go_on(s, piece);
		return TURN_AGAIN;
	case IMAP_SASL_CANCEL:
		desk_login_forget(s);
		return TURN_AGAIN;
	case IMAP_ACT:
		act(s);
		return TURN_AGAIN;
	case IMAP_APPEND_BEGIN:
		desk_append_begin(s);
		return TURN_AGAIN;
	case IMAP_PIECE:
		desk_append_piece(s, piece);
		return TURN_AGAIN;
	case IMAP_APPEND_DROP:
		desk_append_drop(s);
		return TURN_AGAIN;
	case IMAP_APPEND_END:
		desk_append_end(s);
		return TURN_AGAIN;
	case IMAP_TLS:
		send_output(s);
		desk_session_begin_tls(s);
		return TURN_OVER;
	case IMAP_CLOSE:
		send_output(s);
		conn_close(s->conn);
		return TURN_OVER;
	}
	return TURN_CLIENT;
}
