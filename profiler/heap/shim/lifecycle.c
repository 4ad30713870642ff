/*
 * lifecycle.c - when recording begins and ends: the constructor, forked children, exit.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "code.h"
#include "heap_map.h"
#include "real.h"
#include "record.h"
#include "settings.h"
#include "shim.h"
#include "threads.h"

__thread struct shim_tls shim_tls __attribute__((tls_model("initial-exec")));

static struct shim_mine nothing_is_mine;
struct shim_mine *shim_mine = &nothing_is_mine;
struct shim shim;

static struct settings settings;
static char exe[HEAP_PATH_BYTES];
static char command[HEAP_COMMAND_BYTES];

/* Present in programs whose runtime keeps a heap of its own. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __hwasan_init(void) __attribute__((weak));

extern const char __start_cprof_new[] __attribute__((visibility("hidden")));
extern const char __stop_cprof_new[] __attribute__((visibility("hidden")));

static bool is_sanitized(void)
{
	return &__asan_init || &__tsan_init || &__msan_init || &__hwasan_init;
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec now = {0};
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Field 22 of /proc/self/stat, counted from behind the name, which can hold anything. */
static uint64_t start_ticks(void)
{
	char text[1024];
	const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	const ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	uint64_t ticks = 0;
	for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
		ticks = ticks * 10 + (uint64_t)(*at - '0');
	return ticks;
}

static void read_exe(void)
{
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
}

static void read_command(void)
{
	const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	const ssize_t n = read(fd, command, sizeof(command) - 1);
	command[n > 0 ? n : 0] = '\0';
	close(fd);
}

static void fill_header(struct heap_header *header)
{
	struct code_object object;
	const uint64_t address = (uint64_t)(uintptr_t)real.malloc;
	header->pid = (uint32_t)getpid();
	header->start_realtime_ns = now_ns(CLOCK_REALTIME);
	header->start_monotonic_ns = clock_coarse_ns();
	header->start_boot_ticks = start_ticks();
	memcpy(header->exe, exe, sizeof(exe));
	memcpy(header->command, command, sizeof(command));
	if (code_find(address, &object)) {
		const char *name = object.name[0] ? object.name : exe;
		const size_t n = strnlen(name, sizeof(header->allocator) - 1);
		memcpy(header->allocator, name, n);
	}
}

/* One reservation for everything that is not in the file. Huge pages would make all of it resident.
 */
static struct shim_private *reserve(const struct heap_header *header)
{
	const uint64_t bytes = sizeof(struct shim_private) +
			       block_table_private_bytes(header->max_blocks) +
			       node_table_heads_bytes(header->max_nodes);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	madvise(memory, bytes, MADV_DONTDUMP);
	return memory;
}

/*
 * What is looked at in no order, once it is large: with small pages, finding the page takes longer
 * than what is done there. Not the first megabyte, which is all that most programs touch.
 */
static void use_huge_pages(void *memory, uint64_t bytes)
{
	enum { SMALL = 1 << 20, HUGE = 2 << 20 };
	const uint64_t from = (uint64_t)(uintptr_t)memory;
	const uint64_t start = (from + SMALL + HUGE - 1) & ~(uint64_t)(HUGE - 1);
	const uint64_t end = (from + bytes) & ~(uint64_t)(HUGE - 1);
	if (start < end)
		madvise((void *)(uintptr_t)start, end - start, MADV_HUGEPAGE); // NOLINT
}

