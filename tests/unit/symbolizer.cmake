# Tests of symbolizer/ and of profiler/elf/debug_file.c.
#
# The binaries they look at are built by plain compiler calls: with several compilers, and free
# of the flags (sanitizers) of the tests themselves.
find_program(FIXTURE_GXX g++ REQUIRED)
find_program(FIXTURE_CLANGXX clang++)
find_program(FIXTURE_OBJCOPY objcopy REQUIRED)

set(fixture_dir ${CMAKE_CURRENT_BINARY_DIR}/symbolizer_fixtures)
set(fixture_source_dir ${CMAKE_CURRENT_LIST_DIR}/symbolizer_fixtures)
file(MAKE_DIRECTORY ${fixture_dir})
set(fixture_files "")

function(symbolizer_fixture name compiler source)
  add_custom_command(
    OUTPUT ${fixture_dir}/${name}
    COMMAND ${compiler} ${ARGN} -o ${fixture_dir}/${name} ${fixture_source_dir}/${source}
    DEPENDS ${fixture_source_dir}/${source}
    VERBATIM)
  set(fixture_files ${fixture_files} ${fixture_dir}/${name} PARENT_SCOPE)
endfunction()

find_program(FIXTURE_GCC gcc REQUIRED)
find_program(FIXTURE_CLANG clang)
set(bare -shared -fPIC -nostdlib -Wl,--build-id)
set(fixed -no-pie -nostdlib -Wl,--build-id -Wl,-e,last)
symbolizer_fixture(chain_gcc5 ${FIXTURE_GCC} chain.c -O2 -g -gdwarf-5 ${bare})
symbolizer_fixture(chain_gcc4 ${FIXTURE_GCC} chain.c -O2 -g -gdwarf-4 ${bare})
symbolizer_fixture(chain_O0 ${FIXTURE_GCC} chain.c -O0 -g ${bare})
symbolizer_fixture(chain_fixed ${FIXTURE_GCC} chain.c -O2 -g ${fixed})
symbolizer_fixture(chain_gz ${FIXTURE_GCC} chain.c -O2 -g -gz ${bare})
symbolizer_fixture(chain_other ${FIXTURE_GCC} chain.c -O2 -g -DOTHER -Wl,--build-id=0x0badcafe
                   -shared -fPIC -nostdlib)
symbolizer_fixture(chain_no_id ${FIXTURE_GCC} chain.c -O2 -g -shared -fPIC -nostdlib
                   -Wl,--build-id=none)
symbolizer_fixture(templates_gcc ${FIXTURE_GXX} templates.cpp -O2 -g ${bare})
symbolizer_fixture(sweep_gcc5 ${FIXTURE_GXX} sweep.cpp -O2 -g -gdwarf-5 -fPIE -pie)
symbolizer_fixture(sweep_gcc4 ${FIXTURE_GXX} sweep.cpp -O2 -g -gdwarf-4 -no-pie)
symbolizer_fixture(sweep_O0 ${FIXTURE_GXX} sweep.cpp -O0 -g)
symbolizer_fixture(stubs_plain ${FIXTURE_GCC} stubs.c -O2 -fcf-protection=none -Wl,-z,lazy)
symbolizer_fixture(stubs_cet ${FIXTURE_GCC} stubs.c -O2 -fcf-protection -Wl,-z,ibtplt -Wl,-z,lazy)
symbolizer_fixture(stubs_now ${FIXTURE_GCC} stubs.c -O2 -Wl,-z,now)
set(chain_matrix chain_gcc5 chain_gcc4 chain_O0 chain_fixed chain_gz)
set(templates_matrix templates_gcc)
set(sweep_matrix sweep_gcc5 sweep_gcc4 sweep_O0)
if(FIXTURE_CLANG AND FIXTURE_CLANGXX)
  # clang writes neither .debug_aranges nor DW_AT_sibling.
  symbolizer_fixture(chain_clang5 ${FIXTURE_CLANG} chain.c -O2 -g -gdwarf-5 ${bare})
  symbolizer_fixture(chain_clang4 ${FIXTURE_CLANG} chain.c -O2 -g -gdwarf-4 ${bare})
  symbolizer_fixture(templates_clang ${FIXTURE_CLANGXX} templates.cpp -O2 -g ${bare})
  # Not DWARF 5: neither addr2line 2.40 nor eu-addr2line 0.188 finds its inlined calls.
  symbolizer_fixture(sweep_clang4 ${FIXTURE_CLANGXX} sweep.cpp -O2 -g -gdwarf-4)
  symbolizer_fixture(sweep_clang4_aranges ${FIXTURE_CLANGXX} sweep.cpp -O2 -g -gdwarf-4
                     -gdwarf-aranges)
  list(APPEND chain_matrix chain_clang5 chain_clang4)
  list(APPEND templates_matrix templates_clang)
  list(APPEND sweep_matrix sweep_clang4)
