#include "region.h"

#include "sys.h"

enum {
	PAGE_BYTES = 4096,
	FIRST_STEP = 8 << 10,
	LAST_STEP = 1 << 20,
	/* needs that are denied without asking the file system again */
	DENIALS_PER_TRY = 1024,
};

void region_init(struct region *region, void *base, uint64_t max_bytes, bool populated)
{
	*region = (struct region){
		.base = base,
		.max_bytes = max_bytes,
		.ready = populated ? max_bytes : 0,
		.step = FIRST_STEP,
	};
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

static bool populate(struct region *region, uint64_t end)
{
	const uint64_t at = (uint64_t)(uintptr_t)region->base + region->ready;
	if (sys_madvise(at, end - region->ready, SYS_MADV_POPULATE_WRITE) != 0)
		return false;
	__atomic_store_n(&region->ready, end, __ATOMIC_RELEASE);
	return true;
}

bool region_grow(struct region *region, uint64_t bytes)
{
	if (bytes <= region->ready)
		return true;
	if (bytes > region->max_bytes)
		return false;
	if (region->n_denied && region->n_denied++ % DENIALS_PER_TRY)
		return false;
	const uint64_t least = page_up(bytes);
	uint64_t end = page_up(region->ready + region->step);
	if (end > region->max_bytes)
		end = region->max_bytes;
	if (end < least)
		end = least;
	if (populate(region, end)) {
		if (region->step < LAST_STEP && region->step < region->ready / 8)
			region->step *= 2;
	} else if (end == least || !populate(region, least)) {
		region->n_denied |= 1;
		return false;
	}
	region->n_denied = 0;
	return true;
}
