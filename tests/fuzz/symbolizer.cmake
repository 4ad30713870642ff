cprof_fuzz_target(jit USES base symbolizer)
cprof_fuzz_target(symbolizer USES base elf profile symbolizer)
target_link_libraries(fuzz_symbolizer PRIVATE PkgConfig::dw PkgConfig::elf)

# Its corpus began as: make_damaged tests/fuzz/corpus/symbolizer
add_executable(make_damaged
  ${PROJECT_SOURCE_DIR}/tests/support/make_damaged.c
  ${PROJECT_SOURCE_DIR}/tests/support/damaged_binaries.c)
target_link_libraries(make_damaged PRIVATE cprof_flags ZLIB::ZLIB)
