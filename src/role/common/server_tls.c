#include "role/common/server_tls.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/bytes.h"
#include "ipc/msg.h"
#include "os/os.h"
#include "role/common/role.h"
#include "tls/tls.h"

enum { PEM_LIMIT = 256 << 10 };

/* Checksum over a file's bytes; 0 when it cannot be read. */
static uint32_t mark_of(struct os *os, const char *path, uint32_t mark)
{
	unsigned char bytes[4096];
	uint64_t at = 0;
	ssize_t n;
	int fd = os_open(os, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	while (at < PEM_LIMIT && (n = os_read_all(os, fd, bytes, sizeof bytes, at)) > 0) {
		mark = crc32c(mark, span_of(bytes, (size_t)n));
		at += (uint64_t)n;
	}
	(void)os_close(os, fd);
	return mark;
}

static bool path_of(struct span path, char *out, size_t out_n)
{
	int n = snprintf(out, out_n, "%.*s", SPAN_FMT(path));

	return n > 0 && (size_t)n < out_n;
}

bool server_tls_load(struct role *r, const char *key_id, const char *without,
		     struct tls_context **context, uint32_t *mark)
{
	const struct msg_config *config = role_config(r);
	struct os *os = role_os(r);
	char certificate[4096], key[4096];
	struct tls_context *next = NULL;
	struct fault why = {0};
	uint32_t now;

	if (!path_of(config->tls_certificate, certificate, sizeof certificate) ||
	    !path_of(config->tls_key, key, sizeof key))
		return false;
	now = mark_of(os, key, mark_of(os, certificate, 1));
	now |= 1; /* 0: not looked at yet */
	if (now == *mark)
		return false;
	*mark = now;
	if (tls_server_new(certificate, key, key_id, &next, &why) != OK) {
		say(SAY_ERROR, "tls.bad_pair", "why", SAY_STR(why.text), "then",
		    SAY_STR(*context ? "the certificate in use is kept" : without), NULL);
		return false;
	}
	if (*context && tls_context_is_current(next, &why) != OK) {
		say(SAY_ERROR, "tls.not_current", "why", SAY_STR(why.text), "then",
		    SAY_STR("the certificate in use is kept"), NULL);
		tls_context_unref(next);
		return false;
	}
	tls_context_unref(*context);
	*context = next;
	say(SAY_NOTICE, "tls.loaded", "certificate", SAY_STR(certificate), "ends_at",
	    SAY_I64(tls_context_not_after(next)), NULL);
	return true;
}
