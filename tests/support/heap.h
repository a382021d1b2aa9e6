/* heap.h - allocations that fail when a test says so. The linker sends malloc, calloc, realloc, reallocarray
 * and strdup of all that is linked statically, which is the code under test, through heap.c (--wrap; see
 * mayday_failing_heap in tests/unit/CMakeLists.txt). What shared libraries allocate (json-c, PCRE2, OpenSSL,
 * inih, libc itself) is their own business and never fails here: json-c 0.16 for one does not survive it. */
#ifndef MAYDAY_TESTS_HEAP_H
#define MAYDAY_TESTS_HEAP_H

#include <stdbool.h>

/* Of the calling thread: that many more allocations succeed, then all fail. */
void heap_allow(long allocations);
long heap_allow_all(void); /* how many failed since heap_allow() */

void heap_starve_others(bool starve); /* all threads but the calling one */

#endif
