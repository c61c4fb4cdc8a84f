#include "edge_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/bytes.h"
#include "base/must.h"
#include "ledger/ledger.h"
#include "os/os.h"
#include "role/common/role.h"

enum { HEAD = 16, FRAME = 256 << 10 };

static void make_folder(const struct edge_host *h, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", h->folder, name);
	must(mkdir(path, 0700) == 0 || errno == EEXIST);
}

void edge_host_init(struct edge_host *h)
{
	static struct msg_domain domains[2];
	static struct msg_site sites[1];
	static struct span listed[1] = {SPAN_LIT("listed@list.example")};

	*h = (struct edge_host){
		.super = -1, .sequencer = -1, .scout = -1, .name = "edge-0", .service = "smtp"};
	(void)snprintf(h->folder, sizeof h->folder, "/tmp/holdfast-edge-XXXXXX");
	must(mkdtemp(h->folder));
	scratch_remember(h->folder);
	make_folder(h, "ledger");
	make_folder(h, "publish");
	make_folder(h, "tls");
	make_folder(h, "tls/use");
	sites[0] = (struct msg_site){.name = SPAN_LIT("head")};
	domains[0] = (struct msg_domain){
		.name = SPAN_LIT("ours.example"),
		.site = SPAN_LIT("head"),
		.mode = SPAN_LIT("backup-mx"),
		.learn = true,
		.unknown = SPAN_LIT("hold"),
	};
	domains[1] = (struct msg_domain){
		.name = SPAN_LIT("list.example"),
		.site = SPAN_LIT("head"),
		.mode = SPAN_LIT("gated"),
		.recipients = listed,
		.recipients_n = 1,
		.unknown = SPAN_LIT("hold"),
	};
	h->config = (struct msg_config){
		.node = SPAN_LIT("mx2.test.example"),
		.data = span_str(h->folder),
		.sites = sites,
		.sites_n = 1,
		.domains = domains,
		.domains_n = 2,
		.limits =
			{
				.message_bytes = 20 << 20,
				.recipients = 100,
				.sessions = 50,
				.errors_per_session = 50,
				.command_timeout_ms = 60000,
				.data_timeout_ms = 60000,
				.buffer_bytes = 1 << 20,
				.hops = 30,
			},
	};
}

static int config_fd(const struct edge_host *h)
{
	struct buf body = {0};
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	msg_config_encode(&body, &h->config);
	must(fd >= 0 && write(fd, body.p, body.n) == (ssize_t)body.n);
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
	buf_fini(&body);
	return fd;
}

void edge_host_send(int fd, unsigned type, struct span body, int with_fd)
{
	unsigned char head[HEAD] = {0};
	struct iovec parts[2] = {{head, HEAD}, {(void *)(uintptr_t)body.p, body.n}};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};

	put_u32(head, 0x70694648);
	head[4] = 1;
	put_u16(head + 6, (uint16_t)type);
	put_u32(head + 8, (uint32_t)body.n);
	if (with_fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &with_fd, sizeof with_fd);
	}
	must(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)(HEAD + body.n));
	if (with_fd >= 0)
		(void)close(with_fd);
}

static void send_config(struct edge_host *h, bool is_reload)
{
	struct buf body = {0};

	msg_config_now_encode(&body, &(struct msg_config_now){.full_name = span_str(h->name),
							      .is_reload = is_reload});
	edge_host_send(h->super, MSG_CONFIG_NOW, buf_span(&body), config_fd(h));
	buf_fini(&body);
}

void edge_host_reload(struct edge_host *h)
{
	send_config(h, true);
}

int edge_host_link(struct edge_host *h, unsigned peer)
{
	struct buf body = {0};
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	msg_link_here_encode(&body, &(struct msg_link_here){.peer = (uint8_t)peer, .serial = 1});
	edge_host_send(h->super, MSG_LINK_HERE, buf_span(&body), ends[1]);
	buf_fini(&body);
	return ends[0];
}

void edge_host_link_scout(struct edge_host *h)
{
	h->scout = edge_host_link(h, ROLE_SCOUT);
}

