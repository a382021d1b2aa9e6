/* unset_clock.c - preloaded in front of libfaketime: a machine whose clock nothing has set since its start.
 * The kernel says so; and the timers of sd-event, which libfaketime would move although they go by a clock
 * that it leaves alone, stay as they are. */
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <unistd.h>

__attribute__((visibility("default"))) int adjtimex(struct timex *ret_state) {
    *ret_state = (struct timex){.status = STA_UNSYNC};
    return TIME_ERROR;
}

__attribute__((visibility("default"))) int timerfd_settime(int fd, int flags, const struct itimerspec *new,
                                                           struct itimerspec *ret_old) {
    return (int)syscall(SYS_timerfd_settime, fd, flags, new, ret_old);
}
