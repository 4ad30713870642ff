cprof_fuzz_target(maps USES base elf unwind)
