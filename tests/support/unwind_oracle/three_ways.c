#include "three_ways.h"

#include "capture/procfs.h"

#include <stdlib.h>
#include <string.h>

int three_ways_open(pid_t pid, struct three_ways *out, struct cp_err *err)
{
	*out = (struct three_ways){.pid = pid};
	int code = image_store_create(&out->store);
	if (code == 0)
		code = address_space_create(out->store, pid, &out->space);
	if (code == 0)
		code = address_space_read_proc(out->space, err);
	if (code == 0)
		code = unwinder_create(out->space, &out->rows);
	if (code == 0)
		code = unwinder_create(out->space, &out->libunwind);
	if (code == 0)
		code = libdw_walker_create(pid, &out->libdw, err);
	if (code < 0) {
		three_ways_close(out);
		return *err->message ? code : cp_fail_nomem(err);
	}
	unwinder_set_engine(out->libunwind, UNWIND_LIBUNWIND);
	return 0;
}

void three_ways_close(struct three_ways *ways)
{
	libdw_walker_destroy(ways->libdw);
	unwinder_destroy(ways->libunwind);
	unwinder_destroy(ways->rows);
	address_space_destroy(ways->space);
	image_store_destroy(ways->store);
	*ways = (struct three_ways){0};
}

void three_ways_refresh(struct three_ways *ways)
{
	struct cp_err err;
	if (procfs_has_ended(ways->pid))
		return;
	address_space_read_proc(ways->space, &err);
	libdw_walker_refresh(ways->libdw);
}

void three_ways_walk(struct three_ways *ways, const struct capture_sample *sample,
		     struct three_answers *out)
{
	out->rows = (struct unwind_result){.pcs = out->rows_pcs, .cap = UNWIND_MAX_FRAMES};
	out->libunwind =
		(struct unwind_result){.pcs = out->libunwind_pcs, .cap = UNWIND_MAX_FRAMES};
	out->libdw = (struct libdw_result){.pcs = out->libdw_pcs, .cap = UNWIND_MAX_FRAMES};
	unwinder_walk(ways->rows, &sample->regs, &sample->stack, &out->rows);
	unwinder_walk(ways->libunwind, &sample->regs, &sample->stack, &out->libunwind);
	libdw_walker_walk(ways->libdw, &sample->regs, &sample->stack, &out->libdw);
}

size_t three_ways_common(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
	const size_t n = n_a < n_b ? n_a : n_b;
	size_t common = 0;
	while (common < n && a[common] == b[common])
		common++;
	return common;
}
