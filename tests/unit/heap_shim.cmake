# Tests of the heap shim's data structures: those that threads share are to be run under
# ThreadSanitizer too (cmake --preset tsan; ctest -L tsan).
set(shim_tests
  block_table node_table counters sampler spin linear_hash region stack_bounds heap_code)
foreach(file ${shim_tests})
  cprof_unit_test(${file} USES heap_shim rows)
  target_link_libraries(test_${file} PRIVATE Threads::Threads m)
endforeach()
set_tests_properties(unit.block_table unit.node_table unit.counters unit.sampler unit.spin
  PROPERTIES LABELS "unit;tsan")
foreach(file ${shim_tests})
  set_property(TEST unit.${file} APPEND PROPERTY LABELS heap)
endforeach()
