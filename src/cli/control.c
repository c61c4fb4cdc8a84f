#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/msg.h"
#include "ipc/stream_frame.h"
#include "os/os.h"

static enum rc open_control(const char *data, const char *role, int *out_fd, struct fault *why)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *name = strcmp(role, "auth") == 0 ? "people.sock" : "control.sock";
	int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/run/%s", data, name);
	int fd;

	if (n < 0 || (size_t)n >= sizeof to.sun_path) {
		fault_set(why, "the path %s/run/%s is too long", data, name);
		return REFUSED;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fault_sys(why, "make a socket");
		return BROKEN;
	}
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0) {
		*out_fd = fd;
		return OK;
	}
	if (errno == ENOENT || errno == ECONNREFUSED)
		fault_set(why, "Holdfast is not running here, or its %s role is down (%s)", role,
			  to.sun_path);
	else if (errno == EACCES)
		fault_set(
			why,
			"you may not ask it: run this as root or as the user Holdfast runs as (%s)",
			to.sun_path);
	else
		fault_sys(why, "connect to %s", to.sun_path);
	(void)close(fd);
	return REFUSED;
}

static enum rc send_all(int fd, const char *role, struct span bytes, struct fault *why)
{
	while (bytes.n) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fault_sys(why, "send to the %s role", role);
			return LATER;
		}
		bytes = span_from(bytes, (size_t)n);
	}
	return OK;
}

/* Waits for bytes until the deadline. OK: some were added. */
static enum rc receive_some(int fd, const char *role, struct buf *in, uint64_t deadline_us,
			    struct fault *why)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t now = os_mono_us(os_real());
	ssize_t n;

	if (now >= deadline_us || poll(&wait, 1, (int)((deadline_us - now) / 1000) + 1) == 0) {
		fault_set(why, "the %s role does not answer", role);
		return LATER;
	}
	if (!buf_reserve(in, 64 << 10)) {
		fault_set(why, "the answer of the %s role is too long", role);
		return BROKEN;
	}
	n = recv(fd, in->p + in->n, 64 << 10, 0);
	if (n < 0 && errno == EINTR)
		return OK;
	if (n <= 0) {
		fault_set(why,
			  "the %s role closed the connection; it does not let this user ask, or it "
			  "ended",
			  role);
		return REFUSED;
	}
	in->n += (size_t)n;
	return OK;
}

static enum rc receive_answer(struct cli *c, int fd, const char *role, unsigned answer_type,
			      uint64_t deadline_us, struct span *out_body, struct fault *why)
{
	struct buf in = {.limit = STREAM_FRAME_LIMIT_BYTES + (128 << 10)};
	enum rc rc = OK;

	while (rc == OK) {
		unsigned type;
		struct span body;
		size_t used;

		rc = stream_frame_take(buf_span(&in), &type, &body, &used, why);
		if (rc == OK && type == answer_type) {
			*out_body = arena_span(&c->arena, body);
			break;
		}
		if (rc == OK) {
			fault_set(why,
				  "the %s role gave an answer of type %u; are both of the same "
				  "version?",
				  role, type);
			rc = BROKEN;
		} else if (rc == MORE) {
			rc = receive_some(fd, role, &in, deadline_us, why);
		} else {
			rc = BROKEN;
		}
	}
	buf_fini(&in);
	return rc;
}

static enum rc ask(struct cli *c, const char *data, const char *role, unsigned type,
		   struct span body, unsigned answer_type, unsigned timeout_ms,
		   struct span *out_body, struct fault *why)
{
	uint64_t deadline_us = os_mono_us(os_real()) + timeout_ms * 1000ull;
	struct buf frame = {0};
	enum rc rc;
	int fd;

	rc = open_control(data, role, &fd, why);
	if (rc != OK)
		return rc;
	if (!stream_frame_put(&frame, type, body)) {
		fault_set(why, "the request is too long");
		rc = REFUSED;
	}
	if (rc == OK)
		rc = send_all(fd, role, buf_span(&frame), why);
	if (rc == OK)
		rc = receive_answer(c, fd, role, answer_type, deadline_us, out_body, why);
	if (frame.p)
		explicit_bzero(frame.p, frame.n); /* it may hold a password */
	buf_fini(&frame);
	(void)close(fd);
	return rc;
}

enum rc control_ask(struct cli *c, const char *data, unsigned type, struct span body,
		    unsigned answer_type, unsigned timeout_ms, struct span *out_body,
		    struct fault *why)
{
	return ask(c, data, "watch", type, body, answer_type, timeout_ms, out_body, why);
}

enum rc people_ask(struct cli *c, const char *data, unsigned type, struct span body,
		   unsigned timeout_ms, struct msg_people_answer *out, struct fault *why)
{
	struct span answer;
	enum rc rc = ask(c, data, "auth", type, body, MSG_PEOPLE_ANSWER, timeout_ms, &answer, why);

	if (rc == OK && !msg_people_answer_decode(&c->arena, answer, out)) {
		fault_set(why, "the auth role gave an answer that makes no sense");
		rc = BROKEN;
	}
	return rc;
}

bool control_do(struct cli *c, const char *data, unsigned type, struct span body,
		unsigned timeout_ms, struct msg_control_answer *out)
{
	struct fault why = {0};
	struct span answer;
	enum rc rc =
		control_ask(c, data, type, body, MSG_CONTROL_ANSWER, timeout_ms, &answer, &why);

	if (rc == OK && !msg_control_answer_decode(&c->arena, answer, out)) {
		fault_set(&why, "the watch role gave an answer that makes no sense");
		rc = BROKEN;
	}
	if (rc == OK)
		return true;
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", why.text));
	(void)cli_no(c, "%s", why.text);
	return false;
}
