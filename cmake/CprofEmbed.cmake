# cprof_embed(TARGET FILE SYMBOL): compile a text file into TARGET as a string constant,
#
#     extern const char SYMBOL[];        NUL-terminated
#
# so that the installed program needs no data files. The file is read again whenever it changes.
set(CPROF_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(cprof_embed target file symbol)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D OUTPUT=${generated} -D SYMBOL=${symbol}
      -P ${CPROF_EMBED_SCRIPT}
    DEPENDS ${source} ${CPROF_EMBED_SCRIPT}
    COMMENT "Embedding ${file}"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()

# The other half: what the build runs.
if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  file(READ ${SOURCE} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}") # a line per line
  # `extern` in the definition: a const object needs no header of its own to be global here
  file(WRITE ${OUTPUT}
    "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}0};\n")
endif()
