# The warnings, hardening and sanitizers that every target is built with.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON) # gnu11: POSIX, and the cleanup attribute
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

option(MAYDAY_WERROR "Treat warnings as errors" OFF)
set(MAYDAY_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined or thread")
option(MAYDAY_COVERAGE "Instrument for gcov" OFF)
option(MAYDAY_FUZZ "Build the libFuzzer targets (clang only)" OFF)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=) # a package names no folder of the machine that built it
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wformat=2 -Wundef -Wvla -fstack-protector-strong -fno-strict-aliasing)
if(MAYDAY_WERROR)
  add_compile_options(-Werror)
endif()
if(MAYDAY_SANITIZE)
  add_compile_options(-fsanitize=${MAYDAY_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${MAYDAY_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON) # one message passes through many small files
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(MAYDAY_COVERAGE)
  add_compile_options(--coverage -O0 -g)
  add_link_options(--coverage)
endif()
if(MAYDAY_FUZZ)
  # Instrument all the code; only the fuzz targets themselves link the fuzzer's main().
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
