/*
 * heap_file.h - the live heap of one process in a memory-mapped file: the one header that the shim
 * in the target and the reader share.
 *
 * Why a table and not a log: its size follows live blocks and distinct stacks, never the number of
 * events, so a run of days stays bounded; what is in it survives SIGKILL of the target, since the
 * pages belong to the file; and it can be read while the target runs.
 *
 * Layout: the header, then regions at the offsets it gives, each sparse up to its maximum. Offsets
 * and sizes are in bytes unless named otherwise, all numbers little endian. What is not written yet
 * reads as zero, and zero means "nothing" in every table.
 *
 * Invariants that hold at every instant, also between any two stores of the writer:
 * - an entry of the block table counts when its `address` is not 0; its other fields are written
 *   before the address is set and not changed until it is 0 again. The high 16 bits of `size_seq`
 *   change with each use of the entry, so a reader that finds address and size_seq the same before
 *   and after has read one block. Buckets and chains are the writer's business: a reader goes
 *   through the entries.
 * - a node's parent has a smaller index than the node; index 0 is the root, of no frame. A node is
 *   whole once heap_header.n_nodes is above its index; the same holds for sites and modules.
 * - counters only grow, each by its owner; live = allocated - freed, summed over the replicas, and
 *   differs from the block table by at most one event for each thread that was in the middle of
 * one.
 *
 * Depends on: nothing. Freestanding. Threads: as above.
 */
#ifndef CPROF_HEAP_HEAP_FILE_H
#define CPROF_HEAP_HEAP_FILE_H

#include <stdint.h>

#define HEAP_FILE_MAGIC "cprofHP\n"
#define HEAP_FILE_SUFFIX ".cprof-heap"

enum {
	HEAP_FILE_VERSION = 1, /* a reader refuses any other */
	HEAP_PATH_BYTES = 512,
	HEAP_COMMAND_BYTES = 1024,
	HEAP_BUILD_ID_BYTES = 32,
	HEAP_REPLICAS_MAX = 64, /* the last one is shared by threads that have none of their own */
	HEAP_SHARDS = 32,
	HEAP_SIZE_CLASSES = 64, /* by the number of significant bits of the requested size */
	HEAP_FRAMES_MAX = 512,  /* of a stack; longer ones keep their leaf side */
};

enum heap_state {
	HEAP_STATE_STARTING = 0, /* the file is being made */
	HEAP_STATE_ACTIVE = 1,   /* or killed while active: see whether the process lives */
	HEAP_STATE_EXITED = 2,   /* the target ran its exit handlers; later frees are not in it */
	HEAP_STATE_REPLACED = 3, /* the target called exec: for readers to infer, not written */
};

/* Bits of heap_node.flags. All but the first are of outermost frames: why there is no caller. */
enum heap_stack_flag {
	HEAP_STACK_BY_FP = 1 << 0,     /* the caller was found by frame pointer, for want of CFI */
	HEAP_STACK_TRUNCATED = 1 << 1, /* longer than HEAP_FRAMES_MAX */
	HEAP_STACK_NO_CFI = 1 << 2,    /* code without unwind information */
	HEAP_STACK_UNSUPPORTED = 1 << 3, /* a rule that rows cannot say */
	HEAP_STACK_BAD = 1 << 4,         /* the caller lies outside the stack, or in no code */
};

/*
 * Events that are not in the tables, or only in part. Each is a counter in the header. Blocks that
 * are credited to site 0 are there, without their stack.
 */
