/* What context.c, selfsigned.c and tls.c share. */
#pragma once

#include <openssl/ssl.h>

#include "tls/tls.h"

struct tls_context {
	SSL_CTX *ctx;
	unsigned refs;
	bool is_server;
	bool is_http;	  /* server: of browsers (ALPN) */
	bool must_verify; /* client: the handshake fails unless name and chain are right */
	int64_t not_before, not_after; /* server: of the certificate */
	struct tls_dane *dane;	       /* client: the only keys that are good; data is owned */
	size_t dane_n;
	int64_t tickets_since; /* server: age of the ticket keys, monotonic seconds */
};

/* "what: the newest reason of OpenSSL's queue", which is emptied. */
void tls_fault(struct fault *why, const char *what);

/* The key of a file that only its owner (and a group, for reading) may touch; NULL with why. */
EVP_PKEY *tls_key_read(const char *path, struct fault *why);

/* An IPv4 or IPv6 address in text. */
bool tls_is_address(const char *name);

/* Server: gives the context new ticket keys once TICKET_KEYS_S have passed. */
void tls_context_tickets(struct tls_context *context);

/* Counts what a peer makes us do after the handshake (tls.c, T2); arg is the struct tls. */
void tls_on_message(int is_write, int version, int type, const void *p, size_t n, SSL *ssl,
		    void *arg);
