/*
 * DKIM for the referee's script: `make ALGORITHM` prints a key and its record; `sign DOMAIN SELECTOR KEYFILE < message`
 * prints the signed message; `verify < RECORD-LINE message` prints a result a signature.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"
#include "identity/dkim.h"
#include "mail/header.h"

static void read_all(FILE *f, struct buf *out)
{
	char bytes[4096];
	size_t n;

	while ((n = fread(bytes, 1, sizeof bytes, f)) > 0)
		buf_append(out, span_of(bytes, n));
}

static struct span header_of(struct span message)
{
	struct header_walk w;

	header_walk_init(&w, SPAN_NONE);
	(void)header_walk_feed(&w, message);
	header_walk_end(&w);
	return span_first(message, (size_t)w.header_bytes);
}

static int make(const char *algorithm)
{
	struct dkim_key *key = NULL;
	enum dkim_algorithm a;
	struct buf out = {0};
	struct fault why = {0};

	must(dkim_algorithm_of(span_str(algorithm), &a));
	must(dkim_key_make(a, &key, &why) == OK && dkim_key_record(key, &out, &why) == OK);
	(void)buf_append_byte(&out, '\n');
	must(dkim_key_write(key, &out, &why) == OK);
	(void)fwrite(out.p, 1, out.n, stdout);
	dkim_key_free(key);
	buf_fini(&out);
	return 0;
}

static int sign(char **argv)
{
	unsigned char body_hash[DKIM_HASH_BYTES], hash[DKIM_HASH_BYTES];
	struct buf pem = {0}, message = {0}, field = {0}, signature = {0};
	struct dkim_key *key = NULL;
	struct dkim_body body;
	struct fault why = {0};
	struct span header;
	FILE *f = fopen(argv[4], "r");

	must(f);
	read_all(f, &pem);
	(void)fclose(f);
	read_all(stdin, &message);
	header = header_of(buf_span(&message));
	dkim_body_init(&body, DKIM_RELAXED);
	dkim_body_feed(&body, span_from(buf_span(&message), header.n));
	dkim_body_end(&body, body_hash);
	must(dkim_key_read(buf_span(&pem), &key, &why) == OK);
	if (dkim_sign_begin(&(struct dkim_sign){.domain = span_str(argv[2]),
						.selector = span_str(argv[3]),
						.algorithm = dkim_key_algorithm(key),
						.at_s = (uint64_t)time(NULL),
						.header = header,
						.body_hash = body_hash},
			    &field, hash, &why) != OK) {
		(void)fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	must(dkim_key_sign(key, hash, &signature, &why) == OK);
	dkim_sign_end(&field, buf_span(&signature));
	(void)fwrite(field.p, 1, field.n, stdout);
	(void)fwrite(message.p, 1, message.n, stdout);
	dkim_key_free(key);
	buf_fini(&pem);
	buf_fini(&message);
	buf_fini(&field);
	buf_fini(&signature);
	return 0;
}

static int verify(void)
{
	struct buf all = {0};
	struct span message, record, header;
	struct dkim_verify *v;

	read_all(stdin, &all);
	message = buf_span(&all);
	record = span_cut(&message, '\n');
	header = header_of(message);
	v = dkim_verify_new(header, (uint64_t)time(NULL));
	for (size_t i = 0; i < dkim_verify_count(v); i++)
		dkim_verify_key(v, i, OK, record);
	for (message = span_from(message, header.n); message.n; message = span_from(message, 7))
		dkim_verify_body(v, span_first(message, 7));
	dkim_verify_end(v);
	for (size_t i = 0; i < dkim_verify_count(v); i++)
		(void)printf("%s %s\n", dkim_result_name(dkim_verify_result(v, i)),
			     dkim_verify_why(v, i));
	dkim_verify_free(v);
	buf_fini(&all);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	if (argc == 5 && strcmp(argv[1], "sign") == 0)
		return sign(argv);
	if (argc == 2 && strcmp(argv[1], "verify") == 0)
		return verify();
	return 2;
}
