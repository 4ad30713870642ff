foreach(test profile stack_store gzip_in pprof_frames pprof_save pprof_writer pprof_load
        pprof_damage pprof_go)
  cprof_unit_test(${test} USES base profile)
  target_link_libraries(test_${test} PRIVATE ZLIB::ZLIB)
endforeach()
# faults are put into the library's writes
target_link_options(test_pprof_writer PRIVATE LINKER:--wrap=write)
# profiles of other producers
target_compile_definitions(test_pprof_load PRIVATE CPROF_TEST_DATA="${CMAKE_CURRENT_LIST_DIR}/data")
