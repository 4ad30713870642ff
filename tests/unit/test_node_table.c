#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "heap_shim/node_table.h"

enum { MAX_NODES = 1 << 16, MAX_SITES = 1 << 12, THREADS = 4, DEPTH = 20, STACKS = 2000 };

struct fixture {
	struct heap_header header;
	struct module_table modules;
	struct node_table table;
	struct heap_node *nodes;
	struct heap_site *sites;
	struct heap_module *module_list;
	void *heads;
};

static struct fixture *make(uint32_t max_nodes, uint32_t max_sites)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->header.max_nodes = max_nodes;
	f->header.max_sites = max_sites;
	f->header.max_modules = 64;
	f->nodes = calloc(max_nodes, sizeof(*f->nodes));
	f->sites = calloc(max_sites, sizeof(*f->sites));
	f->module_list = calloc(64, sizeof(*f->module_list));
	f->heads = calloc(1, node_table_heads_bytes(max_nodes));
	assert_true(f->nodes && f->sites && f->module_list && f->heads);
	assert_true(module_table_init(&f->modules, &f->header, f->module_list, true));
	assert_true(node_table_init(&f->table, &f->header, &f->modules, f->nodes, f->sites,
				    f->heads, true));
	return f;
}

static void destroy(struct fixture *f)
{
	free(f->nodes);
	free(f->sites);
	free(f->module_list);
	free(f->heads);
	free(f);
}

/* Stack number @i: a path of @DEPTH frames of which the outer ones are shared. */
static uint32_t intern_stack(struct node_table *table, uint32_t i)
{
	uint32_t node = 0;
	for (uint32_t depth = 0; depth < DEPTH && node != UINT32_MAX; depth++) {
		const struct node_key key = {
			.address = 0x1000 + depth * 0x100 + (depth >= DEPTH - 2 ? i : i % 3),
			.parent = node,
		};
		node = node_table_intern(table, &key);
		if (node == NODE_NONE)
			return NODE_NONE;
	}
	return node;
}

static void test_node_table__equal_stacks_are_one_node(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	uint32_t nodes[STACKS];
	for (uint32_t i = 0; i < STACKS; i++)
		nodes[i] = intern_stack(&f->table, i);
	const uint32_t n = f->header.n_nodes;
	/* three outer paths of 18, and two frames for each stack */
	assert_int_equal(n, 1 + 3 * (DEPTH - 2) + 2 * STACKS);
	for (uint32_t i = 0; i < STACKS; i++)
		assert_int_equal(intern_stack(&f->table, i), nodes[i]);
	assert_int_equal(f->header.n_nodes, n);
	for (uint32_t i = 1; i < n; i++)
		assert_true(f->nodes[i].parent < i);
	destroy(f);
}

static void test_node_table__flags_are_part_of_a_node(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	const struct node_key whole = {.address = 0x1000};
	const struct node_key cut = {.address = 0x1000, .flags = HEAP_STACK_TRUNCATED};
	const uint32_t a = node_table_intern(&f->table, &whole);
	const uint32_t b = node_table_intern(&f->table, &cut);
	assert_true(a != b && a && b);
	assert_int_equal(f->nodes[b].flags, HEAP_STACK_TRUNCATED);
	destroy(f);
}

static int function_of_a_module(void)
{
	return 0;
}

/* A frame of a module that was unloaded is another's when the address is in use again. */
static void test_node_table__nodes_of_dead_modules_are_not_found(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	const struct node_key key = {.address = (uint64_t)(uintptr_t)function_of_a_module};
	const uint32_t before = node_table_intern(&f->table, &key);
	const uint16_t module = f->nodes[before].module;
	assert_int_not_equal(module, 0);
	assert_true(key.address >= f->module_list[module].start &&
		    key.address < f->module_list[module].end);
	/* it was another file, at the same addresses */
	f->module_list[module].path[0] = '?';
	f->modules.dead[module] = 1;
	const uint32_t after = node_table_intern(&f->table, &key);
	assert_int_not_equal(after, before);
	assert_int_not_equal(f->nodes[after].module, module);
	assert_int_equal(node_table_intern(&f->table, &key), after);
	assert_int_equal(module_table_bury(&f->modules), 0);
	destroy(f);
}

