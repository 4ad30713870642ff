#include "perf_record.h"

#include <string.h>

/* What is left of a record. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const void *take(struct cursor *c, uint64_t n)
{
	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	const void *at = c->at;
	c->at += n;
	c->left -= n;
	return at;
}

static uint64_t take_u64(struct cursor *c)
{
	uint64_t value = 0;
	const void *at = take(c, sizeof(value));
	if (at)
		memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t take_u32(struct cursor *c)
{
	uint32_t value = 0;
	const void *at = take(c, sizeof(value));
	if (at)
		memcpy(&value, at, sizeof(value));
	return value;
}

static const char *take_string(struct cursor *c)
{
	const char *at = (const char *)c->at;
	const char *end = c->failed ? NULL : memchr(c->at, 0, c->left);
	if (!end) {
		c->failed = true;
		return NULL;
	}
	take(c, c->left);
	return at;
}

/* n words of 8 bytes; n comes from the record */
static const uint64_t *take_words(struct cursor *c, uint64_t n)
{
	if (n > c->left / 8) {
		c->failed = true;
		return NULL;
	}
	return take(c, n * 8);
}

static void parse_stack(struct cursor *c, struct perf_sample_record *sample)
{
	uint64_t size = take_u64(c);
	sample->stack = NULL;
	sample->stack_bytes = 0;
	sample->stack_full = false;
	if (size == 0)
		return; /* no user stack: dyn_size is absent too */
	const uint8_t *bytes = take(c, size);
	uint64_t dyn_size = take_u64(c);
	if (c->failed || dyn_size > size) {
		c->failed = true;
		return;
	}
	sample->stack = bytes;
	sample->stack_bytes = (size_t)dyn_size;
	sample->stack_full = dyn_size == size;
}

static void parse_sample(struct cursor *c, const struct perf_layout *layout,
			 struct perf_record *out)
{
	struct perf_sample_record *sample = &out->sample;
	memset(sample, 0, sizeof(*sample));
	out->id = take_u64(c);
	sample->ip = take_u64(c);
	out->pid = take_u32(c);
	out->tid = take_u32(c);
	out->time_ns = take_u64(c);
	take_u64(c); /* cpu */
	sample->period = take_u64(c);
	uint64_t n = take_u64(c);
	sample->chain = take_words(c, n);
	sample->n_chain = c->failed ? 0 : (size_t)n;
	sample->regs_abi = take_u64(c);
	if (sample->regs_abi != PERF_SAMPLE_REGS_ABI_NONE)
		sample->regs = take_words(c, layout->n_regs);
	parse_stack(c, sample);
}

/* The words that end every record but samples (attr.sample_id_all). */
static bool parse_trailer(struct cursor *c, struct perf_record *out)
{
	enum { TRAILER_BYTES = 32 };
	if (c->left < TRAILER_BYTES)
		return false;
	struct cursor t = {.at = c->at + c->left - TRAILER_BYTES, .left = TRAILER_BYTES};
	out->pid = take_u32(&t);
	out->tid = take_u32(&t);
	out->time_ns = take_u64(&t);
	take_u64(&t); /* cpu */
	out->id = take_u64(&t);
	c->left -= TRAILER_BYTES;
	return true;
}

static void parse_mmap(struct cursor *c, struct perf_mmap_record *mmap)
{
	mmap->pid = take_u32(c);
	mmap->tid = take_u32(c);
	mmap->avma = take_u64(c);
	mmap->size_bytes = take_u64(c);
	mmap->file_off = take_u64(c);
	mmap->dev_major = take_u32(c);
	mmap->dev_minor = take_u32(c);
	mmap->inode = take_u64(c);
	take_u64(c); /* generation of the inode */
	mmap->prot = take_u32(c);
	take_u32(c); /* flags */
	mmap->path = take_string(c);
	if (mmap->avma + mmap->size_bytes < mmap->avma)
		c->failed = true;
}

static void parse_comm(struct cursor *c, uint16_t misc, struct perf_comm_record *comm)
{
	comm->pid = take_u32(c);
	comm->tid = take_u32(c);
	comm->exec = (misc & PERF_RECORD_MISC_COMM_EXEC) != 0;
	comm->comm = take_string(c);
}

static void parse_task(struct cursor *c, struct perf_task_record *task)
{
	task->pid = take_u32(c);
	task->parent_pid = take_u32(c);
	task->tid = take_u32(c);
	task->parent_tid = take_u32(c);
	take_u64(c); /* time, again */
}

bool perf_record_parse(const struct perf_event_header *header, const struct perf_layout *layout,
		       struct perf_record *out)
{
	if (header->size < sizeof(*header) || header->size % 8 != 0)
		return false;
	struct cursor c = {
		.at = (const uint8_t *)header + sizeof(*header),
		.left = header->size - sizeof(*header),
	};
	out->type = header->type;
	out->misc = header->misc;
	if (header->type == PERF_RECORD_SAMPLE) {
		parse_sample(&c, layout, out);
		return !c.failed;
	}
	if (!parse_trailer(&c, out))
		return false;
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		parse_mmap(&c, &out->mmap);
		break;
	case PERF_RECORD_COMM:
		parse_comm(&c, header->misc, &out->comm);
		break;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		parse_task(&c, &out->task);
		break;
	case PERF_RECORD_LOST:
		take_u64(&c); /* id of the event that wrote this record, not of what was lost */
		out->lost = take_u64(&c);
		break;
	case PERF_RECORD_LOST_SAMPLES:
		out->lost = take_u64(&c);
		break;
	case PERF_RECORD_SWITCH:
	case PERF_RECORD_SWITCH_CPU_WIDE:
		/* the latter is of all tasks and says in its body who the other one was */
		out->sw.out = (header->misc & PERF_RECORD_MISC_SWITCH_OUT) != 0;
		out->sw.preempted =
			out->sw.out && (header->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT) != 0;
		break;
	default:
		break;
	}
	return !c.failed;
}
