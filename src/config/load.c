#include "config/config.h"

#include <stdarg.h>

#include "base/must.h"
#include "config/files.h"
#include "config/fill.h"
#include "config/schema.h"
#include "config/strict.h"
#include "config/tree.h"
#include "ipc/msg.h"

/* libcyaml's own words: only what the strict pass overlooked gets here. */
VPRINTF_LIKE(3)
static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	struct config_context *c = ctx;
	char text[200];
	int n;

	if (level < CYAML_LOG_ERROR)
		return;
	n = vsnprintf(text, sizeof text, format, args);
	if (n > 0 && (size_t)n < sizeof text && text[n - 1] == '\n')
		text[n - 1] = '\0';
	config_bad(c, 0, 0, NULL, "%s", text);
}

static const struct raw_config *read_raw(struct config_context *c, struct span text,
					 cyaml_config_t *yaml)
{
	cyaml_data_t *raw = NULL;
	cyaml_err_t err;

	*yaml = (cyaml_config_t){
		.log_fn = on_cyaml_log,
		.log_ctx = c,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		/* Unknown keys were reported by the strict pass; go on, to find more. */
		.flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_IGNORE_UNKNOWN_KEYS,
	};
	err = cyaml_load_data(text.p, text.n, yaml, &schema_root, &raw, NULL);
	if (err == CYAML_OK)
		return raw;
	if (!c->problems->errors)
		config_bad(c, 0, 0, NULL, "not readable: %s", cyaml_strerror(err));
	return NULL;
}

static void parse(struct config_context *c, struct span text, struct msg_config *out,
		  struct fill_result *out_rest)
{
	struct tree *root;
	cyaml_config_t yaml;
	const struct raw_config *raw;

	if (text.n > CONFIG_LIMIT_BYTES) {
		config_bad(c, 0, 0, "put long lists of recipients into a file of their own",
			   "the configuration is larger than %d KiB", CONFIG_LIMIT_BYTES / 1024);
		return;
	}
	root = tree_read(c, text);
	if (!root) {
		if (!c->problems->errors)
			config_bad(c, 0, 0, "see holdfast.yaml(5) for a first one",
				   "the configuration is empty");
		return;
	}
	strict_check(c, root);
	if (c->is_hard)
		return;
	raw = read_raw(c, text, &yaml);
	if (!raw)
		return;
	fill_config(c, raw, root, out, out_rest);
	must(cyaml_free(&yaml, &schema_root, (cyaml_data_t *)(uintptr_t)raw, 0) == CYAML_OK);
}

static struct config_context begin(const char *name, struct arena *arena,
				   struct config_problems *problems)
{
	*problems = (struct config_problems){0};
	return (struct config_context){
		.arena = arena, .file = arena_str(arena, span_str(name)), .problems = problems};
}

enum rc config_parse(struct span text, const char *name, struct arena *arena,
		     struct msg_config *out, struct config_problems *out_problems)
{
	struct config_context c = begin(name, arena, out_problems);
	struct msg_config config;
	struct fill_result rest;

	parse(&c, text, &config, &rest);
	if (out_problems->errors)
		return REFUSED;
	*out = config;
	return OK;
}

enum rc config_load(const char *path, struct arena *arena, struct msg_config *out,
		    struct config_problems *out_problems)
{
	struct config_context c = begin(path, arena, out_problems);
	struct msg_config config = {0};
	struct fill_result rest = {0};
	struct span text;

	if (!files_read(&c, path, CONFIG_LIMIT_BYTES, 0, 0, &text))
		return REFUSED;
	parse(&c, text, &config, &rest);
	files_read_named(&c, &rest, &config);
	files_check(&c, &rest, &config);
	if (out_problems->errors)
		return REFUSED;
	*out = config;
	return OK;
}

/* The value of `data` in a text that may be wrong elsewhere. */
static struct span find_data(struct arena *arena, const char *name, struct span text)
{
	struct config_problems unwanted = {0};
	struct config_context c = begin(name, arena, &unwanted);
	const struct tree *data =
		text.n <= CONFIG_LIMIT_BYTES ? tree_get(tree_read(&c, text), "data") : NULL;

	return data && data->kind == TREE_SCALAR && data->text.n > 1 && data->text.p[0] == '/'
		       ? data->text
		       : SPAN_NONE;
}

enum rc config_peek(const char *path, struct arena *arena, struct msg_config *out,
		    struct span *out_data, struct config_problems *out_problems)
{
	struct config_context c = begin(path, arena, out_problems);
	struct msg_config config = {0};
	struct fill_result rest = {0};
	struct span text;

	*out_data = SPAN_NONE;
	if (!files_read(&c, path, CONFIG_LIMIT_BYTES, 0, 0, &text))
		return REFUSED;
	parse(&c, text, &config, &rest);
	*out_data = find_data(arena, path, text);
	if (out_problems->errors)
		return REFUSED;
	*out_data = config.data;
	*out = config;
	return OK;
}
