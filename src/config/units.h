/* Values with a form: durations, sizes, host names, listening addresses, networks. Pure; no allocation. */
#pragma once

#include "base/span.h"

/*
 * "500ms", "5s", "2m", "12h", "30d", "1w"; one number, one unit, no blanks. False: *out_why is a sentence part
 * ("needs a unit") and *out_hint a suggestion ("write 5s"), in hint_space if it had to be made.
 */
struct units_fault {
	const char *why;
	char hint[96];
};
bool units_duration_ms(struct span text, uint64_t *out_ms, struct units_fault *out_fault);
/* "512KiB", "25MiB", "1GiB", also KB, MB, GB (powers of 1000) and "4096B". */
bool units_size_bytes(struct span text, uint64_t *out_bytes, struct units_fault *out_fault);

/* "0.0.0.0:25", "[::]:25". Port 1 to 65535. Also normalises nothing: the text is used as it is. */
bool units_is_listen_address(struct span text, struct units_fault *out_fault);
/* "host:port" or "[::1]:port". */
bool units_is_host_port(struct span text);
/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.1". */
bool units_is_network(struct span text);
/* An IPv4 or IPv6 address without brackets. */
bool units_is_ip(struct span text);
/* 127.0.0.0/8, ::1 (in brackets or not), localhost. */
bool units_is_loopback(struct span host);
/* Letters, digits, hyphens, dots; labels of at most 63; at most 253. */
bool units_is_host_name(struct span text);
