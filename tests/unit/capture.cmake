cprof_unit_test(perf_record USES base elf unwind profile capture)
cprof_unit_test(perf_ring USES base elf unwind profile capture)
