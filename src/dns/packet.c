/*
 * Wire form of DNS replies (RFC 1035). libunbound has validated and rebuilt what it hands us, but it holds a
 * stranger's data: every length is checked, compression may only point backwards, nothing recurses.
 */
#include "dns/internal.h"

#define HEADER_BYTES 12

struct reader {
	struct span all;
	size_t at;
};

static bool arena_copy(struct arena *a, struct span s, struct span *out)
{
	*out = arena_span(a, s);
	return out->p != NULL;
}

static bool take_u16(struct reader *r, uint16_t *out)
{
	if (r->all.n - r->at < 2)
		return false;
	*out = (uint16_t)(r->all.p[r->at] << 8 | r->all.p[r->at + 1]);
	r->at += 2;
	return true;
}

static bool take_u32(struct reader *r, uint32_t *out)
{
	uint16_t high, low;

	if (!take_u16(r, &high) || !take_u16(r, &low))
		return false;
	*out = (uint32_t)high << 16 | low;
	return true;
}

/* One byte of a label; what is not plain text is written as RFC 1035 s5.1 has it. */
static size_t put_char(char *out, unsigned char c)
{
	if (c > 0x20 && c < 0x7f && c != '.' && c != '\\') {
		out[0] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = (char)('0' + c / 100);
	out[2] = (char)('0' + c / 10 % 10);
	out[3] = (char)('0' + c % 10);
	return 4;
}

static bool put_label(struct span label, char text[DNS_NAME_TEXT_LIMIT], size_t *n)
{
	if (*n + 4 * label.n + 2 > DNS_NAME_TEXT_LIMIT)
		return false;
	if (*n)
		text[(*n)++] = '.';
	for (size_t i = 0; i < label.n; i++)
		*n += put_char(text + *n, label.p[i]);
	return true;
}

/* Reads a name; text NULL: only steps over it. The root is "". */
static bool take_name(struct reader *r, char text[DNS_NAME_TEXT_LIMIT], size_t *out_n)
{
	size_t at = r->at, lowest = r->at, n = 0;
	bool has_jumped = false;

	for (;;) {
		unsigned char c;

		if (at >= r->all.n)
			return false;
		c = r->all.p[at];
		if ((c & 0xc0) == 0xc0) {
			if (r->all.n - at < 2)
				return false;
			if (!has_jumped)
				r->at = at + 2;
			has_jumped = true;
			at = (size_t)(c & 0x3f) << 8 | r->all.p[at + 1];
			if (at >= lowest) /* backwards only, so it ends */
				return false;
			lowest = at;
			continue;
		}
		if (c & 0xc0 || r->all.n - at < (size_t)c + 1)
			return false;
		if (!c)
			break;
		if (text && !put_label(span_of(r->all.p + at + 1, c), text, &n))
			return false;
		at += (size_t)c + 1;
	}
	if (!has_jumped)
		r->at = at + 1;
	if (out_n)
		*out_n = n;
	return true;
}

static bool take_name_data(struct arena *a, struct reader *r, struct span *out)
{
	char text[DNS_NAME_TEXT_LIMIT];
	size_t n;

	if (!take_name(r, text, &n))
		return false;
	return arena_copy(a, span_of(text, n), out);
}

/* RFC 7208 s3.3: the strings of one record are joined without anything between them. */
static bool join_strings(struct arena *a, struct span data, struct span *out)
{
	unsigned char *p = arena_alloc(a, data.n ? data.n : 1);
	size_t n = 0;

	if (!p)
		return false;
	while (data.n) {
		size_t length = data.p[0];

		if (length + 1 > data.n)
			return false;
		memcpy(p + n, data.p + 1, length);
		n += length;
		data = span_from(data, length + 1);
	}
	*out = span_of(p, n);
	return true;
}

/* The data of one record, which are n bytes from r->at on. */
static bool take_data(struct arena *a, struct reader *r, enum dns_type type, size_t n,
		      struct dns_record *out)
{
	struct span raw = span_of(r->all.p + r->at, n);
	struct reader names = {span_first(r->all, r->at + n), r->at};

	r->at += n;
	switch (type) {
	case DNS_A:
		return n == 4 && arena_copy(a, raw, &out->data);
	case DNS_AAAA:
		return n == 16 && arena_copy(a, raw, &out->data);
	case DNS_TXT:
		return join_strings(a, raw, &out->data);
	case DNS_MX:
		return take_u16(&names, &out->preference) && take_name_data(a, &names, &out->data);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return take_name_data(a, &names, &out->data);
	case DNS_TLSA:
		return arena_copy(a, raw, &out->data);
	}
	return false;
}

struct record_head {
	uint16_t type, class, data_n;
	uint32_t ttl_s;
};

static bool take_record_head(struct reader *r, struct record_head *out)
{
	return take_name(r, NULL, NULL) && take_u16(r, &out->type) && take_u16(r, &out->class) &&
	       take_u32(r, &out->ttl_s) && take_u16(r, &out->data_n) &&
	       r->all.n - r->at >= out->data_n;
}

static bool skip_questions(struct reader *r, unsigned count)
{
	uint16_t ignored;

	while (count--) {
		if (!take_name(r, NULL, NULL) || !take_u16(r, &ignored) || !take_u16(r, &ignored))
			return false;
	}
	return true;
}

bool dns_packet_read(struct arena *a, struct span packet, enum dns_type type,
		     struct dns_answer *out)
{
	struct reader r = {packet, 4};
	struct dns_record *records = arena_array(a, DNS_RECORDS_LIMIT, sizeof *records);
	uint16_t questions, answers;
	uint32_t ttl_s = UINT32_MAX;
	size_t n = 0;

	if (!records || packet.n < HEADER_BYTES)
		return false;
	if (!take_u16(&r, &questions) || !take_u16(&r, &answers) || !take_u32(&r, &(uint32_t){0}))
		return false;
	if (!skip_questions(&r, questions))
		return false;
	for (unsigned i = 0; i < answers && n < DNS_RECORDS_LIMIT; i++) {
		struct record_head head;

		if (!take_record_head(&r, &head))
			return false;
		if (head.ttl_s < ttl_s)
			ttl_s = head.ttl_s;
		if (head.type != type || head.class != 1)
			r.at += head.data_n;
		else if (!take_data(a, &r, type, head.data_n, &records[n++]))
			return false;
	}
	out->n = n;
	out->records = records;
	out->ttl_s = ttl_s == UINT32_MAX ? 0 : ttl_s;
	return true;
}
