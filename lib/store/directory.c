/* directory.c - the journal's directory: its lock, its identity, the list of its segments. */
#include "store/journal_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int journal_why(char why[JOURNAL_WHY_MAX], int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, JOURNAL_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int journal_list(int dir, uint64_t **ret_numbers, size_t *ret_count) {
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = again < 0 ? NULL : fdopendir(again);
    if (!folder) {
        int fault = -errno;
        if (again >= 0)
            close(again);
        return fault;
    }
    uint64_t *numbers = NULL;
    size_t count = 0, capacity = 0;
    int fault = 0;
    for (struct dirent *entry; fault == 0 && (entry = readdir(folder));) {
        uint64_t number;
        if (!segment_number(entry->d_name, &number))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            uint64_t *grown = reallocarray(numbers, capacity, sizeof *numbers);
            if (!grown)
                fault = -ENOMEM;
            numbers = grown ? grown : numbers;
        }
        if (fault == 0)
            numbers[count++] = number;
    }
    closedir(folder);
    if (fault < 0) {
        free(numbers);
        return fault;
    }
    if (count)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    *ret_numbers = numbers;
    *ret_count = count;
    return 0;
}

int journal_identity_read(int dir, uuid *ret_identity) {
    char line[UUID_TEXT_LEN + 2];
    int fd = openat(dir, "identity", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, line, sizeof line);
    close(fd);
    if (got < UUID_TEXT_LEN || uuid_parse((text){line, UUID_TEXT_LEN}, ret_identity) < 0)
        return -EBADMSG;
    return 0;
}

static int identity_write(int dir, const uuid *identity) {
    char line[UUID_TEXT_LEN + 1];
    uuid_format(identity, line);
    line[UUID_TEXT_LEN] = '\n';
    int fd = openat(dir, "identity.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t wrote = write(fd, line, sizeof line);
    int fault = wrote == (ssize_t)sizeof line ? 0 : wrote < 0 ? -errno : -ENOSPC;
    if (fault == 0 && fsync(fd) < 0)
        fault = -errno;
    close(fd);
    if (fault == 0 && (renameat(dir, "identity.new", dir, "identity") < 0 || fsync(dir) < 0))
        fault = -errno;
    return fault;
}

/* `mayday journal status` asks for the lock and drops it at once: that must not keep a broker from starting.
 */
static int lock_patiently(int fd) {
    const struct timespec pause = {0, 10 * 1000000L};
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK || tries == 10)
            return -errno;
        (void)nanosleep(&pause, NULL);
        errno = EWOULDBLOCK;
    }
    return 0;
}

int journal_directory_lock(journal *j, char why[JOURNAL_WHY_MAX]) {
    const char *dir = j->options.dir;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return journal_why(why, -errno, "the journal's directory %s can't be made: %m", dir);
    j->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (j->dir < 0)
        return journal_why(why, -errno, "the journal's directory %s can't be opened: %m", dir);
    j->lock_file = openat(j->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (j->lock_file < 0)
        return journal_why(why, -errno, "the lock file in %s can't be opened: %m", dir);
    char pid[24] = "";
    if (lock_patiently(j->lock_file) < 0) {
        if (errno != EWOULDBLOCK)
            return journal_why(why, -errno, "the journal %s can't be locked: %m", dir);
        ssize_t got = pread(j->lock_file, pid, sizeof pid - 1, 0);
        pid[got < 0 ? 0 : strcspn(pid, "\n")] = '\0';
        return journal_why(why, -EBUSY, "the journal %s is in use by process %s", dir, pid[0] ? pid : "?");
    }
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(j->lock_file, 0) < 0 || pwrite(j->lock_file, pid, (size_t)len, 0) < 0)
        return 0; /* only the message of a second process would be poorer */
    return 0;
}

/* The identity of the newest segment whose header is whole. */
static int identity_from_segments(journal *j, const uint64_t *numbers, size_t count) {
    for (size_t i = count; i-- > 0;) {
        char name[SEGMENT_NAME_MAX];
        segment_header header;
        segment_name(numbers[i], name);
        int fd = openat(j->dir, name, O_RDONLY | O_CLOEXEC);
        int fault = fd < 0 ? -errno : segment_header_read(fd, &header);
        if (fd >= 0)
            close(fd);
        if (fault == 0) {
            memcpy(j->identity.bytes, header.identity, sizeof header.identity);
            return 0;
        }
    }
    return -ENOENT;
}

int journal_identity_take(journal *j, const uint64_t *numbers, size_t count, char why[JOURNAL_WHY_MAX]) {
    int fault = journal_identity_read(j->dir, &j->identity);
    if (fault == 0)
        return 0;
    if (fault != -ENOENT && fault != -EBADMSG)
        return journal_why(why, fault, "%s/identity can't be read: %s", j->options.dir, strerror(-fault));
    if (identity_from_segments(j, numbers, count) < 0) {
        uint8_t random[10];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return journal_why(why, -EIO, "the system gives no random numbers");
        j->identity = uuid7_make(instant_now() / 1000, random);
    }
    fault = identity_write(j->dir, &j->identity);
    return fault == 0 ? 0
                      : journal_why(why, fault, "%s/identity can't be written: %s", j->options.dir,
                                    strerror(-fault));
}
