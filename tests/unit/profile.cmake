foreach(test profile stack_store utf8 gzip_in pprof_frames pprof_save pprof_writer)
  cprof_unit_test(${test} USES base profile)
  target_link_libraries(test_${test} PRIVATE ZLIB::ZLIB)
endforeach()
# faults are put into the library's writes
target_link_options(test_pprof_writer PRIVATE LINKER:--wrap=write)
