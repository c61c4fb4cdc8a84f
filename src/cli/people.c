/*
 * What commands about people and passwords share: a password taken from the terminal or from stdin (--password-stdin),
 * never from arguments, where others could read it; a request to auth and its answer.
 */
#include "cli/people.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "auth/login.h"
#include "cli/control.h"
#include "ipc/msg.h"

/* ---- passwords ---- */

/* One line without its end. False: printed. */
static bool read_line(struct cli *c, FILE *from, struct span *out)
{
	char line[LOGIN_PASSWORD_LIMIT_BYTES + 16];
	size_t n;

	if (!fgets(line, sizeof line, from)) {
		(void)cli_no(c, "no password came");
		return false;
	}
	n = strcspn(line, "\r\n");
	if (n > LOGIN_PASSWORD_LIMIT_BYTES) {
		(void)cli_no(c, "a password has at most %d bytes", LOGIN_PASSWORD_LIMIT_BYTES);
		return false;
	}
	*out = arena_span(&c->arena, span_of(line, n));
	explicit_bzero(line, sizeof line);
	return true;
}

/* Ctrl-C at the question must not leave a terminal that shows nothing. */
static struct echo {
	int fd;
	struct termios was;
} echo;

static void give_echo_back(int signal)
{
	(void)tcsetattr(echo.fd, TCSAFLUSH, &echo.was);
	(void)raise(signal); /* as the default says, once we return (SA_RESETHAND) */
}

static void on_signals(void (*handler)(int))
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaction(signals[i], &action, NULL);
}

static bool read_hidden(struct cli *c, const char *prompt, struct span *out)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	struct termios was, quiet;
	bool ok = false;

	if (!tty || tcgetattr(fileno(tty), &was) < 0) {
		if (tty)
			(void)fclose(tty);
		(void)cli_no(c,
			     "there is no terminal to ask for the password; use --password-stdin");
		return false;
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	echo = (struct echo){fileno(tty), was};
	on_signals(give_echo_back);
	(void)fprintf(tty, "%s", prompt);
	(void)fflush(tty);
	if (tcsetattr(fileno(tty), TCSAFLUSH, &quiet) == 0)
		ok = read_line(c, tty, out);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &was);
	on_signals(SIG_DFL);
	(void)fprintf(tty, "\n");
	(void)fclose(tty);
	return ok;
}

bool cli_password(struct cli *c, bool may_be_none, struct span *out)
{
	struct span again;

	*out = SPAN_NONE;
	if (cli_flag(c, "password-stdin"))
		return read_line(c, stdin, out);
	if (may_be_none && !isatty(STDIN_FILENO))
		return true;
	if (!read_hidden(c, may_be_none ? "Password (empty: none): " : "New password: ", out))
		return false;
	if (!out->n)
		return may_be_none || (cli_no(c, "nothing was changed"), false);
	if (!read_hidden(c, "Once more: ", &again))
		return false;
	if (span_eq(*out, again))
		return true;
	(void)cli_no(c, "the two are not the same; nothing was changed");
	return false;
}

/* ---- asking ---- */

static bool has_people(const struct msg_config *config)
{
	static const char *const services[] = {"imap",	     "imaps",	    "pop3", "pop3s",
					       "submission", "submissions", "https"};

	for (size_t i = 0; i < config->listen_n; i++) {
		for (size_t k = 0; k < sizeof services / sizeof *services; k++) {
			if (span_eq(config->listen[i].service, span_str(services[k])))
				return true;
		}
	}
	return false;
}

static bool ask(struct cli *c, unsigned type, struct buf *body, unsigned timeout_ms,
		struct msg_people_answer *out)
{
	struct msg_config config = {0};
	struct fault why = {0};
	bool is_complete;
	const char *data;
	enum rc rc = REFUSED;

	if (cli_find_data(c, &data, &config, &is_complete)) {
		rc = people_ask(c, data, type, buf_span(body), timeout_ms, out, &why);
		if (rc != OK && is_complete && !has_people(&config))
			fault_set(&why,
				  "accounts are kept once people can log in: add imaps or "
				  "submissions "
				  "to `listen` in %s, then restart Holdfast",
				  c->config_path);
		if (rc != OK && c->is_json)
			cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", why.text));
		if (rc != OK)
			(void)cli_no(c, "%s", why.text);
	}
	if (body->p)
		explicit_bzero(body->p, body->n);
	buf_fini(body);
	return rc == OK;
}

static int say_answer(struct cli *c, const struct msg_people_answer *answer)
{
	json_t *more;

	if (c->is_json) {
		more = answer->json.n
			       ? json_loadb((const char *)answer->json.p, answer->json.n, 0, NULL)
			       : NULL;
		if (!json_is_object(more)) {
			json_decref(more);
			more = json_object();
		}
		(void)json_object_set_new(more, "ok", json_boolean(answer->ok));
		(void)json_object_set_new(more, "text", report_text(answer->text));
		cli_print_json(more);
	} else if (answer->ok) {
		(void)printf("%.*s\n", SPAN_FMT(answer->text));
	} else {
		(void)cli_no(c, "%.*s", SPAN_FMT(answer->text));
	}
	return answer->ok ? CLI_FINE : CLI_NO;
}

int cli_people_do(struct cli *c, unsigned type, struct buf *body, unsigned timeout_ms)
{
	struct msg_people_answer answer;

	return ask(c, type, body, timeout_ms, &answer) ? say_answer(c, &answer) : CLI_NO;
}
