# Tests of profiler/elf/ (debug_file.c: see symbolizer.cmake, whose fixtures it needs).
cprof_unit_test(elf_image USES base elf)
cprof_unit_test(cfi_reader USES base elf)
