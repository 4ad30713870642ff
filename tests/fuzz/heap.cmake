cprof_fuzz_target(heap_file USES base profile heap output)
