cprof_fuzz_target(output USES base profile output)
