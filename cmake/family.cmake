# A family is a set of rows that all have one shape (message types, commands, providers...).
#
#   mayday_family(<target> TABLE <name> TYPE <c type> HEADER <header> PREFIX <prefix> ENTRIES <word>...)
#
# Each word W names the file W.c, which defines `const <type> <prefix>W`. The words are written once, in
# the room's CMakeLists.txt: they feed the build and the generated table `const <type> *const <name>[]`
# (ended by NULL), declared in HEADER. Dashes in words become underscores in C.
function(mayday_family target)
  cmake_parse_arguments(F "" "TABLE;TYPE;HEADER;PREFIX" "ENTRIES" ${ARGN})
  set(declarations "")
  set(rows "")
  foreach(word IN LISTS F_ENTRIES)
    string(REPLACE "-" "_" symbol "${F_PREFIX}${word}")
    string(APPEND declarations "extern const ${F_TYPE} ${symbol};\n")
    string(APPEND rows "    &${symbol},\n")
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${word}.c)
  endforeach()
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${F_TABLE}.c")
  file(CONFIGURE OUTPUT "${out}" CONTENT
       "/* Generated from the family's list in CMakeLists.txt. */\n#include \"${F_HEADER}\"\n\n${declarations}\nconst ${F_TYPE} *const ${F_TABLE}[] = {\n${rows}    NULL,\n};\n" @ONLY)
  target_sources(${target} PRIVATE "${out}")
endfunction()