static void test_node_table__full_gives_none_and_keeps_what_there_is(void **state)
{
	(void)state;
	struct fixture *f = make(1024, 16);
	uint32_t first = intern_stack(&f->table, 0), i = 0;
	while (intern_stack(&f->table, i))
		i++;
	assert_int_equal(f->header.n_nodes, 1024);
	assert_int_equal(intern_stack(&f->table, 0), first);
	for (uint32_t node = 1; node < 16; node++)
		assert_int_equal(node_table_site(&f->table, node), node);
	assert_int_equal(node_table_site(&f->table, 16), SITE_NONE);
	assert_int_equal(node_table_site(&f->table, 3), 3);
	assert_int_equal(f->sites[3].node, 3);
	destroy(f);
}

/* What is missing is told apart: a lock that is held is no full table. */
static void test_node_table__says_that_a_lock_was_held(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	const struct node_key known = {.address = 0x1000}, unknown = {.address = 0x2000};
	const uint32_t node = node_table_intern(&f->table, &known);
	assert_true(node_is(node));
	assert_false(node_is(NODE_NONE) || node_is(NODE_LOCKED) || node_is(NODE_NO_SPACE));
	f->table.lock.word = SPIN_HELD | SPIN_STUCK;
	assert_false(spin_single_threaded());
	assert_int_equal(node_table_intern(&f->table, &unknown), NODE_LOCKED);
	assert_int_equal(node_table_site(&f->table, node), NODE_LOCKED);
	assert_int_equal(node_table_intern(&f->table, &known), node);
	spin_release(&f->table.lock);
	assert_true(node_is(node_table_intern(&f->table, &unknown)));
	destroy(f);
}

/* Frames of a module that finds no room are kept, without it, and counted. */
static void test_node_table__counts_frames_of_modules_without_room(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	f->header.max_modules = 1;
	const uint64_t here = (uint64_t)(uintptr_t)function_of_a_module;
	for (uint64_t i = 0; i < 5; i++) {
		const struct node_key key = {.address = here + i};
		const uint32_t node = node_table_intern(&f->table, &key);
		assert_true(node_is(node));
		assert_int_equal(f->nodes[node].module, 0);
		assert_int_equal(node_table_intern(&f->table, &key), node);
	}
	assert_int_equal(f->header.losses[HEAP_LOSS_MODULES_FULL], 5);
	assert_int_equal(f->header.losses[HEAP_LOSS_SITES_FULL], 0);
	destroy(f);
}

struct worker {
	struct node_table *table;
	uint32_t start;
	uint32_t nodes[STACKS];
	uint32_t sites[STACKS];
};

static void *work(void *argument)
{
	struct worker *worker = argument;
	for (uint32_t i = 0; i < STACKS; i++) {
		const uint32_t stack = (worker->start + i) % STACKS;
		worker->nodes[stack] = intern_stack(worker->table, stack);
		worker->sites[stack] = node_table_site(worker->table, worker->nodes[stack]);
	}
	return NULL;
}

static void test_node_table__threads_agree(void **state)
{
	(void)state;
	struct fixture *f = make(MAX_NODES, MAX_SITES);
	struct worker *workers = calloc(THREADS, sizeof(*workers));
	pthread_t threads[THREADS];
	assert_non_null(workers);
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i].table = &f->table;
		workers[i].start = i * 37;
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 1; i < THREADS; i++) {
		assert_memory_equal(workers[i].nodes, workers[0].nodes, sizeof(workers[0].nodes));
		assert_memory_equal(workers[i].sites, workers[0].sites, sizeof(workers[0].sites));
	}
	assert_int_equal(f->header.n_nodes, 1 + 3 * (DEPTH - 2) + 2 * STACKS);
	assert_int_equal(f->header.n_sites, 1 + STACKS);
	free(workers);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_table__equal_stacks_are_one_node),
		cmocka_unit_test(test_node_table__flags_are_part_of_a_node),
		cmocka_unit_test(test_node_table__nodes_of_dead_modules_are_not_found),
		cmocka_unit_test(test_node_table__full_gives_none_and_keeps_what_there_is),
		cmocka_unit_test(test_node_table__threads_agree),
		/* after the one with threads: with one thread no lock is looked at */
		cmocka_unit_test(test_node_table__says_that_a_lock_was_held),
		cmocka_unit_test(test_node_table__counts_frames_of_modules_without_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
