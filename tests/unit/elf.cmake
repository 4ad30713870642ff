# Tests of profiler/elf/ (debug_file.c: see symbolizer.cmake, whose fixtures it needs).
cprof_unit_test(elf_image USES base elf)
cprof_unit_test(cfi_reader USES base elf)
cprof_unit_test(elf_tables USES base elf)
cprof_unit_test(map_guard USES base elf)
cprof_unit_test(inflate USES base elf)
cprof_unit_test(kept_files USES base elf)
target_link_libraries(test_elf_tables PRIVATE ZLIB::ZLIB)

find_program(MANY_GCC gcc REQUIRED)
set(many_functions ${CMAKE_CURRENT_BINARY_DIR}/many_functions.so)
add_custom_command(
  OUTPUT ${many_functions}
  COMMAND ${MANY_GCC} -shared -nostdlib -o ${many_functions}
    ${CMAKE_CURRENT_LIST_DIR}/unwind_fixtures/many.S
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/unwind_fixtures/many.S
  VERBATIM)
add_custom_target(many_functions DEPENDS ${many_functions})
cprof_unit_test(image_rows USES base elf rows unwind)
target_link_libraries(test_image_rows PRIVATE ZLIB::ZLIB)
target_compile_definitions(test_image_rows PRIVATE MANY_FUNCTIONS="${many_functions}")
add_dependencies(test_image_rows many_functions)
