/* The strict pass: a tree against the schema, before libcyaml sees the bytes. */
#pragma once

#include "config/internal.h"

struct tree;

/* Adds problems for unknown keys, missing keys, wrong kinds and words. Sets is_hard where libcyaml could not go on. */
void strict_check(struct config_context *c, struct tree *root);
