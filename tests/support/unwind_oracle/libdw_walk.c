#include "libdw_walk.h"

#include "capture/procfs.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct libdw_walker {
	Dwfl *dwfl;
	pid_t pid;
	/* of the walk that is going on */
	const struct unwind_regs *regs;
	const struct unwind_stack *stack;
	struct libdw_result *result;
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	struct libdw_walker *w = arg;
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = w;
	return w->pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)tid;
	*thread_arg = arg;
	return true;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr avma, Dwarf_Word *out, void *arg)
{
	struct libdw_walker *w = arg;
	(void)dwfl;
	const uint64_t off = avma - w->stack->sp;
	if (avma < w->stack->sp || off >= w->stack->n_bytes ||
	    w->stack->n_bytes - off < sizeof(*out)) {
		if (!w->result->missed)
			w->result->missed_avma = avma;
		w->result->missed = true;
		return false;
	}
	memcpy(out, w->stack->bytes + off, sizeof(*out));
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct libdw_walker *w = arg;
	Dwarf_Word values[UNWIND_REGS_MAX];
	for (unsigned i = 0; i < UNWIND_REGS_MAX; i++)
		values[i] = w->regs->r[i];
	return dwfl_thread_state_registers(thread, 0, UNWIND_REGS_MAX, values);
}

int libdw_walker_create(pid_t pid, struct libdw_walker **out, struct cp_err *err)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	static const Dwfl_Thread_Callbacks thread_callbacks = {
		.next_thread = next_thread,
		.get_thread = get_thread,
		.memory_read = read_memory,
		.set_initial_registers = set_registers,
	};
	struct libdw_walker *w = calloc(1, sizeof(*w));
	if (!w)
		return cp_fail_nomem(err);
	w->pid = pid;
	w->dwfl = dwfl_begin(&callbacks);
	if (!w->dwfl || dwfl_linux_proc_report(w->dwfl, pid) != 0 ||
	    dwfl_report_end(w->dwfl, NULL, NULL) != 0 ||
	    !dwfl_attach_state(w->dwfl, NULL, pid, &thread_callbacks, w)) {
		const char *why = dwfl_errmsg(-1);
		libdw_walker_destroy(w);
		return cp_fail(err, -EINVAL, "libdw cannot look at process %d: %s", pid, why);
	}
	*out = w;
	return 0;
}

void libdw_walker_destroy(struct libdw_walker *w)
{
	if (!w)
		return;
	dwfl_end(w->dwfl);
	free(w);
}

void libdw_walker_refresh(struct libdw_walker *w)
{
	if (procfs_has_ended(w->pid))
		return;
	dwfl_report_begin(w->dwfl); /* keeps what is reported again */
	dwfl_linux_proc_report(w->dwfl, w->pid);
	dwfl_report_end(w->dwfl, NULL, NULL);
}

static int take_frame(Dwfl_Frame *frame, void *arg)
{
	struct libdw_result *result = arg;
	Dwarf_Addr pc;
	bool activation;
	if (result->n >= result->cap || !dwfl_frame_pc(frame, &pc, &activation))
		return DWARF_CB_ABORT;
	result->pcs[result->n++] = unwind_lookup_pc(pc, !activation);
	return DWARF_CB_OK;
}

void libdw_walker_walk(struct libdw_walker *w, const struct unwind_regs *regs,
		       const struct unwind_stack *stack, struct libdw_result *result)
{
	w->regs = regs;
	w->stack = stack;
	w->result = result;
	result->n = 0;
	result->missed = false;
	result->ended = dwfl_getthread_frames(w->dwfl, w->pid, take_frame, result) == 0;
}

static bool covers(Dwarf_CFI *cfi, uint64_t address)
{
	Dwarf_Frame *frame = NULL;
	const bool found = cfi && dwarf_cfi_addrframe(cfi, address, &frame) == 0;
	free(frame);
	return found;
}

bool libdw_walker_has_cfi(struct libdw_walker *w, uint64_t avma)
{
	Dwfl_Module *module = dwfl_addrmodule(w->dwfl, avma);
	if (!module)
		return false;
	Dwarf_Addr bias;
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(module, &bias);
	if (covers(cfi, avma - bias))
		return true;
	cfi = dwfl_module_dwarf_cfi(module, &bias);
	return covers(cfi, avma - bias);
}

uint64_t libdw_walker_index(struct libdw_walker *w, uint64_t avma)
{
	Dwfl_Module *module = dwfl_addrmodule(w->dwfl, avma);
	GElf_Addr bias;
	Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
	GElf_Phdr phdr;
	for (int i = 0; elf && gelf_getphdr(elf, i, &phdr); i++)
		if (phdr.p_type == PT_GNU_EH_FRAME)
			return phdr.p_vaddr + bias;
	return 0;
}

const char *libdw_walker_symbol(struct libdw_walker *w, uint64_t avma, uint64_t *off)
{
	Dwfl_Module *module = dwfl_addrmodule(w->dwfl, avma);
	GElf_Sym symbol;
	GElf_Off offset = 0;
	const char *name =
		module ? dwfl_module_addrinfo(module, avma, &offset, &symbol, NULL, NULL, NULL)
		       : NULL;
	*off = offset;
	return name;
}