enum heap_loss {
	HEAP_LOSS_REENTERED,  /* events of a signal handler that interrupted the shim's own work */
	HEAP_LOSS_TABLE_FULL, /* blocks beyond the limit of live blocks */
	HEAP_LOSS_NO_SPACE,   /* blocks for which the file could not grow: file system full */
	HEAP_LOSS_LOCK,       /* events given up because a lock was held for too long */
	HEAP_LOSS_SITES_FULL, /* blocks of further sites or stacks, credited to site 0 */
	HEAP_LOSS_UNKNOWN_FREE,   /* frees of blocks that are not in the table; not a loss */
	HEAP_LOSS_MISSED_FREE,    /* blocks found at an address that was handed out again */
	HEAP_LOSS_BOOTSTRAP,      /* blocks from before the shim was ready (dlsym's own) */
	HEAP_LOSS_STACK_LOCK,     /* blocks credited to site 0: a lock was held for too long */
	HEAP_LOSS_STACK_NO_SPACE, /* blocks credited to site 0: the file could not grow */
	HEAP_LOSS_MODULES_FULL,   /* frames in further modules, which have no name: not blocks */
	HEAP_LOSS_COUNT
};

struct heap_region {
	uint64_t off;       /* in the file, a multiple of the page size */
	uint64_t max_bytes; /* reserved */
};

struct heap_header {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes;       /* sizeof(struct heap_header) of the writer */
	uint32_t state;              /* enum heap_state */
	uint32_t pid;                /* in the target's own PID namespace */
	uint64_t start_realtime_ns;  /* CLOCK_REALTIME when the file was made */
	uint64_t start_monotonic_ns; /* CLOCK_MONOTONIC then: what heap_block.born counts from */
	uint64_t start_boot_ticks;   /* field 22 of /proc/PID/stat: tells a reused pid */
	/*
	 * When the state left ACTIVE; 0 = it has not. Of a command that was killed `cprof heap run`
	 * writes it afterwards, and the state stays ACTIVE.
	 */
	uint64_t end_monotonic_ns;
	uint64_t page_bytes;
	uint64_t file_bytes; /* the sparse file's length */

	/* how it measures */
	uint64_t sample_bytes; /* mean distance of sampled bytes; 0 = every block */
	uint64_t seed;         /* of the sampling */
	uint32_t max_blocks, max_nodes, max_sites, max_modules;
	uint32_t n_replicas;
	uint32_t counter_bytes;           /* 64: heap_counter, 128: heap_counter_sampled */
	uint32_t threads_beyond_replicas; /* threads that shared the last replica */
	/* bits by enum heap_setting: values in the environment that were not used as given */
	uint32_t settings_refused;

	/* how full it is; monotone */
	uint32_t n_nodes, n_sites, n_modules; /* used, with index 0 */
	uint32_t module_epoch;                /* dlclose calls seen */
	uint32_t frozen;                      /* 1 = a table was full once: totals are "at least" */

	/*
	 * The peak of all live bytes (of sampled weights in sampled mode). Threads fold their
	 * changes in when they exceed fold_bytes, so it is exact with one thread and otherwise
	 * within threads x fold_bytes.
	 */
	uint32_t fold_bytes;
	uint64_t live_bytes; /* as folded */
	uint64_t peak_bytes;
	uint64_t peak_monotonic_ns;
	uint64_t peak_epoch;  /* counts new peaks: see heap_counter.epoch */
	uint32_t max_threads; /* that held a replica at the same time */
	/* of a packed file, which has no room for more: max_blocks of its writer; else 0 */
	uint32_t limit_blocks;

	uint64_t losses[HEAP_LOSS_COUNT];

	/* of each part of the block table: entries above were never used; monotone */
	uint32_t entries_used[HEAP_SHARDS];

	struct heap_region modules;  /* struct heap_module[max_modules] */
	struct heap_region nodes;    /* struct heap_node[max_nodes] */
	struct heap_region sites;    /* struct heap_site[max_sites] */
	struct heap_region replicas; /* struct heap_replica[n_replicas] */
	struct heap_region counters; /* [n_replicas][max_sites] of counter_bytes each */
	struct heap_region blocks;   /* struct heap_block[HEAP_SHARDS][max_blocks / HEAP_SHARDS] */
	struct heap_region index;    /* of the writer */

	char exe[HEAP_PATH_BYTES];        /* of the target, as the target sees it */
	char command[HEAP_COMMAND_BYTES]; /* arguments, each ended by a 0 byte, cut */
	char allocator[HEAP_PATH_BYTES];  /* the object that the real malloc is in */
};

