/* attr.h - compiler attributes and the error law.
 *
 * The error law: a function that can fault returns 0 or a negative errno value; it travels up and is
 * logged once, by the host. An expected outcome is a named enum whose zero value is a refusal, so that
 * zeroed memory fails closed. Outputs are last, named ret_..., and written only on success. */
#ifndef MAYDAY_BASE_ATTR_H
#define MAYDAY_BASE_ATTR_H

#define NODISCARD           __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, n) __attribute__((format(printf, fmt, n)))

/* Runs `free_fn(&variable)` when the variable leaves scope: CLEANUP(buf_release) buf b = {0}; */
#define CLEANUP(free_fn) __attribute__((cleanup(free_fn)))

/* Defines x_freep() for use with CLEANUP on a pointer whose destructor `x_free` takes the pointer. */
#define DEFINE_CLEANUP(type, free_fn)                                                                        \
    static inline void free_fn##p(type **object) {                                                           \
        (void)free_fn(*object);                                                                              \
    }

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
