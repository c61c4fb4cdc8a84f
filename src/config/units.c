#include "config/units.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/ascii.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit times[] = {{"ms", 1},	     {"s", 1000},    {"m", 60000},
				    {"min", 60000},  {"h", 3600000}, {"d", 86400000},
				    {"w", 604800000}};
static const struct unit sizes[] = {
	{"B", 1},
	{"KiB", 1024},
	{"MiB", 1024 * 1024},
	{"GiB", 1024 * 1024 * 1024},
	{"TiB", 1ull << 40},
	{"KB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
};

static bool read_with_unit(struct span text, const struct unit *units, size_t units_n,
			   uint64_t *out, struct units_fault *fault, const char *sample,
			   const char *all)
{
	size_t digits = 0;
	uint64_t number;
	struct span unit;

	while (digits < text.n && ascii_is_digit(text.p[digits]))
		digits++;
	unit = span_from(text, digits);
	fault->hint[0] = '\0';
	if (!span_to_u64(span_first(text, digits), UINT64_MAX, &number)) {
		fault->why = digits ? "is too large" : "does not begin with a number";
		(void)snprintf(fault->hint, sizeof fault->hint, "write it like %s", sample);
		return false;
	}
	if (span_is_empty(unit)) {
		fault->why = "needs a unit";
		(void)snprintf(fault->hint, sizeof fault->hint, "write %.*s%s, or another of %s",
			       digits > 20 ? 20 : (int)digits, (const char *)text.p,
			       units == times ? "s" : "MiB", all);
		return false;
	}
	for (size_t i = 0; i < units_n; i++) {
		if (!span_eq(unit, span_str(units[i].name)))
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, out)) {
			fault->why = "is too large";
			return false;
		}
		return true;
	}
	fault->why = unit.p[0] == '.' ? "must be a whole number" : "has an unknown unit";
	(void)snprintf(fault->hint, sizeof fault->hint, "units are %s, without a blank before them",
		       all);
	return false;
}

bool units_duration_ms(struct span text, uint64_t *out_ms, struct units_fault *out_fault)
{
	uint64_t value;

	if (!read_with_unit(text, times, sizeof times / sizeof *times, &value, out_fault, "30s",
			    "ms, s, m, h, d, w"))
		return false;
	*out_ms = value;
	return true;
}

bool units_size_bytes(struct span text, uint64_t *out_bytes, struct units_fault *out_fault)
{
	uint64_t value;

	if (!read_with_unit(text, sizes, sizeof sizes / sizeof *sizes, &value, out_fault, "25MiB",
			    "B, KiB, MiB, GiB, TiB"))
		return false;
	*out_bytes = value;
	return true;
}

static bool is_of_family(struct span text, int family)
{
	char name[INET6_ADDRSTRLEN + 1];
	unsigned char address[16];

	if (text.n == 0 || text.n >= sizeof name)
		return false;
	memcpy(name, text.p, text.n);
	name[text.n] = '\0';
	return inet_pton(family, name, address) == 1;
}

bool units_is_ip(struct span text)
{
	return is_of_family(text, AF_INET) || is_of_family(text, AF_INET6);
}

/* Splits "host:port" or "[v6]:port". */
static bool split_port(struct span text, struct span *out_host, struct span *out_port)
{
	ssize_t colon = span_rchr(text, ':');

	if (colon <= 0)
		return false;
	*out_host = span_first(text, (size_t)colon);
	*out_port = span_from(text, (size_t)colon + 1);
	return true;
}

static bool is_port(struct span text)
{
	uint64_t port;

	return span_to_u64(text, 65535, &port) && port > 0;
}

static bool strip_brackets(struct span *host)
{
	if (host->n < 3 || host->p[0] != '[' || host->p[host->n - 1] != ']')
		return false;
	*host = span_of(host->p + 1, host->n - 2);
	return true;
}

bool units_is_listen_address(struct span text, struct units_fault *fault)
{
	struct span host, port, inside;
	uint64_t number;

	fault->hint[0] = '\0';
	if (span_to_u64(text, 65535, &number)) {
		fault->why = "is a port without an address";
		(void)snprintf(fault->hint, sizeof fault->hint,
			       "write \"0.0.0.0:%llu\" and \"[::]:%llu\"",
			       (unsigned long long)number, (unsigned long long)number);
		return false;
	}
	if (units_is_ip(text) || !split_port(text, &host, &port)) {
		fault->why = "has no port";
		(void)snprintf(fault->hint, sizeof fault->hint,
			       "write \"192.0.2.1:25\" or \"[2001:db8::1]:25\"");
		return false;
	}
	if (!is_port(port)) {
		fault->why = "has a bad port";
		(void)snprintf(fault->hint, sizeof fault->hint, "ports are 1 to 65535");
		return false;
	}
	inside = host;
	if (strip_brackets(&inside) ? is_of_family(inside, AF_INET6) : is_of_family(host, AF_INET))
		return true;
	fault->why = "is not an address of this machine that can be listened on";
	(void)snprintf(fault->hint, sizeof fault->hint,
		       is_of_family(host, AF_INET6)
			       ? "put the IPv6 address in brackets: \"[::]:25\""
			       : "write an IP address, \"0.0.0.0:25\" for all of IPv4");
	return false;
}

bool units_is_host_port(struct span text)
{
	struct span host, port;

	if (!split_port(text, &host, &port) || !is_port(port))
		return false;
	if (strip_brackets(&host))
		return is_of_family(host, AF_INET6);
	return units_is_host_name(host);
}

bool units_is_network(struct span text)
{
	ssize_t slash = span_chr(text, '/');
	struct span address = slash < 0 ? text : span_first(text, (size_t)slash);
	bool is_v4 = is_of_family(address, AF_INET);
	uint64_t bits;

	if (!is_v4 && !is_of_family(address, AF_INET6))
		return false;
	return slash < 0 ||
	       span_to_u64(span_from(text, (size_t)slash + 1), is_v4 ? 32 : 128, &bits);
}

bool units_is_loopback(struct span host)
{
	struct span inside = host;

	(void)strip_brackets(&inside);
	if (span_eq_nocase(inside, SPAN_LIT("localhost")))
		return true;
	if (is_of_family(inside, AF_INET))
		return span_starts(inside, SPAN_LIT("127."));
	return span_eq(inside, SPAN_LIT("::1"));
}

bool units_is_host_name(struct span text)
{
	struct span rest = text;

	if (text.n == 0 || text.n > 253 || text.p[text.n - 1] == '.')
		return false;
	while (rest.n) {
		struct span label = span_cut(&rest, '.');

		if (label.n == 0 || label.n > 63 || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++) {
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
		}
	}
	return true;
}