/*
 * A binary in the target, during a span of module epochs. The same addresses may be another one's
 * later: then it is another module, and frames name modules, not addresses.
 */
struct heap_module {
	uint64_t start, end; /* avma of its mappings, [start, end) */
	uint64_t bias;       /* avma - svma */
	uint32_t epoch;      /* module_epoch when it was first seen */
	uint32_t build_id_bytes;
	uint8_t build_id[HEAP_BUILD_ID_BYTES];
	char path[HEAP_PATH_BYTES]; /* empty: code of no binary (JIT) */
};

/* A frame below (called from) its parent's: a stack is a node and its ancestors. */
struct heap_node {
	uint64_t address; /* avma to look up: return address - 1, or an interrupted pc */
	uint32_t parent;
	uint32_t next;   /* the writer's */
	uint32_t site;   /* of blocks whose stack has its leaf here; 0 = none yet */
	uint16_t module; /* index; 0 = in no known module */
	uint16_t flags;  /* enum heap_stack_flag; part of a node's identity, as are address, parent,
			    module */
};

/* A stack at which blocks were allocated. */
struct heap_site {
	uint32_t node;
	uint32_t reserved;
};

/*
 * What one replica's threads did at one site. A cache line, so that threads do not disturb each
 * other. Frees count at the site that allocated, in the replica of the thread that frees: one of
 * them alone may have freed more than it allocated.
 */
struct heap_counter {
	uint64_t allocs, alloc_bytes;
	uint64_t frees, free_bytes;
	/*
	 * Live at the peak: when the replica next changes the site after heap_header.peak_epoch
	 * moved on, what was live before the change was live at that peak. So where `epoch` is not
	 * the header's peak_epoch, live at the peak is allocs - frees as it is now.
	 */
	int64_t peak_blocks, peak_bytes;
	uint64_t epoch;
	uint64_t temporary; /* blocks freed by the next event of the thread that allocated them */
};

struct heap_replica {
	uint32_t owner_tid;     /* 0 = free; the shared one: UINT32_MAX */
	uint32_t n_owners;      /* threads that had it so far */
	uint64_t pending_bytes; /* signed: live bytes not yet folded into the header's */
	uint64_t reallocs;
	uint64_t reserved[5];
	uint64_t size_allocs[HEAP_SIZE_CLASSES]; /* requests by size class, all sites */
	uint64_t size_bytes[HEAP_SIZE_CLASSES];
};

/*
 * In sampled mode the numbers of heap_counter are estimates: each sampled block counts with the
 * inverse of its chance p = 1 - exp(-size / sample_bytes), blocks in units of
 * 1 / HEAP_WEIGHT_ONE, bytes as size / p rounded. This follows each of them in the table then
 * (header.counter_bytes is the stride), to tell how good the estimates are.
 */
struct heap_counter_sampled {
	struct heap_counter weighted;
	uint64_t raw_allocs, raw_frees; /* sampled blocks */
	/* sums of the estimated variances of what the allocations add, (1 - p) / p^2 times ... */
	double alloc_blocks_variance; /* ... 1 */
	double alloc_bytes_variance;  /* ... size^2 */
	uint64_t reserved[4];
};

enum { HEAP_WEIGHT_ONE = 256 };

/* A live block; in sampled mode one that was sampled. */
struct heap_block {
	uint64_t address;  /* 0 = no block; written last, cleared first */
	uint64_t size_seq; /* requested size in the low 48 bits, uses of the entry in the high 16 */
	uint32_t site;
	uint32_t tid;
	uint32_t born; /* 10 ms since start_monotonic_ns */
	uint32_t next; /* the writer's: not used */
};

static inline uint64_t heap_block_size(uint64_t size_seq)
{
	return size_seq & ((UINT64_C(1) << 48) - 1);
}

_Static_assert(sizeof(struct heap_node) == 24, "the file format");
_Static_assert(sizeof(struct heap_counter) == 64, "a cache line");
_Static_assert(sizeof(struct heap_counter_sampled) == 128, "two cache lines");
_Static_assert(sizeof(struct heap_block) == 32, "the file format");

#endif
