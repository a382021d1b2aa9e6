/* fdatasync.c - what forcing a small write to this disk costs by itself: the floor under an alert.
 * Writes a block of a file that was allocated ahead, forces it, and again, at a pace, as a journal would.
 * Usage: fdatasync DIRECTORY COUNT PER_SECOND. One line of JSON on stdout. */
#include "histogram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK     512
#define FILE_SIZE (16 << 20)

static int complain(const char *what) {
    fprintf(stderr, "fdatasync: %s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

static void sleep_until(int64_t ns) {
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static int measure(int fd, long count, double rate) {
    static histogram h;
    char block[BLOCK];
    memset(block, 'm', sizeof(block));
    int64_t begun = clock_ns();
    for (long i = 0; i < count; i++) {
        sleep_until(begun + (int64_t)((double)i / rate * 1e9));
        int64_t start = clock_ns();
        off_t at = (off_t)i * BLOCK % FILE_SIZE;
        if (pwrite(fd, block, sizeof(block), at) != (ssize_t)sizeof(block) || fdatasync(fd) != 0)
            return complain("cannot write");
        histogram_add(&h, clock_ns() - start);
    }
    fputs("{\"mode\":\"fdatasync\",\"latency_us\":", stdout);
    histogram_print(&h, stdout);
    puts("}");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: fdatasync DIRECTORY COUNT PER_SECOND\n", stderr);
        return EXIT_FAILURE;
    }
    long count = strtol(argv[2], NULL, 10);
    double rate = strtod(argv[3], NULL);
    if (count < 1 || !(rate > 0)) {
        fputs("fdatasync: COUNT and PER_SECOND are positive numbers\n", stderr);
        return EXIT_FAILURE;
    }
    int fd = open(argv[1], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain(argv[1]);
    int status = posix_fallocate(fd, 0, FILE_SIZE) == 0 ? measure(fd, count, rate) : complain("no space");
    close(fd);
    return status;
}
