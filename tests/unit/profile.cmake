foreach(test profile stack_store utf8 gzip_in pprof_frames pprof_save)
  cprof_unit_test(${test} USES base profile)
  target_link_libraries(test_${test} PRIVATE ZLIB::ZLIB)
endforeach()
