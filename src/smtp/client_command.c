/* What the client writes: commands with the parameters the peer offered; and what it reads of
 * EHLO's answer. */
#include "smtp/client_internal.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/ascii.h"

/* xtext and ORCPT go out as they came, unless a byte could end the command (RFC 3461 s4, test
 * S-20). */
static bool is_parameter(struct span s)
{
	if (!s.n || s.n > 500)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_graph(s.p[i]))
			return false;
	}
	return true;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 128)
			return false;
	}
	return true;
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] == 127)
			return true;
	}
	return false;
}

static void write_mail(const struct smtp_client *c, struct buf *out)
{
	const struct smtp_client_mail *m = &c->mail;

	buf_printf(out, "MAIL FROM:<%.*s>", SPAN_FMT(m->sender));
	if (c->caps.size && m->size_bytes)
		buf_printf(out, " SIZE=%llu", (unsigned long long)m->size_bytes);
	if (c->caps.eightbit && m->is_8bit)
		buf_append(out, SPAN_LIT(" BODY=8BITMIME"));
	if (c->caps.smtputf8 && m->needs_smtputf8)
		buf_append(out, SPAN_LIT(" SMTPUTF8"));
	if (c->caps.dsn && (m->ret == 1 || m->ret == 2))
		buf_printf(out, " RET=%s", m->ret == 1 ? "FULL" : "HDRS");
	if (c->caps.dsn && is_parameter(m->envid))
		buf_printf(out, " ENVID=%.*s", SPAN_FMT(m->envid));
}

static void write_notify(uint8_t notify, struct buf *out)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = {{2, "SUCCESS"}, {4, "FAILURE"}, {8, "DELAY"}};
	const char *before = " NOTIFY=";

	if (notify & 1) {
		buf_append(out, SPAN_LIT(" NOTIFY=NEVER"));
		return;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (notify & words[i].bit) {
			buf_printf(out, "%s%s", before, words[i].word);
			before = ",";
		}
	}
}

static void write_rcpt(const struct smtp_client *c, size_t at, struct buf *out)
{
	const struct smtp_client_rcpt *r = &c->mail.rcpts[at];

	buf_printf(out, "RCPT TO:<%.*s>", SPAN_FMT(r->address));
	if (!c->caps.dsn)
		return;
	write_notify(r->notify, out);
	if (is_parameter(r->orcpt))
		buf_printf(out, " ORCPT=%.*s", SPAN_FMT(r->orcpt));
}

/* RFC 4616: no authorization identity. */
static void write_plain(const struct smtp_client *c, struct buf *out)
{
	struct buf message = {0};

	(void)!buf_reserve(&message, c->login.n + 1);
	(void)buf_append_byte(&message, '\0');
	(void)buf_append(&message, buf_span(&c->login));
	base64_encode(out, buf_span(&message));
	explicit_bzero(message.p, message.cap);
	buf_fini(&message);
}

static void read_auth(struct span value, struct smtp_capabilities *out)
{
	while (value.n) {
		struct span word = span_trim(span_cut(&value, ' '));

		out->auth_plain = out->auth_plain || span_eq_nocase(word, SPAN_LIT("PLAIN"));
		out->auth_login = out->auth_login || span_eq_nocase(word, SPAN_LIT("LOGIN"));
	}
}

void smtp_command_write(const struct smtp_client *c, struct step step, struct buf *out)
{
	switch (step.command) {
	case COMMAND_GREETING:
		return;
	case COMMAND_EHLO:
		buf_printf(out, "EHLO %s", c->helo);
		break;
	case COMMAND_HELO:
		buf_printf(out, "HELO %s", c->helo);
		break;
	case COMMAND_STARTTLS:
		buf_append(out, SPAN_LIT("STARTTLS"));
		break;
	case COMMAND_AUTH_PLAIN:
		buf_append(out, SPAN_LIT("AUTH PLAIN "));
		write_plain(c, out);
		break;
	case COMMAND_AUTH_LOGIN:
		buf_append(out, SPAN_LIT("AUTH LOGIN"));
		break;
	case COMMAND_AUTH_USER:
		base64_encode(out, c->options.user);
		break;
	case COMMAND_AUTH_PASSWORD:
		base64_encode(out, c->options.password);
		break;
	case COMMAND_RSET:
		buf_append(out, SPAN_LIT("RSET"));
		break;
	case COMMAND_MAIL:
		write_mail(c, out);
		break;
	case COMMAND_RCPT:
		write_rcpt(c, step.rcpt, out);
		break;
	case COMMAND_DATA:
		buf_append(out, SPAN_LIT("DATA"));
		break;
	case COMMAND_DOT:
		buf_append(out, SPAN_LIT("."));
		break;
	case COMMAND_QUIT:
		buf_append(out, SPAN_LIT("QUIT"));
		break;
	}
	buf_append(out, SPAN_LIT("\r\n"));
}

static bool refusal(struct smtp_reply *out, uint16_t code, const char *enhanced, const char *text)
{
	*out = (struct smtp_reply){.code = code};
	(void)snprintf(out->enhanced, sizeof out->enhanced, "%s", enhanced);
	(void)snprintf(out->text, sizeof out->text, "%s", text);
	return true;
}

bool smtp_command_refuses(const struct smtp_client *c, const struct smtp_client_mail *mail,
			  size_t rcpt, struct smtp_reply *out_reply)
{
	struct span address = mail->rcpts[rcpt].address;
	bool needs_utf8 = mail->needs_smtputf8 || !is_ascii(mail->sender) || !is_ascii(address);

	if (has_control(mail->sender) || has_control(address) || !address.n)
		return refusal(out_reply, 553, "5.1.3",
			       "the address cannot stand in an SMTP command");
	if (needs_utf8 && !c->caps.smtputf8)
		return refusal(out_reply, 553, "5.6.7",
			       "the server does not offer SMTPUTF8, which this message needs");
	if (c->caps.size_bytes && mail->size_bytes > c->caps.size_bytes) {
		char text[160];

		(void)snprintf(text, sizeof text,
			       "the message has %llu bytes, the server takes %llu at most",
			       (unsigned long long)mail->size_bytes,
			       (unsigned long long)c->caps.size_bytes);
		return refusal(out_reply, 552, "5.3.4", text);
	}
	return false;
}

static void read_size(struct span value, struct smtp_capabilities *out)
{
	uint64_t size;

	out->size = true;
	if (span_to_u64(span_trim(value), UINT64_MAX, &size))
		out->size_bytes = size;
}

void smtp_capabilities_read(const struct smtp_reply_reader *r, struct smtp_capabilities *out)
{
	const struct {
		const char *word;
		bool *flag;
	} words[] = {{"8BITMIME", &out->eightbit}, {"SMTPUTF8", &out->smtputf8},
		     {"DSN", &out->dsn},	   {"PIPELINING", &out->pipelining},
		     {"STARTTLS", &out->starttls}, {"ENHANCEDSTATUSCODES", &out->enhanced}};
	struct span rest = buf_span(&r->lines);

	*out = (struct smtp_capabilities){.esmtp = true};
	(void)span_cut(&rest, '\n'); /* the first line is the server's name */
	while (rest.n) {
		struct span value = span_cut(&rest, '\n'), word = span_cut(&value, ' ');

		word = span_trim(word);
		if (span_eq_nocase(word, SPAN_LIT("SIZE")))
			read_size(value, out);
		if (span_eq_nocase(word, SPAN_LIT("AUTH")))
			read_auth(value, out);
		for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
			if (span_eq_nocase(word, span_str(words[i].word)))
				*words[i].flag = true;
		}
	}
}
