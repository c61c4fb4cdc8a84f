/* What the POP3 engine asks, and who answers it. */
#include "role/desk/internal.h"

static void send_output(struct desk_session *s)
{
	desk_session_send(s, pop3_server_output(s->pop3));
	pop3_server_sent(s->pop3);
}

enum desk_turn desk_pop3_step(struct desk_session *s, struct span *in)
{
	const struct pop3_login *login;
	enum pop3_step asked;

	desk_store_step(s->desk);
	asked = pop3_server_step(s->pop3, in);
	desk_store_rest(s->desk);
	switch (asked) {
	case POP3_FEED:
		send_output(s);
		return TURN_CLIENT;
	case POP3_WAIT:
		send_output(s);
		return TURN_WAIT;
	case POP3_FLUSH:
		send_output(s);
		return TURN_OTHERS;
	case POP3_LOGIN:
		login = pop3_server_login(s->pop3);
		desk_login_begin(s, login->mechanism, login->has_initial, login->initial);
		return TURN_AGAIN;
	case POP3_RESPONSE:
		desk_login_go_on(s, pop3_server_response(s->pop3));
		return TURN_AGAIN;
	case POP3_CANCEL:
		desk_login_forget(s);
		return TURN_AGAIN;
	case POP3_ACT:
		desk_session_act(s, 0, pop3_server_act(s->pop3));
		return TURN_AGAIN;
	case POP3_TLS:
		send_output(s);
		desk_session_begin_tls(s);
		return TURN_OVER;
	case POP3_CLOSE:
		send_output(s);
		conn_close(s->conn);
		return TURN_OVER;
	}
	return TURN_CLIENT;
}
