/*
 * What auth keeps about one account, and the bytes of its file. Pure; files are the role's affair.
 *
 *   holdfast-account 1 LF, then lines "key value" LF in this order, each at most once where it is not a list; the last
 *   is "sum" with the CRC-32C of all before it in hexadecimal. A file is valid when the sum is right, every line is
 *   known, and there is a name. Blanks and control bytes in texts are %XX.
 *
 *   A9  Codes (app passwords, recovery, invitation) are kept as HMAC-SHA-256 under the account's own random salt: with
 *       80 random bits a slow hash adds nothing. No password, code or hash stands anywhere else.
 *   A10 `pending` is what the ledger has not heard yet (src/role/auth/README.md says when it is written and cleared).
 */
#pragma once

#include "auth/password.h"
#include "auth/scram.h"
#include "auth/totp.h"

enum {
	ACCOUNT_APPS = 16,
	ACCOUNT_RECOVERY = 10,
	ACCOUNT_TEXT_BYTES = 200,
	ACCOUNT_ACTOR_BYTES = 440, /* "administrator NAME (SOURCE)" */
	ACCOUNT_FILE_LIMIT_BYTES = 64 << 10,
};

enum account_state { ACCOUNT_ACTIVE, ACCOUNT_DISABLED, ACCOUNT_DELETED };
const char *account_state_name(enum account_state s);

struct account_app {
	char name[64];
	unsigned char hash[SECRET_HASH_BYTES];
	uint64_t made_us;
};

struct account_pending { /* the ACT to write */
	char id[33], verb[32], argument[ACCOUNT_TEXT_BYTES], actor[ACCOUNT_ACTOR_BYTES];
	bool has_directory; /* and the DIRECTORY record */
};

struct account {
	char name[LOGIN_NAME_LIMIT_BYTES + 1]; /* the primary address, as account_name makes it */
	char display[ACCOUNT_TEXT_BYTES];
	enum account_state state;
	bool passthrough; /* the primary may vouch */
	bool is_admin;	  /* may log in at the console; has a second factor then (people_user.c) */
	uint64_t seal;	  /* random; sessions opened under another one are over (session.h, A16) */
	uint64_t made_us;
	char verifier[PASSWORD_VERIFIER_BYTES]; /* "": none */
	bool is_kept;				/* the verifier is of the primary's password */
	uint64_t confirmed_us;			/* kept: when the primary last took it */
	struct scram_keys scram;
	unsigned char salt[16]; /* of codes */
	struct account_app apps[ACCOUNT_APPS];
	size_t apps_n;
	unsigned char recovery[ACCOUNT_RECOVERY][SECRET_HASH_BYTES];
	size_t recovery_n;
	bool has_totp, totp_confirmed;
	unsigned char totp[TOTP_SECRET_BYTES];
	uint64_t totp_step; /* the last one used (A8) */
	bool has_invitation;
	unsigned char invitation[SECRET_HASH_BYTES];
	uint64_t invitation_until_us;
	bool is_pending;
	struct account_pending pending;
};

/* Lower case ASCII, NFC, blanks at the ends away, at most LOGIN_NAME_LIMIT_BYTES. False: no name at all
 * (control bytes, too long); out is "" then. */
bool account_name(struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1]);

void account_write(const struct account *a, struct buf *out);
/* REFUSED with why. *out is written on success alone. */
enum rc account_read(struct span bytes, struct account *out, struct fault *why) MUST_USE;

void account_hash_code(const struct account *a, struct span code,
		       unsigned char out[SECRET_HASH_BYTES]);
/* NULL: none of them. The time depends on how many there are alone. */
const struct account_app *account_app_find(const struct account *a, struct span typed);
bool account_invitation_matches(const struct account *a, struct span typed, uint64_t now_us);
/* Takes a recovery code away if it is there (H-19: once). */
bool account_recovery_use(struct account *a, struct span typed);
/* Has something to log in with, were the primary away: a verifier (a kept one not older than age), an app password. */
bool account_is_enrolled(const struct account *a, uint64_t now_us, uint64_t age_us);
bool account_kept_is_good(const struct account *a, uint64_t now_us, uint64_t age_us);
