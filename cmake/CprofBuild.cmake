# How every target of the project is compiled, and the function that makes one.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(cprof_flags INTERFACE)
target_compile_definitions(cprof_flags INTERFACE _GNU_SOURCE)
target_compile_options(cprof_flags INTERFACE -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla)
if(CPROF_WERROR)
  target_compile_options(cprof_flags INTERFACE -Werror)
endif()
if(CPROF_SANITIZE)
  target_compile_options(cprof_flags INTERFACE
    -fsanitize=${CPROF_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(cprof_flags INTERFACE -fsanitize=${CPROF_SANITIZE})
endif()
if(CPROF_FUZZ)
  # Coverage instrumentation in all code; each fuzz target adds libFuzzer's main when it links.
  target_compile_options(cprof_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# cprof_library(NAME FOLDER dir SOURCES ... [USES target...] [LINKS external...])
#
# A static library cprof_NAME whose headers others include as "FOLDER-NAME/header.h". Its own
# include path is a directory of links to the folders named in USES and its own: the layering
# of the project is what compiles. USES is transitive in linking only, not in including.
function(cprof_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;USES;LINKS" ${ARGN})
  set(target cprof_${name})
  set(view ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${view})
  add_library(${target} STATIC ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES CPROF_FOLDER ${CMAKE_CURRENT_SOURCE_DIR} CPROF_NAME ${name})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${name} SYMBOLIC)
  foreach(used IN LISTS ARG_USES)
    get_target_property(folder cprof_${used} CPROF_FOLDER)
    file(CREATE_LINK ${folder} ${view}/${used} SYMBOLIC)
    target_link_libraries(${target} PUBLIC cprof_${used})
  endforeach()
  target_include_directories(${target} PRIVATE ${view})
  target_link_libraries(${target} PRIVATE cprof_flags PUBLIC ${ARG_LINKS})
endfunction()

# cprof_uses(TARGET name...): an executable (the command line, a test) that may include
# the named libraries.
function(cprof_uses target)
  set(view ${CMAKE_BINARY_DIR}/include/${target})
  file(MAKE_DIRECTORY ${view})
  foreach(used IN LISTS ARGN)
    get_target_property(folder cprof_${used} CPROF_FOLDER)
    file(CREATE_LINK ${folder} ${view}/${used} SYMBOLIC)
    target_link_libraries(${target} PRIVATE cprof_${used})
  endforeach()
  target_include_directories(${target} PRIVATE ${view})
  target_link_libraries(${target} PRIVATE cprof_flags)
endfunction()
