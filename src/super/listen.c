/* Listening sockets, bound once and handed to the roles, so that a role's death closes no port. */
#include "super/internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, TRIES = 20, TRY_EVERY_US = 50000 };

/* "[::1]:25" or "0.0.0.0:25" into host and port. */
static bool split(const char *address, char *host, size_t host_n, const char **out_port)
{
	const char *colon = strrchr(address, ':'), *from = address, *to = colon;

	if (!colon || !colon[1])
		return false;
	if (*from == '[') {
		from++;
		if (to == from || *--to != ']')
			return false;
	}
	if ((size_t)(to - from) >= host_n)
		return false;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	*out_port = colon + 1;
	return true;
}

static void say_why(struct fault *why, const char *service, const char *address, const char *port)
{
	switch (errno) {
	case EADDRINUSE:
		fault_set(why,
			  "listen.%s: port %s of %s is taken by another program; `ss -ltnp sport = "
			  ":%s` shows which. Stop "
			  "it, or choose another port",
			  service, port, address, port);
		return;
	case EACCES:
		fault_set(why,
			  "listen.%s: port %s needs privileges. Start as root, or allow it for all "
			  "users with `sysctl "
			  "net.ipv4.ip_unprivileged_port_start=%s`, or choose a port from 1024 up",
			  service, port, port);
		return;
	case EADDRNOTAVAIL:
		fault_set(why,
			  "listen.%s: %s is no address of this machine (`ip address` lists them)",
			  service, address);
		return;
	case EAFNOSUPPORT:
		fault_set(why, "listen.%s: %s: this machine has no IPv6; leave the address out",
			  service, address);
		return;
	default:
		fault_sys(why, "listen.%s: %s", service, address);
	}
}

/* -1 with errno. */
static int bind_one(const struct addrinfo *to)
{
	const int one = 1;
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    (to->ai_family != AF_INET6 ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
	    bind(fd, to->ai_addr, to->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = errno;
	(void)close(fd);
	errno = err;
	return -1;
}

/* The edges of a supervisor that was killed a moment ago may not have closed the port yet. */
static int bind_patiently(const struct addrinfo *to)
{
	int fd = bind_one(to);

	for (int i = 0; fd < 0 && errno == EADDRINUSE && i < TRIES; i++) {
		(void)usleep(TRY_EVERY_US);
		fd = bind_one(to);
	}
	return fd;
}

int super_listen(const char *service, const char *address, struct fault *why)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *port;
	char host[64];
	int fd;

	if (!split(address, host, sizeof host, &port) ||
	    getaddrinfo(host[0] ? host : NULL, port, &hints, &found)) {
		fault_set(
			why,
			"listen.%s: %s is not an address with a port (\"0.0.0.0:25\", \"[::]:25\")",
			service, address);
		return -1;
	}
	fd = bind_patiently(found);
	if (fd < 0)
		say_why(why, service, address, port);
	freeaddrinfo(found);
	return fd;
}

int super_listen_unix(const char *data, const char *name, enum role_id owner,
		      const struct super_users *users, struct fault *why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/run/%s", data, name);
	int fd;

	if (n < 0 || (size_t)n >= sizeof at.sun_path) {
		fault_set(why,
			  "the path %s/run/%s is longer than the %zu bytes a socket's "
			  "may have; choose a "
			  "shorter data directory",
			  data, name, sizeof at.sun_path - 1);
		return -1;
	}
	(void)unlink(
		at.sun_path); /* of a supervisor before us: the lock says that there is no other */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) < 0 ||
	    chmod(at.sun_path, 0660) < 0 ||
	    (users->switches && chown(at.sun_path, users->uid[owner], users->gid) < 0) ||
	    listen(fd, 64) < 0) {
		fault_sys(why, "socket %s", at.sun_path);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}
