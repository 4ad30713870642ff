cprof_fuzz_target(elf_image USES base elf rows unwind)
