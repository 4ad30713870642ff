cprof_fuzz_target(maps USES base elf unwind)
cprof_fuzz_target(cfi_rows USES rows)
cprof_fuzz_target(walk USES base elf unwind)
