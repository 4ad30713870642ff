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
    COMMAND ${compiler} -o ${unwind_dir}/${name} ${unwind_source_dir}/${source} ${ARGN}
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

# Executed step by step. Bound at start: the lazy binding of the PLT has its own, hand-written frames.
set(stepped "")
function(unwind_stepped name compiler)
  unwind_fixture(${name} ${compiler} stepped.c ${unwind_source_dir}/chain.c -DCHAIN=chain_O2
    -Wl,-z,now ${ARGN} -lm)
  list(APPEND stepped ${name})
  set(stepped ${stepped} PARENT_SCOPE)
  set(unwind_files ${unwind_files} PARENT_SCOPE)
endfunction()
unwind_stepped(stepped_O2 ${UNWIND_GCC} -O2)
unwind_stepped(stepped_O0 ${UNWIND_GCC} -O0)
unwind_stepped(stepped_fp ${UNWIND_GCC} -O2 -fno-omit-frame-pointer)
unwind_stepped(stepped_lto ${UNWIND_GCC} -O3 -flto)
unwind_stepped(stepped_static ${UNWIND_GCC} -Os -static-pie)
if(UNWIND_CLANG)
  unwind_stepped(stepped_clang ${UNWIND_CLANG} -O2)
  unwind_stepped(stepped_clang_O0 ${UNWIND_CLANG} -O0)
endif()
string(REPLACE ";" " " stepped "${stepped}")
set(ways "")
function(unwind_ways name compiler)
  unwind_fixture(${name} ${compiler} ways.c -D_GNU_SOURCE ${ARGN})
  list(APPEND ways ${name})
  set(ways ${ways} PARENT_SCOPE)
  set(unwind_files ${unwind_files} PARENT_SCOPE)
endfunction()
unwind_ways(ways_lazy ${UNWIND_GCC} -O2 -DWITH_BARE=0 -Wl,-z,lazy)
unwind_ways(ways_now ${UNWIND_GCC} -O0 -DWITH_BARE=0 -Wl,-z,now)
unwind_ways(ways_cet ${UNWIND_GCC} -O2 -DWITH_BARE=0 -fcf-protection=full -Wl,-z,ibtplt
  -Wl,-z,lazy)
if(UNWIND_CLANG)
  unwind_ways(ways_clang ${UNWIND_CLANG} -O2 -DWITH_BARE=0 -fno-omit-frame-pointer -Wl,-z,now)
endif()
string(REPLACE ";" " " ways_with_cfi "${ways}")
# Assembly without information, and lld's PLT.
set(ways "")
unwind_ways(ways_bare ${UNWIND_GCC} -O2 -DWITH_BARE=1 -Wl,-z,now)
unwind_ways(ways_bare_fp ${UNWIND_GCC} -O2 -fno-omit-frame-pointer -DWITH_BARE=1 -Wl,-z,now)
if(UNWIND_LLD)
  unwind_ways(ways_bare_lld ${UNWIND_GCC} -O2 -fno-omit-frame-pointer -fuse-ld=lld -DWITH_BARE=1
    -Wl,-z,now)
endif()
string(REPLACE ";" " " ways_bare "${ways}")
unwind_fixture(switches_go.so ${UNWIND_GCC} switches.S -shared -nostdlib -DGO)
unwind_fixture(switches_c.so ${UNWIND_GCC} switches.S -shared -nostdlib)
add_custom_target(unwind_fixtures DEPENDS ${unwind_files})

function(unwind_unit_test file)
  cprof_unit_test(${file} USES ${ARGN})
  target_compile_definitions(test_${file} PRIVATE
    FIXTURE_DIR="${unwind_dir}" PROBES="${probes}" STEPPED="${stepped}"
    WAYS="${ways_with_cfi}" WAYS_BARE="${ways_bare}"
    READELF="${UNWIND_READELF}")
  add_dependencies(test_${file} unwind_fixtures)
endfunction()

unwind_unit_test(elf_files base elf)
cprof_unit_test(maps_line USES base elf unwind)
cprof_unit_test(regs_x86_64 USES base elf unwind)
cprof_unit_test(address_space USES base elf unwind)
unwind_unit_test(image_store base elf rows unwind)

# Functions with frames of many kinds, linked into the tests that walk over them.
set(frame_objects "")
function(unwind_frames name source)
  add_library(${name} OBJECT unwind_fixtures/${source})
  target_compile_options(${name} PRIVATE ${ARGN})
  set(frame_objects ${frame_objects} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
endfunction()
unwind_frames(frames frames.c -O2)
unwind_frames(chain_O0 chain.c -O0 -DCHAIN=chain_O0)
unwind_frames(chain_O2 chain.c -O2 -fomit-frame-pointer -DCHAIN=chain_O2)
unwind_frames(chain_O2_fp chain.c -O2 -fno-omit-frame-pointer -DCHAIN=chain_O2_fp)
unwind_frames(chain_Os chain.c -Os -DCHAIN=chain_Os)
unwind_frames(chain_O3 chain.c -O3 -DCHAIN=chain_O3)

function(unwinder_unit_test file)
  unwind_unit_test(${file} base elf unwind)
  target_sources(test_${file} PRIVATE ${frame_objects})
  target_link_libraries(test_${file} PRIVATE Threads::Threads)
endfunction()
unwinder_unit_test(unwinder)
unwind_unit_test(unwinder_steps base elf unwind)

cprof_unit_test(cfi_rows USES rows)
unwinder_unit_test(unwinder_hostile)
cprof_unit_test(cfi_check USES base elf unwind)
cprof_unit_test(eh_frame USES base elf unwind)
cprof_unit_test(rule_cache USES base elf unwind)
unwind_unit_test(stack_switch base elf unwind)
target_compile_definitions(test_stack_switch PRIVATE
  SWITCHES_GO="${unwind_dir}/switches_go.so" SWITCHES_C="${unwind_dir}/switches_c.so")
target_link_libraries(test_stack_switch PRIVATE ${CMAKE_DL_LIBS})
cprof_unit_test(no_cfi USES base elf rows unwind)
target_compile_definitions(test_no_cfi PRIVATE MANY_FUNCTIONS="${many_functions}")
add_dependencies(test_no_cfi many_functions)
