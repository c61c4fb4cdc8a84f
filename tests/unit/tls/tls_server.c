/* A server of nothing but TLS for tls_outside.py: makes its own certificate in the folder given, prints its port, echoes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "tls/tls.h"

static struct loop *loop;
static struct tls_context *context;

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	(void)arg;
	conn_send(c, bytes);
	return bytes.n;
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	(void)arg;
	(void)c;
	(void)fprintf(stderr, "%s %s\n", rc_name(rc), why->text);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};

	(void)arg;
	(void)peer;
	if (is_last)
		(void)close(fd);
	else
		conn_start_tls(conn_accept(loop, fd, &ops, NULL), context, true, NULL);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(argc == 2 && chdir(argv[1]) == 0);
	must(tls_self_signed("cert", "key", "localhost", NULL) == OK);
	must(tls_server_new("cert", "key", "test", &context, NULL) == OK);
	must(bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 1024) == 0);
	must(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	(void)printf("%u\n", ntohs(at.sin_port));
	(void)fflush(stdout);
	loop = loop_new();
	(void)listener_new(loop, fd, on_accept, NULL);
	loop_run(loop);
	return 0;
}
