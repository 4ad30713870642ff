#include "goroutine_chain.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "elf/elf_image.h"
#include "unwind/rows/cfi_rows.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>

static uint64_t word(const uint64_t *chain, size_t i)
{
	uint64_t value;
	memcpy(&value, &chain[i], sizeof(value));
	return value;
}

/* Where the user's part begins, or @n. */
static size_t user_part(const uint64_t *chain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (word(chain, i) == (uint64_t)PERF_CONTEXT_USER)
			return i + 1;
	}
	return n;
}

static bool is_go_code(struct address_space *space, uint64_t lookup)
{
	const struct mapping *mapping = address_space_find(space, lookup);
	return mapping && mapping->image && elf_image_is_go(mapping->image);
}

/*
 * runtime.goexit is a nop, a call and a nop, in all versions; goroutines begin as if its nop had
 * called them.
 */
static bool is_goexit(struct address_space *space, uint64_t ra)
{
	enum { CALL_BYTES = 5 };
	uint8_t code[1 + CALL_BYTES + 1];
	return address_space_code(space, ra - 1, code, sizeof(code)) && code[0] == 0x90 &&
	       code[1] == 0xe8 && code[1 + CALL_BYTES] == 0x90;
}

bool goroutine_chain_is_cut(struct address_space *space, const struct unwind_result *cut)
{
	return cut->stop == CP_STOP_TRUNCATED && cut->left_copy && cut->n > 0 &&
	       is_go_code(space, cut->pcs[cut->n - 1]);
}

static bool is_go_program(pid_t pid)
{
	char path[32];
	struct cp_err err;
	struct elf_image *image;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || elf_image_open_fd(fd, path, &image, &err) < 0)
		return false;
	const bool is_go = elf_image_is_go(image);
	elf_image_destroy(image);
	return is_go;
}

bool goroutine_chain_is_wanted(const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_go_program(pids[i]))
			return true;
	}
	return false;
}

/* What calls a function without a frame of its own is not in the chain. */
enum frame_kind { FRAME_NOT_KNOWN, FRAME_NONE, FRAME_OWN };

static enum frame_kind frame_kind_at(struct address_space *space, uint64_t lookup)
{
	enum { RETURN_ADDRESS_BYTES = 8 };
	const struct mapping *mapping = address_space_find(space, lookup);
	if (!mapping || !mapping->image || !elf_image_is_go(mapping->image) || !mapping->rows)
		return FRAME_NOT_KNOWN;
	const cfi_rule rule = cfi_table_find(mapping->rows, lookup - mapping->bias);
	if (cfi_rule_kind(rule) != CFI_RSP)
		return FRAME_NOT_KNOWN;
	return cfi_rule_offset(rule) == RETURN_ADDRESS_BYTES ? FRAME_NONE : FRAME_OWN;
}

size_t goroutine_chain_callers(struct address_space *space, const struct unwind_result *cut,
			       const uint64_t *chain, size_t n_chain, uint64_t *pcs)
{
	const uint64_t at_switch = cut->pcs[cut->n - 1];
	size_t i = user_part(chain, n_chain), n = 0;
	/* the first is the interrupted pc, the others are return addresses */
	for (bool is_leaf = true; i < n_chain; i++, is_leaf = false) {
		if (unwind_lookup_pc(word(chain, i), !is_leaf) == at_switch)
			break;
	}
	enum frame_kind frame = frame_kind_at(space, at_switch);
	for (i++; i < n_chain && n + 2 <= GOROUTINE_CHAIN_MAX && frame != FRAME_NOT_KNOWN; i++) {
		if (frame == FRAME_NONE)
			pcs[n++] = GOROUTINE_CHAIN_GAP;
		pcs[n] = unwind_lookup_pc(word(chain, i), true);
		if (i == n_chain - 1 && is_goexit(space, word(chain, i)))
			return n + 1;
		frame = frame_kind_at(space, pcs[n++]);
	}
	return 0;
}
