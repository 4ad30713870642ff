#include "frames.h"

#include "base/array.h"
#include "base/interner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct frames {
	const struct profile *profile;
	struct interner strings;
	struct frame *frames;
	size_t n, cap;
	struct cp_index index; /* over @frames */
	/* by_location[first[l] .. first[l + 1]) are the frames of location l */
	uint32_t *first;
	frame_id *by_location;
};

static bool frame_equal(const void *key, const void *owner, uint32_t id)
{
	const struct frame *a = key;
	const struct frame *b = &((const struct frames *)owner)->frames[id];
	return a->name.v == b->name.v && a->file.v == b->file.v && a->line == b->line &&
	       a->start_line == b->start_line && a->module.v == b->module.v &&
	       a->kernel == b->kernel && a->inlined == b->inlined && a->jit == b->jit &&
	       a->symbolized == b->symbolized;
}

static uint64_t frame_hash(const struct frame *frame)
{
	uint64_t flags = (uint64_t)frame->kernel | (uint64_t)frame->inlined << 1 |
			 (uint64_t)frame->jit << 2 | (uint64_t)frame->symbolized << 3;
	uint64_t hash = cp_hash_mix(frame->name.v, frame->file.v);
	hash = cp_hash_mix(hash, (uint64_t)frame->line << 32 | frame->start_line);
	return cp_hash_mix(hash, (uint64_t)frame->module.v << 4 | flags);
}

static int intern_frame(struct frames *frames, const struct frame *frame, frame_id *out)
{
	uint64_t hash = frame_hash(frame);
	uint32_t known = cp_index_find(&frames->index, hash, frame_equal, frame, frames);
	if (known != CP_INDEX_NONE) {
		out->v = known;
		return 0;
	}
	if (frames->n >= CP_INDEX_NONE - 1)
		return -ENOMEM;
	struct frame *added = CP_ARRAY_PUSH(frames->frames, frames->n, frames->cap);
	if (!added)
		return -ENOMEM;
	*added = *frame;
	uint32_t id = (uint32_t)(frames->n - 1);
	if (cp_index_add(&frames->index, hash, id)) {
		frames->n--;
		return -ENOMEM;
	}
	out->v = id;
	return 0;
}

/* `[libc.so.6]` for a path; pseudo-files are in brackets already. */
static int bare_name(struct frames *frames, const char *path, string_id *out)
{
	if (path[0] == '\0')
		return interner_add(&frames->strings, PROFILE_PATH_UNKNOWN, out);
	if (path[0] == '[')
		return interner_add(&frames->strings, path, out);
	const char *slash = strrchr(path, '/');
	const char *base = slash && slash[1] ? slash + 1 : path;
	size_t n = strlen(base);
	char *name = malloc(n + 2);
	if (!name)
		return -ENOMEM;
	name[0] = '[';
	memcpy(name + 1, base, n);
	name[n + 1] = ']';
	int rc = interner_add_bytes(&frames->strings, name, n + 2, out);
	free(name);
	return rc;
}

static int frame_of_line(struct frames *frames, const struct profile_line *line,
			 struct frame *frame)
{
	const struct profile *profile = frames->profile;
	const struct profile_function *function = &profile->functions[line->function.v];
	const char *name = profile_text(profile, function->name);
	if (name[0] == '\0')
		name = profile_text(profile, function->system_name);
	int rc =
		interner_add(&frames->strings, profile_text(profile, function->file), &frame->file);
	if (rc)
		return rc;
	/* a line of no file means nothing */
	bool has_file = frame->file.v != STRING_EMPTY.v;
	frame->line = has_file ? line->line : 0;
	frame->start_line = has_file ? function->start_line : 0;
	frame->symbolized = name[0] != '\0';
	if (frame->symbolized)
		return interner_add(&frames->strings, name, &frame->name);
	return bare_name(frames, interner_get(&frames->strings, frame->module), &frame->name);
}

static int add_location(struct frames *frames, const struct profile_location *location,
			frame_id *out)
{
	const struct profile *profile = frames->profile;
	const char *path = profile_text(profile, profile->modules[location->module.v].path);
	struct frame frame = {
		.kernel = profile_module_is_kernel(profile, location->module),
		.jit = strncmp(path, PROFILE_PATH_JIT, strlen(PROFILE_PATH_JIT)) == 0,
	};
	int rc = interner_add(&frames->strings, path, &frame.module);
	if (!rc && location->n_lines == 0) {
		rc = bare_name(frames, path, &frame.name);
		if (!rc)
			rc = intern_frame(frames, &frame, out);
	}
	for (uint32_t i = 0; i < location->n_lines && !rc; i++) {
		frame.inlined = i + 1 < location->n_lines;
		rc = frame_of_line(frames, &profile->lines[location->first_line + i], &frame);
		if (!rc)
			rc = intern_frame(frames, &frame, &out[i]);
	}
	return rc;
}

static int build(struct frames *frames)
{
	const struct profile *profile = frames->profile;
	uint64_t total = 0;
	for (size_t i = 0; i < profile->n_locations; i++) {
		uint32_t lines = profile->locations[i].n_lines;
		frames->first[i] = (uint32_t)total;
		total += lines ? lines : 1;
		if (total > UINT32_MAX)
			return -ENOMEM;
	}
	frames->first[profile->n_locations] = (uint32_t)total;
	frames->by_location = malloc((size_t)(total ? total : 1) * sizeof(frame_id));
	if (!frames->by_location)
		return -ENOMEM;
	for (size_t i = 0; i < profile->n_locations; i++) {
		int rc = add_location(frames, &profile->locations[i],
				      &frames->by_location[frames->first[i]]);
		if (rc)
			return -ENOMEM;
	}
	return 0;
}

int frames_create(const struct profile *profile, struct frames **out)
{
	struct frames *frames = calloc(1, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	if (interner_init(&frames->strings)) {
		free(frames);
		return -ENOMEM;
	}
	frames->profile = profile;
	frames->first = malloc((profile->n_locations + 1) * sizeof(*frames->first));
	if (!frames->first || build(frames)) {
		frames_destroy(frames);
		return -ENOMEM;
	}
	*out = frames;
	return 0;
}

void frames_destroy(struct frames *frames)
{
	if (!frames)
		return;
	interner_deinit(&frames->strings);
	cp_index_deinit(&frames->index);
	free(frames->frames);
	free(frames->first);
	free(frames->by_location);
	free(frames);
}

size_t frames_count(const struct frames *frames)
{
	return frames->n;
}

const struct frame *frames_get(const struct frames *frames, frame_id id)
{
	return &frames->frames[id.v];
}

const char *frames_text(const struct frames *frames, string_id id)
{
	return interner_get(&frames->strings, id);
}

const frame_id *frames_of_location(const struct frames *frames, location_id location, size_t *n)
{
	*n = frames->first[location.v + 1] - frames->first[location.v];
	return &frames->by_location[frames->first[location.v]];
}

long frames_of_stack(const struct frames *frames, stack_id stack, frame_id **array, size_t *cap)
{
	const struct stack_store *stacks = &frames->profile->stacks;
	size_t total = 0;
	while (stack.v != STACK_NONE.v) {
		size_t n;
		const frame_id *of =
			frames_of_location(frames, stack_store_leaf(stacks, stack), &n);
		frame_id *grown = cp_array_reserve(*array, cap, total + n, sizeof(**array));
		if (!grown)
			return -ENOMEM;
		*array = grown;
		memcpy(*array + total, of, n * sizeof(*of));
		total += n;
		stack = stack_store_parent(stacks, stack);
	}
	return (long)total;
}
