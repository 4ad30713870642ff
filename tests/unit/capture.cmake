foreach(file
    command dispatch dump_size exec_call modules perf_events perf_probe perf_record perf_ring processes procfs recorder recorder_truth targets)
  cprof_unit_test(${file} USES base elf unwind profile capture)
endforeach()
foreach(file stack_history stack_memory)
  cprof_unit_test(${file} USES base elf unwind profile capture)
endforeach()
