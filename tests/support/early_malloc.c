/* early_malloc.c - preloaded with AddressSanitizer into a broker that was built without it. The sanitizer
 * starts at the first malloc. In such a broker that comes from inside bindtextdomain(), in a library's
 * constructor, which holds a lock of glibc's that the sanitizer's start takes and gives back once too often;
 * libpq's first connection then waits for ever. Linked with -z initfirst, this runs before all other
 * constructors and has the sanitizer started where no lock is held. */
#include <stdlib.h>

__attribute__((constructor)) static void start_sanitizer(void) {
    void *volatile memory = malloc(1);
    free(memory);
}
