cprof_unit_test(frames USES base profile output)
