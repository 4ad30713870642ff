/*
 * jit_code: two functions that are made while the program runs, jit_first (60) and jit_second (40,
 * half of it on each of two lines), and what a runtime would write about them: a jitdump with lines
 * in the working directory, or with --map 1 only names, in /tmp/perf-PID.map.
 *
 * What is said of jit_second is written after the work has begun: the file grows. With --reuse N,
 * after N blocks of 150 ms jit_third (20) takes the place of jit_first, and jit_fourth (80) that of
 * jit_second: other functions at the same addresses.
 */
#include "common/truth.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_LOAD = 0, RECORD_DEBUG_INFO = 2, JITDUMP_MAGIC = 0x4a695444 };

static const char source[] = "/srv/generated.src";

/* for (x = n; n; n--) x = x * 31 + n, with a frame */
static const unsigned char first_code[] = {
	0x55, 0x48, 0x89, 0xe5,             /* push %rbp; mov %rsp,%rbp */
	0x48, 0x89, 0xf8,                   /* mov %rdi,%rax */
	0x48, 0x6b, 0xc0, 0x1f,             /* imul $31,%rax,%rax */
	0x48, 0x01, 0xf8, 0x48, 0xff, 0xcf, /* add %rdi,%rax; dec %rdi */
	0x75, 0xf4, 0x5d, 0xc3,             /* jne; pop %rbp; ret */
};

/* the same with a copy of n, and then with n */
static const unsigned char second_code[] = {
	0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xfe, 0x48, 0x89, 0xf0, 0x48,
	0x6b, 0xc0, 0x1f, 0x48, 0x01, 0xf0, 0x48, 0xff, 0xce, 0x75, 0xf4, /* second loop: */
	0x48, 0x89, 0xf8, 0x48, 0x6b, 0xc0, 0x1f, 0x48, 0x01, 0xf8, 0x48,
	0xff, 0xcf, 0x75, 0xf4, 0x5d, 0xc3,
};
enum { SECOND_LOOP = 22 };

struct generated {
	const char *name;
	const unsigned char *code;
	size_t size;
	unsigned char *place;
	unsigned lines[2];
	size_t offsets[2];
	unsigned n_lines;
};

static struct generated first = {.name = "jit_first",
				 .code = first_code,
				 .size = sizeof(first_code),
				 .lines = {12},
				 .n_lines = 1};
static struct generated second = {.name = "jit_second",
				  .code = second_code,
				  .size = sizeof(second_code),
				  .lines = {22, 24},
				  .offsets = {0, SECOND_LOOP},
				  .n_lines = 2};

static struct generated third = {.name = "jit_third",
				 .code = first_code,
				 .size = sizeof(first_code),
				 .lines = {32},
				 .n_lines = 1};
static struct generated fourth = {.name = "jit_fourth",
				  .code = second_code,
				  .size = sizeof(second_code),
				  .lines = {42, 44},
				  .offsets = {0, SECOND_LOOP},
				  .n_lines = 2};

static void put(FILE *file, const void *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, file) != n) {
		perror("jit_code");
		exit(1);
	}
}

static void put_u32(FILE *file, uint32_t value)
{
	put(file, &value, sizeof(value));
}

static void put_u64(FILE *file, uint64_t value)
{
	put(file, &value, sizeof(value));
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void put_record(FILE *file, uint32_t id, size_t size)
{
	put_u32(file, id);
	put_u32(file, (uint32_t)(16 + size));
	put_u64(file, now_ns());
}

static void dump(FILE *file, const struct generated *function)
{
	static uint64_t index;
	const uint64_t address = (uintptr_t)function->place;
	put_record(file, RECORD_DEBUG_INFO, 16 + function->n_lines * (16 + sizeof(source)));
	put_u64(file, address);
	put_u64(file, function->n_lines);
	for (unsigned i = 0; i < function->n_lines; i++) {
		put_u64(file, address + function->offsets[i]);
		put_u32(file, function->lines[i]);
		put_u32(file, 0);
		put(file, source, sizeof(source));
	}
	const size_t name_size = strlen(function->name) + 1;
	put_record(file, RECORD_LOAD, 40 + name_size + function->size);
	put_u32(file, (uint32_t)getpid());
	put_u32(file, (uint32_t)getpid());
	put_u64(file, address);
	put_u64(file, address);
	put_u64(file, function->size);
	put_u64(file, index++);
	put(file, function->name, name_size);
	put(file, function->code, function->size);
	fflush(file);
}

static void map(FILE *file, const struct generated *function)
{
	fprintf(file, "%lx %zx %s\n", (unsigned long)(uintptr_t)function->place, function->size,
		function->name);
	fflush(file);
}

static FILE *begin_dump(void)
{
	char path[64];
	snprintf(path, sizeof(path), "jit-%d.dump", (int)getpid());
	FILE *file = fopen(path, "w+");
	if (!file) {
		perror(path);
		exit(1);
	}
	put_u32(file, JITDUMP_MAGIC);
	put_u32(file, 1);
	put_u32(file, 40);
	put_u32(file, EM_X86_64);
	put_u32(file, 0);
	put_u32(file, (uint32_t)getpid());
	put_u64(file, now_ns());
	put_u64(file, 0);
	fflush(file);
	/* a mapping that may be executed is how recorders learn of the dump */
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(file), 0) == MAP_FAILED)
		perror("mmap");
	return file;
}

static FILE *begin_map(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	FILE *file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static void generate(struct generated *function, unsigned char *place)
{
	memcpy(place, function->code, function->size);
	function->place = place;
}

static struct truth_work work_of(const struct generated *function, unsigned weight)
{
	return (struct truth_work){.function = function->name,
				   .run = (void (*)(uint64_t))function->place,
				   .weight = weight};
}

int main(int argc, char **argv)
{
	truth_start(argc, argv);
	const long reuse = truth_option(argc, argv, "--reuse", -1);
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	generate(&first, code);
	generate(&second, code + 256);
	struct truth_work works[] = {work_of(&first, 60), work_of(&second, 40)};
	struct truth_work later[2];
	struct truth_plan plan = {.works = works, .n = 2, .block_ns = 150000000};
	void (*tell)(FILE *, const struct generated *) =
		truth_option(argc, argv, "--map", 0) ? map : dump;
	FILE *file = tell == map ? begin_map() : begin_dump();
	tell(file, &first);
	truth_calibrate(&plan);
	truth_ready();
	for (int blocks = 0; truth_more(); blocks++) {
		truth_block(&plan);
		if (blocks == 0)
			tell(file, &second);
		if (blocks + 1 != reuse)
			continue;
		generate(&third, code);
		generate(&fourth, code + 256);
		later[0] = work_of(&third, 20);
		later[1] = work_of(&fourth, 80);
		for (int i = 0; i < 2; i++)
			later[i].chunk = works[i].chunk;
		tell(file, &third);
		tell(file, &fourth);
		plan.works = later;
	}
	fclose(file);
	truth_works(works, 2);
	if (plan.works == later)
		truth_works(later, 2);
	return truth_end();
}