endif()
string(REPLACE ";" " " chain_matrix "${chain_matrix}")
string(REPLACE ";" " " templates_matrix "${templates_matrix}")
string(REPLACE ";" " " sweep_matrix "${sweep_matrix}")
add_custom_target(symbolizer_fixtures DEPENDS ${fixture_files})

function(symbolizer_unit_test file)
  cprof_unit_test(${file} USES ${ARGN})
  target_compile_definitions(test_${file} PRIVATE
    FIXTURE_DIR="${fixture_dir}"
    FIXTURE_SOURCE_DIR="${fixture_source_dir}"
    CHAIN_MATRIX="${chain_matrix}"
    TEMPLATES_MATRIX="${templates_matrix}"
    SWEEP_MATRIX="${sweep_matrix}"
    OBJCOPY="${FIXTURE_OBJCOPY}")
  target_sources(test_${file} PRIVATE ${fixture_source_dir}/fixtures.c)
  target_include_directories(test_${file} PRIVATE ${fixture_source_dir}/..)
  add_dependencies(test_${file} symbolizer_fixtures)
endfunction()

cprof_unit_test(symbol_table USES base symbolizer)
cprof_unit_test(symbol_names USES base symbolizer)
cprof_unit_test(range_table USES base symbolizer)
cprof_unit_test(module_shares USES base profile symbolizer)
cprof_unit_test(demangle USES base symbolizer)
cprof_unit_test(kallsyms USES base symbolizer)
cprof_unit_test(perf_map USES base symbolizer)
symbolizer_unit_test(debug_file base elf)
symbolizer_unit_test(binary base elf symbolizer)
symbolizer_unit_test(binary_places base elf symbolizer)
symbolizer_unit_test(kernel_debug base elf symbolizer)
symbolizer_unit_test(binary_sweep base elf symbolizer)
symbolizer_unit_test(binary_hostile base elf symbolizer)
symbolizer_unit_test(symbolizer base elf profile symbolizer)
cprof_unit_test(symbolizer_damaged USES base profile symbolizer)
target_sources(test_symbolizer_damaged PRIVATE ../support/damaged_binaries.c)
target_link_libraries(test_symbolizer_damaged PRIVATE ZLIB::ZLIB)
cprof_unit_test(binary_names USES base elf symbolizer)
target_link_libraries(test_binary_names PRIVATE ZLIB::ZLIB)
cprof_unit_test(jitdump USES base symbolizer)
target_link_libraries(test_jitdump PRIVATE ZLIB::ZLIB)
cprof_unit_test(jit_files USES base symbolizer)
cprof_unit_test(jit_times USES base profile symbolizer)
target_link_libraries(test_jit_times PRIVATE ZLIB::ZLIB)
cprof_unit_test(source_prefix USES base profile symbolizer)
cprof_unit_test(bare_names USES base profile symbolizer)
cprof_unit_test(answer_file USES base symbolizer)
cprof_unit_test(answer_cache USES base symbolizer)
symbolizer_unit_test(die_visit base symbolizer)
symbolizer_unit_test(line_table base symbolizer)
symbolizer_unit_test(lookup base profile symbolizer)
# Its threads under ThreadSanitizer too (cmake --preset tsan; ctest -L tsan).
set_tests_properties(unit.lookup PROPERTIES LABELS "unit;tsan")
cprof_unit_test(hot_locations USES base profile symbolizer)
