foreach(file perf_record perf_ring processes dispatch modules recorder)
  cprof_unit_test(${file} USES base elf unwind profile capture)
endforeach()