static bool init_tables(const struct heap_map *map)
{
	struct heap_header *header = map->header;
	uint8_t *of_blocks = (uint8_t *)(shim.private + 1);
	uint8_t *node_heads = of_blocks + block_table_private_bytes(header->max_blocks);
	block_table_init(&shim.blocks, header, heap_map_at(map, &header->blocks), of_blocks,
			 map->populated);
	const struct block_table *blocks = &shim.blocks;
	use_huge_pages(blocks->lines, blocks->max_buckets * sizeof(struct block_line));
	use_huge_pages(blocks->lines + blocks->max_buckets,
		       blocks->max_more * sizeof(struct block_line));
	shim.walk = (struct walk_context){
		.rules = &shim.private->rules,
		.nodes = &shim.nodes,
		.skip_start = (uint64_t)(uintptr_t)__start_cprof_new,
		.skip_end = (uint64_t)(uintptr_t)__stop_cprof_new,
	};
	return module_table_init(&shim.modules, header, heap_map_at(map, &header->modules),
				 map->populated) &&
	       node_table_init(&shim.nodes, header, &shim.modules, heap_map_at(map, &header->nodes),
			       heap_map_at(map, &header->sites), node_heads, map->populated) &&
	       counters_init(&shim.counters, header, heap_map_at(map, &header->replicas),
			     heap_map_at(map, &header->counters), map->populated);
}

/* A page that is zero again in every child. Linux 4.14; without it nothing is recorded. */
static struct shim_mine *make_mine(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, 4096, MADV_WIPEONFORK) == 0)
		return page;
	munmap(page, 4096);
	return NULL;
}

/* Make the file and begin. @sp: on this thread's stack. */
static bool begin(uint64_t sp)
{
	struct heap_map map = {0};
	if (!heap_map_create(&map, &settings, exe))
		return false;
	shim.private = reserve(map.header);
	if (!shim.private || !init_tables(&map)) {
		heap_map_destroy(&map);
		return false;
	}
	fill_header(map.header);
	shim.header = map.header;
	shim.sample_bytes = settings.sample_bytes;
	shim.seed = settings.seed;
	shim.follow_forks = settings.follow_forks;
	shim.start_ns = map.header->start_monotonic_ns;
	shim.n_threads = 0;
	shim.generation++;
	shim.was_active = true;
	shim_tls.random = 0;
	shim_tls.countdown = 0;
	map.header->losses[HEAP_LOSS_BOOTSTRAP] = real_arena_blocks();
	threads_begin_main(sp);
	memcpy(map.header->magic, HEAP_FILE_MAGIC, sizeof(map.header->magic));
	__atomic_store_n(&map.header->state, HEAP_STATE_ACTIVE, __ATOMIC_RELEASE);
	__atomic_store_n(&shim_mine->active, 1, __ATOMIC_RELEASE);
	return true;
}

bool shim_begin_in_child(void)
{
	if (shim_mine->tried)
		return false;
	shim_mine->tried = 1;
	shim_tls.busy = 1;
	const int saved_errno = errno;
	const bool begun = begin((uint64_t)(uintptr_t)__builtin_frame_address(0));
	errno = saved_errno;
	shim_tls.busy = 0;
	return begun;
}

bool shim_begin(void)
{
	/* libc's own constructor sets it; what is allocated before is not recorded */
	if (!environ || __atomic_exchange_n(&shim.started, true, __ATOMIC_ACQ_REL))
		return false;
	if (getauxval(AT_SECURE) || is_sanitized())
		return false;
	const int saved_errno = errno;
	const uint8_t saved_busy = shim_tls.busy;
	shim_tls.busy = 1;
	read_exe();
	read_command();
	settings_read(&settings, exe);
	struct shim_mine *mine = settings.wanted ? make_mine() : NULL;
	if (mine) {
		shim_mine = mine;
		code_refresh();
		threads_init();
		begin((uint64_t)(uintptr_t)__builtin_frame_address(0));
	}
	shim_tls.busy = saved_busy;
	errno = saved_errno;
	return shim_mine->active;
}

/* Where nothing was allocated by the constructors of other libraries, some of which run earlier. */
__attribute__((constructor)) static void start(void)
{
	if (real.malloc || real_resolve())
		shim_begin();
}

/*
 * The target ran its exit handlers, or those that came before this one: what is freed later still
 * counts, but nobody should wait for it.
 */
__attribute__((destructor)) static void stop(void)
{
	if (!shim_mine->active)
		return;
	shim.header->end_monotonic_ns = clock_coarse_ns();
	__atomic_store_n(&shim.header->state, HEAP_STATE_EXITED, __ATOMIC_RELEASE);
}
