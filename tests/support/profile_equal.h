/*
 * profile_equal.h - assert that two profiles say the same, whatever their ids are.
 *
 * Tables and samples are compared in order; strings by their text. Modules, locations, functions
 * and threads must be in the same order too, which they are after a write and a read.
 *
 * Depends on: base, profile, cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_PROFILE_EQUAL_H
#define CPROF_TESTS_PROFILE_EQUAL_H

#include "profile/profile.h"

static inline void equal_text(const struct profile *a, string_id a_id, const struct profile *b,
			      string_id b_id)
{
	assert_string_equal(profile_text(a, a_id), profile_text(b, b_id));
}

static inline void equal_value_types(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_value_types, b->n_value_types);
	for (size_t i = 0; i < a->n_value_types; i++) {
		equal_text(a, a->value_types[i].type, b, b->value_types[i].type);
		equal_text(a, a->value_types[i].unit, b, b->value_types[i].unit);
	}
	equal_text(a, a->period_type.type, b, b->period_type.type);
	equal_text(a, a->period_type.unit, b, b->period_type.unit);
	assert_int_equal(a->period, b->period);
	assert_int_equal(a->start_ns, b->start_ns);
	assert_int_equal(a->duration_ns, b->duration_ns);
}

static inline void equal_modules(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_modules, b->n_modules);
	for (size_t i = 0; i < a->n_modules; i++) {
		const struct profile_module *m = &a->modules[i], *n = &b->modules[i];
		equal_text(a, m->path, b, n->path);
		equal_text(a, m->build_id, b, n->build_id);
		assert_true(m->svma_start == n->svma_start);
		assert_true(m->svma_end == n->svma_end);
		assert_true(m->file_off == n->file_off);
		assert_int_equal(m->has_functions, n->has_functions);
		assert_int_equal(m->has_filenames, n->has_filenames);
		assert_int_equal(m->has_lines, n->has_lines);
		assert_int_equal(m->has_inlines, n->has_inlines);
	}
}

static inline void equal_functions(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_functions, b->n_functions);
	for (size_t i = 0; i < a->n_functions; i++) {
		const struct profile_function *f = &a->functions[i], *g = &b->functions[i];
		equal_text(a, f->name, b, g->name);
		equal_text(a, f->system_name, b, g->system_name);
		equal_text(a, f->file, b, g->file);
		assert_int_equal(f->start_line, g->start_line);
	}
}

static inline void equal_locations(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_locations, b->n_locations);
	for (size_t i = 0; i < a->n_locations; i++) {
		const struct profile_location *l = &a->locations[i], *k = &b->locations[i];
		assert_int_equal(l->module.v, k->module.v);
		assert_true(l->svma == k->svma);
		assert_int_equal(l->n_lines, k->n_lines);
		for (uint32_t j = 0; j < l->n_lines; j++) {
			const struct profile_line *x = &a->lines[l->first_line + j];
			const struct profile_line *y = &b->lines[k->first_line + j];
			assert_int_equal(x->function.v, y->function.v);
			assert_int_equal(x->line, y->line);
		}
	}
}

static inline void equal_stacks(const struct profile *a, stack_id s, const struct profile *b,
				stack_id t)
{
	while (s.v && t.v) {
		assert_int_equal(stack_store_leaf(&a->stacks, s).v,
				 stack_store_leaf(&b->stacks, t).v);
		s = stack_store_parent(&a->stacks, s);
		t = stack_store_parent(&b->stacks, t);
	}
	assert_int_equal(s.v, 0);
	assert_int_equal(t.v, 0);
}

static inline void equal_sample(const struct profile *a, size_t i, const struct profile *b,
				size_t j)
{
	const struct profile_sample_key *x = &a->samples[i], *y = &b->samples[j];
	const struct profile_thread *s = &a->threads[x->thread.v], *t = &b->threads[y->thread.v];
	equal_stacks(a, x->stack, b, y->stack);
	assert_int_equal(s->pid, t->pid);
	assert_int_equal(s->tid, t->tid);
	equal_text(a, s->comm, b, t->comm);
	equal_text(a, s->name, b, t->name);
	assert_int_equal(x->stop, y->stop);
	assert_int_equal(x->joined, y->joined);
	assert_int_equal(x->state, y->state);
	assert_int_equal(x->inferred, y->inferred);
	equal_text(a, x->waits_for, b, y->waits_for);
	assert_int_equal(x->time_ns, y->time_ns);
	for (size_t v = 0; v < a->n_value_types; v++)
		assert_int_equal(a->values[i * a->n_value_types + v],
				 b->values[j * b->n_value_types + v]);
}

static inline void equal_header(const struct profile *a, const struct profile *b)
{
	assert_int_equal(a->n_header, b->n_header);
	for (size_t i = 0; i < a->n_header; i++) {
		const char *value = profile_header_get(b, a->header[i].key);
		assert_non_null(value);
		assert_string_equal(a->header[i].value, value);
	}
}

/** Everything but the samples. */
static inline void equal_tables(const struct profile *a, const struct profile *b)
{
	equal_value_types(a, b);
	equal_modules(a, b);
	equal_functions(a, b);
	equal_locations(a, b);
	equal_header(a, b);
}

static inline void equal_profiles(const struct profile *a, const struct profile *b)
{
	equal_tables(a, b);
	assert_int_equal(a->n_samples, b->n_samples);
	for (size_t i = 0; i < a->n_samples; i++)
		equal_sample(a, i, b, i);
}

#endif
