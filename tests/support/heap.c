/* heap.c - see heap.h. */
#include "support/heap.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Thread_local long allowed = LONG_MAX, failed;
static _Thread_local bool fed;
static atomic_bool starving;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *string);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *string);

void heap_allow(long allocations) {
    allowed = allocations;
    failed = 0;
}

long heap_allow_all(void) {
    allowed = LONG_MAX;
    return failed;
}

void heap_starve_others(bool starve) {
    fed = true;
    atomic_store(&starving, starve);
}

static bool granted(void) {
    if (allowed > 0 && (fed || !atomic_load(&starving))) {
        allowed -= allowed != LONG_MAX;
        return true;
    }
    failed++;
    return false;
}

void *__wrap_malloc(size_t size) {
    return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size) {
    return granted() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size) {
    return granted() ? __real_realloc(memory, size) : NULL;
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size) {
    return granted() ? __real_reallocarray(memory, count, size) : NULL;
}

char *__wrap_strdup(const char *string) {
    return granted() ? __real_strdup(string) : NULL;
}
