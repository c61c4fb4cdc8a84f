/*
 * MTA-STS (RFC 8461): a domain says by its web server that its mail exchangers have TLS with certificates that verify.
 * Pure: the record, the policy, the answer of the web server, and which hosts are allowed. Used by scout.
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"

enum {
	STS_ID_BYTES = 33,
	STS_PATTERNS = 32, /* of one policy; more are no policy of ours to keep */
	STS_PATTERN_BYTES = 254,
	STS_RESPONSE_BYTES = 64 << 10, /* headers and policy (s3.3) */
};

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

struct sts_policy {
	enum sts_mode mode;
	uint64_t max_age_s; /* at most a year (s3.2) */
	size_t patterns_n;
	char patterns[STS_PATTERNS]
		     [STS_PATTERN_BYTES]; /* "mail.example.org", "*.example.org"; lower case */
};

/* The id of a TXT record at _mta-sts.<domain> (s3.1). False: it is no such record. */
bool sts_record(struct span text, char out_id[STS_ID_BYTES]);
bool sts_policy_read(struct span text, struct sts_policy *out);
bool sts_allows(const struct sts_policy *policy, struct span host);

/*
 * The web server's answer, as far as it is there; is_end: it has ended. MORE: not yet complete. OK: *out_body is the
 * policy's text. REFUSED: not 200 (redirects are not followed, s3.3), not text/plain, too long, or not HTTP.
 */
enum rc sts_response(struct span bytes, bool is_end, struct span *out_body) MUST_USE;
