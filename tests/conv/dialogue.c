#include "dialogue.h"

#include "base/must.h"

struct dialogue_options dialogue_defaults(void)
{
	return (struct dialogue_options){
		.service =
			{
				.node = SPAN_LIT("mx2.test.example"),
				.postmaster_domain = SPAN_LIT("ours.example"),
				.limits =
					{
						.message_bytes = 10 << 20,
						.recipients = 100,
						.errors = 50,
						.idle_commands = 100,
						.command_us = 300 * 1000000ull,
						.data_us = 600 * 1000000ull,
						.bad_data_us = 5 * 1000000ull,
					},
				.has_tls = true,
			},
	};
}

static void take_output(struct dialogue *d)
{
	buf_append(&d->said, smtp_server_output(d->server));
	smtp_server_sent(d->server);
}

void dialogue_begin(struct dialogue *d, const struct dialogue_options *options)
{
	*d = (struct dialogue){.options = *options, .now_us = 1000000};
	d->server = smtp_server_new(&d->options.service);
	smtp_server_tick(d->server, d->now_us);
	smtp_server_greet(d->server, false);
	take_output(d);
}

static struct smtp_reply reply(unsigned code, const char *enhanced, const char *text)
{
	return (struct smtp_reply){code, enhanced, span_str(text)};
}

static struct smtp_reply judge_rcpt(struct span address)
{
	if (!span_ends_nocase(address, SPAN_LIT("@ours.example")))
		return reply(550, "5.7.1", "Not relayed");
	if (span_starts(address, SPAN_LIT("unknown")))
		return reply(550, "5.1.1", "Unknown");
	if (span_starts(address, SPAN_LIT("later")))
		return reply(451, "4.7.1", "Later");
	return reply(250, "2.1.5", "Ok");
}

static void store(struct dialogue *d)
{
	const struct smtp_envelope *e = smtp_server_envelope(d->server);
	struct dialogue_message *m = &d->messages[d->messages_n];

	must(d->messages_n < DIALOGUE_MESSAGES);
	d->messages_n++;
	d->stored++;
	m->body = d->body;
	d->body = (struct buf){0};
	buf_printf(&m->envelope, "<%.*s>", SPAN_FMT(e->sender));
	for (size_t i = 0; i < e->rcpts_n; i++)
		buf_printf(&m->envelope, " <%.*s>", SPAN_FMT(e->rcpts[i].address));
}

static void end_login(struct dialogue *d, struct span user, struct span password)
{
	struct smtp_reply r = reply(535, "5.7.8", "User or password is wrong");

	d->logins_ended++;
	if (span_eq(user, SPAN_LIT("away")))
		r = reply(454, "4.7.0", "Nobody can log in at the moment");
	else if (span_eq(user, SPAN_LIT("ann")) && span_eq(password, SPAN_LIT("secret")))
		r = reply(235, "2.7.0", "Welcome");
	smtp_server_answer(d->server, &r, 0);
}

static void on_login(struct dialogue *d, struct span response)
{
	if (d->knows_user) {
		end_login(d, span_str(d->user), response);
		return;
	}
	d->knows_user = true;
	must(response.n < sizeof d->user);
	if (response.n)
		memcpy(d->user, response.p, response.n);
	d->user[response.n] = '\0';
	smtp_server_challenge(d->server, SPAN_LIT("Password:"));
}

static void answer_login(struct dialogue *d, bool is_first)
{
	struct smtp_auth auth = *smtp_server_auth(d->server);
	bool is_plain = span_eq(auth.mechanism, SPAN_LIT("PLAIN"));

	must(is_plain || span_eq(auth.mechanism, SPAN_LIT("LOGIN")));
	d->logins_asked += is_first;
	if (is_first)
		d->knows_user = false;
	if (!auth.has_response) {
		smtp_server_challenge(d->server, is_plain ? SPAN_NONE : SPAN_LIT("Username:"));
	} else if (!is_plain) {
		auth.response.n = auth.response.n < sizeof d->user ? auth.response.n : 0;
		on_login(d, auth.response);
	} else {
		(void)span_cut(&auth.response, '\0');
		end_login(d, span_cut(&auth.response, '\0'), auth.response);
	}
}

static void answer(struct dialogue *d, enum smtp_step question)
{
	struct smtp_reply r = reply(250, "2.1.0", "Ok");

	if (question == SMTP_AUTH || question == SMTP_SASL) {
		answer_login(d, question == SMTP_AUTH);
		return;
	}
	if (question == SMTP_MAIL &&
	    span_starts(smtp_server_envelope(d->server)->sender, SPAN_LIT("denied@")))
		r = reply(550, "5.7.1", "Denied");
	if (question == SMTP_RCPT)
		r = judge_rcpt(smtp_server_asked(d->server)->address);
	if (question == SMTP_DATA)
		r = d->options.is_full ? reply(452, "4.3.1", "Full") : reply(354, NULL, "Go on");
	if (question == SMTP_STORE) {
		store(d);
		r = reply(250, "2.0.0", "Stored");
	}
	smtp_server_answer(d->server, &r, 0);
}

/* One piece, until the engine wants more. */
static void feed_piece(struct dialogue *d, struct span in)
{
	enum smtp_step question = SMTP_FEED, step;
	struct span piece;

	for (;;) {
		step = smtp_server_step(d->server, &in, &piece);
		if (step == SMTP_MAIL || step == SMTP_RCPT || step == SMTP_DATA ||
		    step == SMTP_STORE || step == SMTP_AUTH || step == SMTP_SASL) {
			question = step;
			if (!d->options.is_async)
				answer(d, question);
		} else if (step == SMTP_WAIT) {
			must(d->options.is_async);
			must(smtp_server_deadline(d->server) == 0);
			answer(d, question);
		} else if (step == SMTP_BODY) {
			buf_append(&d->body, piece);
		} else if (step == SMTP_AUTH_END) {
			d->logins_given_up++;
		} else if (step == SMTP_DROP) {
			buf_clear(&d->body);
			d->dropped++;
		} else if (step == SMTP_FLUSH) {
			take_output(d);
		} else {
			break;
		}
	}
	must(in.n == 0);
	take_output(d);
	d->wants_tls = d->wants_tls || step == SMTP_TLS;
	d->is_closed = d->is_closed || step == SMTP_CLOSE;
}

void dialogue_feed(struct dialogue *d, struct span bytes)
{
	size_t step = d->options.step ? d->options.step : bytes.n;

	while (bytes.n) {
		feed_piece(d, span_first(bytes, step));
		bytes = span_from(bytes, step);
	}
}

void dialogue_wait(struct dialogue *d, uint64_t us)
{
	d->now_us += us;
	smtp_server_tick(d->server, d->now_us);
	feed_piece(d, SPAN_NONE);
}

void dialogue_secure(struct dialogue *d)
{
	must(d->wants_tls);
	d->wants_tls = false;
	smtp_server_secured(d->server);
}

void dialogue_wind_down(struct dialogue *d)
{
	smtp_server_wind_down(d->server);
	feed_piece(d, SPAN_NONE);
}

void dialogue_end(struct dialogue *d)
{
	for (size_t i = 0; i < d->messages_n; i++) {
		buf_fini(&d->messages[i].body);
		buf_fini(&d->messages[i].envelope);
	}
	buf_fini(&d->body);
	buf_fini(&d->said);
	smtp_server_free(d->server);
}