int edge_host_listen(struct edge_host *h, const char *service)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	struct buf body = {0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1024) == 0);
	must(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	msg_listen_here_encode(&body, &(struct msg_listen_here){.service = span_str(service)});
	edge_host_send(h->super, MSG_LISTEN_HERE, buf_span(&body), fd);
	buf_fini(&body);
	return ntohs(at.sin_port);
}

void edge_host_start(struct edge_host *h, const char *program)
{
	int ends[2];
	struct buf body = {0};
	unsigned type;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	h->pid = fork();
	must(h->pid >= 0);
	if (h->pid == 0) {
		must(ends[1] != 3 || fcntl(3, F_SETFD, 0) == 0);
		if (ends[1] != 3)
			must(dup2(ends[1], 3) == 3);
		(void)execl(program, program, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	h->super = ends[0];
	send_config(h, false);
	h->port = edge_host_listen(h, h->service);
	h->sequencer = edge_host_link(h, ROLE_SEQUENCER);
	edge_host_send(h->super, MSG_READY, SPAN_NONE, -1);
	while ((type = edge_host_frame(h->super, 10000, &body)) != MSG_STARTED)
		must(type != 0);
	buf_fini(&body);
}

unsigned edge_host_frame(int fd, int ms, struct buf *body)
{
	static unsigned char bytes[FRAME];
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&wait, 1, ms) <= 0)
		return 0;
	n = recv(fd, bytes, sizeof bytes, 0);
	if (n < HEAD)
		return 0;
	buf_clear(body);
	buf_append(body, span_of(bytes + HEAD, (size_t)n - HEAD));
	return get_u16(bytes + 6);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void edge_host_tell_stop(struct edge_host *h)
{
	edge_host_send(h->super, MSG_STOP_NOW, SPAN_NONE, -1);
}

int edge_host_stop(struct edge_host *h)
{
	int status = 0;

	(void)close(h->super); /* ends it too, if StopNow was not sent */
	must(waitpid(h->pid, &status, 0) == h->pid);
	(void)close(h->sequencer);
	if (h->scout >= 0)
		(void)close(h->scout);
	must(nftw(h->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
	return status;
}

int edge_client(const struct edge_host *h)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)h->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval limit = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
	return fd;
}

void edge_say(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t put = send(fd, text, n, MSG_NOSIGNAL);

		if (put <= 0)
			return; /* the server has closed: what it said is read later */
		text += put;
		n -= (size_t)put;
	}
}

static unsigned count_replies(struct span said)
{
	unsigned n = 0;

	while (span_chr(said, '\n') >= 0) {
		struct span line = span_cut(&said, '\n');

		n += line.n > 4 && line.p[3] == ' ';
	}
	return n;
}

void edge_hear(int fd, unsigned replies, struct buf *out)
{
	char bytes[4096];
	ssize_t n;

	buf_clear(out);
	while (count_replies(buf_span(out)) < replies && (n = recv(fd, bytes, sizeof bytes, 0)) > 0)
		buf_append(out, span_of(bytes, (size_t)n));
	(void)buf_cstr(out);
}

unsigned edge_host_messages(const struct edge_host *h, struct buf *bodies, struct buf *metas)
{
	char folder[128];
	struct ledger_reader *reader = NULL;
	struct lane_recovery end;
	struct record at = {.ref = {lane_id_of(h->name), 0, 0}}, next;
	struct ledger_body *body;
	struct fault why = {0};
	struct span piece;
	unsigned messages = 0;

	(void)snprintf(folder, sizeof folder, "%s/ledger", h->folder);
	if (lane_recover(os_real(), folder, h->name, &end, &why) != OK) {
		(void)printf("lane_recover: %s\n", why.text);
		return 0;
	}
	must(ledger_reader_new(os_real(), folder, &reader, &why) == OK);
	while (ledger_next(reader, &at, &end.end, &next, &why) == OK) {
		at = next;
		if (next.type != RECORD_MESSAGE)
			continue;
		messages++;
		if (metas) {
			buf_clear(metas);
			buf_append(metas, next.meta);
		}
		must(ledger_body_open(reader, next.ref, &body, &why) == OK);
		while (bodies && ledger_body_next(body, &piece, &why) == OK)
			buf_append(bodies, piece);
		if (bodies)
			buf_append_byte(bodies, 0x1e);
		ledger_body_close(body);
	}
	ledger_reader_free(reader);
	return messages;
}
