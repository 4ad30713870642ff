# Tests of profiler/unwind/, and of profiler/elf/ on real binaries.
#
# The binaries they look at are built by plain compiler calls: linked in several ways, and free of
# the flags (sanitizers) of the tests themselves.
find_program(UNWIND_GCC gcc REQUIRED)
find_program(UNWIND_CLANG clang)
find_program(UNWIND_LLD ld.lld)
find_program(UNWIND_GOLD ld.gold)
find_program(UNWIND_READELF readelf REQUIRED)

set(unwind_dir ${CMAKE_CURRENT_BINARY_DIR}/unwind_fixtures)
set(unwind_source_dir ${CMAKE_CURRENT_LIST_DIR}/unwind_fixtures)
file(MAKE_DIRECTORY ${unwind_dir})
set(unwind_files "")

function(unwind_fixture name compiler source)
  add_custom_command(
    OUTPUT ${unwind_dir}/${name}
    COMMAND ${compiler} ${ARGN} -o ${unwind_dir}/${name} ${unwind_source_dir}/${source}
    DEPENDS ${unwind_source_dir}/${source}
    VERBATIM)
  set(unwind_files ${unwind_files} ${unwind_dir}/${name} PARENT_SCOPE)
endfunction()

unwind_fixture(probe_pie ${UNWIND_GCC} probe.c -O2 -fPIE -pie)
unwind_fixture(probe_fixed ${UNWIND_GCC} probe.c -O2 -fno-pie -no-pie)
unwind_fixture(probe_static ${UNWIND_GCC} probe.c -O2 -fno-pie -static)
unwind_fixture(probe_static_pie ${UNWIND_GCC} probe.c -O2 -fPIE -static-pie)
unwind_fixture(probe_noseparate ${UNWIND_GCC} probe.c -O2 -Wl,-z,noseparate-code)
set(probes probe_pie probe_fixed probe_static probe_static_pie probe_noseparate)
if(UNWIND_GOLD)
  unwind_fixture(probe_gold ${UNWIND_GCC} probe.c -O2 -fuse-ld=gold)
  list(APPEND probes probe_gold)
endif()
if(UNWIND_LLD)
  unwind_fixture(probe_lld ${UNWIND_GCC} probe.c -O2 -fuse-ld=lld -fPIE -pie)
  unwind_fixture(probe_lld_fixed ${UNWIND_GCC} probe.c -O2 -fuse-ld=lld -fno-pie -no-pie)
  list(APPEND probes probe_lld probe_lld_fixed)
endif()
string(REPLACE ";" " " probes "${probes}")
add_custom_target(unwind_fixtures DEPENDS ${unwind_files})

function(unwind_unit_test file)
  cprof_unit_test(${file} USES ${ARGN})
  target_compile_definitions(test_${file} PRIVATE
    FIXTURE_DIR="${unwind_dir}" PROBES="${probes}" READELF="${UNWIND_READELF}")
  add_dependencies(test_${file} unwind_fixtures)
endfunction()

unwind_unit_test(elf_files base elf)
cprof_unit_test(maps_line USES base elf unwind)
cprof_unit_test(regs_x86_64 USES base elf unwind)
cprof_unit_test(address_space USES base elf unwind)
unwind_unit_test(image_store base elf unwind)
