/*
 * A YAML document as a tree with positions. libcyaml fills structs well but says little about where; this first pass
 * keeps line and column of everything, and refuses what a configuration must not hold: duplicate keys, anchors, aliases,
 * tags, several documents, more than TREE_DEPTH levels or TREE_NODES values. Nothing recurses.
 */
#pragma once

#include "config/internal.h"

enum { TREE_DEPTH = 12, TREE_NODES = 200000, TREE_KEYS = 100 };

enum tree_kind { TREE_SCALAR, TREE_LIST, TREE_MAP };

struct tree {
	enum tree_kind kind;
	bool is_plain; /* scalar without quotes */
	struct span text;
	struct span key; /* in a map */
	unsigned line, column;
	unsigned key_line, key_column;
	size_t n; /* children */
	struct tree *parent, *first, *last, *next;
};

/* NULL: problems say why. A document with duplicates is still built (the first one wins) so that more can be said. */
struct tree *tree_read(struct config_context *c, struct span text);
/* The child of a map by key, NULL if there is none (or if node is NULL or no map). */
struct tree *tree_get(struct tree *node, const char *key);
struct tree *tree_item(struct tree *list, size_t at);
