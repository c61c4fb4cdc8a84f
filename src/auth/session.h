/*
 * Sessions of browsers: who is logged in where, and the lines of the file that keeps it. Pure: the clock is passed in,
 * files are the role's affair (src/role/auth/session_file.h).
 *
 *   A15 A session's secret is 32 random bytes as base64url and is told once. Kept is its SHA-256: nobody becomes somebody
 *       by reading the file.
 *   A16 It was opened under its account's seal, a random number in the account's own file that is another one after each
 *       change that ends sessions. So the change and the end of all its sessions are one write, and no kill brings one back.
 *   A17 It ends `idle` after it was last used, and `most` after it was opened. The file learns of use now and then; a
 *       kill makes a session end sooner by that, never later.
 *   A18 An account has at most SESSIONS_OF_ACCOUNT and all together at most `most`: the longest unused makes room.
 *
 *   The file: lines "open HASH USE SEAL MADE USED SOURCE ACCOUNT AGENT SUM", "used HASH USED SOURCE SUM" and
 *   "end HASH SUM", SUM the CRC-32C of what stands before it. A line that is not whole was never answered for, and is
 *   left out.
 */
#pragma once

#include "auth/login.h"
#include "auth/secret.h"
#include "base/list.h"
#include "base/map.h"

enum {
	SESSIONS = 65536,
	SESSIONS_OF_ACCOUNT = 32,
	SESSION_RANDOM_BYTES = 32,
	SESSION_TEXT_BYTES = 43, /* of the secret */
	SESSION_ID_BYTES = 12,	 /* of what it is called in lists: the beginning of the hash */
	SESSION_AGENT_BYTES = 201,
	SESSION_SOURCE_BYTES = 64,
};

enum session_use { SESSION_PORTAL, SESSION_ADMIN, SESSION_USES };
const char *session_use_name(enum session_use u);
bool session_use_of(struct span name, enum session_use *out);

struct session_limits {
	uint64_t idle_us[SESSION_USES], most_us[SESSION_USES];
};

struct session {
	struct list by_use; /* of all, the longest unused first */
	struct list of_account;
	unsigned char hash[SECRET_HASH_BYTES];
	enum session_use use;
	uint64_t seal, made_us, used_us, noted_us; /* noted: the last use the file knows */
	char source[SESSION_SOURCE_BYTES];
	char agent[SESSION_AGENT_BYTES]; /* without control bytes */
	struct session_account *account;
};

struct sessions {
	struct map by_hash, by_account;
	struct list by_use;
	size_t most, damaged; /* lines left out by sessions_read */
};

void sessions_init(struct sessions *s, size_t most); /* 0: SESSIONS */
void sessions_fini(struct sessions *s);

struct session_new {
	unsigned char hash[SECRET_HASH_BYTES];
	enum session_use use;
	uint64_t seal, now_us;
	struct span account, source, agent;
};
/* Who has to end (sessions_end) before one more of this account may be opened; NULL: there is room. */
struct session *sessions_surplus(const struct sessions *s, struct span account);
struct session *sessions_open(struct sessions *s, const struct session_new *n);
struct session *sessions_find(const struct sessions *s,
			      const unsigned char hash[SECRET_HASH_BYTES]);
void sessions_end(struct sessions *s, struct session *x); /* frees it */
/* All of an account: begin with NULL. NULL: no more. To end one, ask for the next before. */
struct session *sessions_of(const struct sessions *s, struct span account,
			    const struct session *after);
struct span session_account(const struct session *x);
void session_id(const struct session *x, char out[SESSION_ID_BYTES + 1]);

uint64_t session_until(const struct session *x, const struct session_limits *l);
bool session_is_over(const struct session *x, const struct session_limits *l, uint64_t now_us);
/* True: the file should learn of it (session_put_used). */
bool session_used(struct sessions *s, struct session *x, const struct session_limits *l,
		  uint64_t now_us, struct span source);

void session_hash(struct span secret, unsigned char out[SECRET_HASH_BYTES]);
void session_secret(const unsigned char random[SESSION_RANDOM_BYTES],
		    char out[SESSION_TEXT_BYTES + 1]);

/* ---- the file ---- */
void session_put_open(struct buf *out, const struct session *x);
void session_put_used(struct buf *out, struct session *x); /* it is noted then */
void session_put_end(struct buf *out, const struct session *x);
void sessions_write(struct sessions *s,
		    struct buf *out); /* all that are there; they are noted then */
void sessions_read(struct sessions *s, struct span bytes);
