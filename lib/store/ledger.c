/* ledger.c - see ledger.h.
 *
 * One line: eight hex digits of CRC-32, a space, '+' (put) or '-' (drop), a space, the key's length, a space,
 * the value's length, a space, key, value, newline. The checksum covers everything behind it up to the
 * newline. A damaged line is skipped up to the next newline from which a line with a right checksum starts,
 * so one torn write costs one fact. */
#include "store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "base/conf.h"

#define FILE_MAX  (256u << 20)
#define LINE_MAX_ (64u << 10)

struct ledger {
    char *path;
    int fd;
    size_t lines;
    size_t bytes; /* of the whole file */
    bool torn;    /* a write failed half way: the next line must not be swallowed by what it left */
    buf line;
};

typedef struct parsed {
    text key, value;
    bool dropped;
    size_t used; /* bytes of the line, with its newline */
} parsed;

static uint32_t checksum(const char *bytes, size_t len) {
    return (uint32_t)crc32(crc32(0L, Z_NULL, 0), (const Bytef *)bytes, (uInt)len);
}

static int take_number(text *rest, size_t *ret_number) {
    text piece;
    int64_t number = 0;
    if (!text_next(rest, ' ', &piece) || !rest->ptr || text_to_i64(piece, 0, LINE_MAX_, &number) < 0)
        return -EBADMSG;
    *ret_number = (size_t)number;
    return 0;
}

static int parse_line(text all, parsed *ret_line) {
    char spelled[9];
    text rest = all, crc, sign;
    size_t key_len = 0, value_len = 0;
    if (!text_next(&rest, ' ', &crc) || crc.len != 8 || !rest.ptr)
        return -EBADMSG;
    const char *covered = rest.ptr;
    if (!text_next(&rest, ' ', &sign) || sign.len != 1 || (sign.ptr[0] != '+' && sign.ptr[0] != '-') ||
        !rest.ptr)
        return -EBADMSG;
    if (take_number(&rest, &key_len) < 0 || take_number(&rest, &value_len) < 0)
        return -EBADMSG;
    /* the newline of the very last line may not have made it to the file */
    bool last = rest.len == key_len + value_len;
    if (rest.len < key_len + value_len || (!last && rest.ptr[key_len + value_len] != '\n'))
        return -EBADMSG;
    size_t covered_len = (size_t)(rest.ptr - covered) + key_len + value_len;
    (void)snprintf(spelled, sizeof spelled, "%08x", checksum(covered, covered_len));
    if (memcmp(spelled, crc.ptr, 8) != 0)
        return -EBADMSG;
    bool dropped = sign.ptr[0] == '-';
    *ret_line = (parsed){
        .key = {rest.ptr, key_len},
        .value = {dropped ? NULL : rest.ptr + key_len, value_len},
        .dropped = dropped,
        .used = (size_t)(rest.ptr - all.ptr) + key_len + value_len + (last ? 0 : 1),
    };
    return 0;
}

static int play(text all, ledger_fact fact, void *context, ledger_report *report) {
    while (all.len > 0) {
        parsed line;
        if (parse_line(all, &line) == 0) {
            int stop = fact(context, line.key, line.value);
            if (stop != 0)
                return stop;
            report->facts++;
        } else {
            const char *newline = memchr(all.ptr, '\n', all.len);
            line.used = newline ? (size_t)(newline - all.ptr) + 1 : all.len;
            report->damaged++;
        }
        all = (text){all.ptr + line.used, all.len - line.used};
    }
    return 0;
}

static int write_all(int fd, text t) {
    while (t.len > 0) {
        ssize_t wrote = write(fd, t.ptr, t.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        t = (text){t.ptr + wrote, t.len - (size_t)wrote};
    }
    return 0;
}

static int sync_folder(const char *path) {
    char folder[4096];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int fault = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return fault;
}

static ledger *ledger_new(const char *path, int flags, int *ret_fault) {
    ledger *l = calloc(1, sizeof *l);
    if (!l || !(l->path = text_copy(text_of(path)))) {
        free(l);
        *ret_fault = -ENOMEM;
        return NULL;
    }
    l->line = BUF(2 * LINE_MAX_);
    l->fd = open(path, flags | O_CLOEXEC, 0600);
    if (l->fd < 0) {
        *ret_fault = -errno;
        return ledger_close(l);
    }
    return l;
}

int ledger_open(const char *path, ledger_fact fact, void *context, ledger **ret_ledger,
                ledger_report *ret_report) {
    ledger_report report = {0};
    int fault = 0;
    ledger *l = ledger_new(path, O_RDWR | O_CREAT | O_APPEND, &fault);
    if (!l)
        return fault;
    CLEANUP(buf_release) buf content = BUF(FILE_MAX);
    fault = file_read(path, FILE_MAX, &content);
    if (fault == 0)
        fault = play(buf_text(&content), fact, context, &report);
    /* A torn last line would swallow the next one: close it. */
    if (fault == 0 && content.len > 0 && content.ptr[content.len - 1] != '\n')
        fault = write_all(l->fd, TEXT("\n"));
    if (fault == 0) /* a new file is only found again when its folder is on stable storage too */
        fault = sync_folder(path);
    if (fault != 0) {
        (void)ledger_close(l);
        return fault;
    }
    l->lines = report.facts + report.damaged;
    l->bytes = content.len + 1;
    *ret_report = report;
    *ret_ledger = l;
    return 0;
}

ledger *ledger_close(ledger *l) {
    if (l) {
        if (l->fd >= 0) {
            (void)fdatasync(l->fd);
            (void)close(l->fd);
        }
        buf_release(&l->line);
        free(l->path);
        free(l);
    }
    return NULL;
}

static int append(ledger *l, char sign, text key, text value, bool sync) {
    if (key.len + value.len > LINE_MAX_)
        return -EMSGSIZE;
    buf_clear(&l->line);
    if (l->torn)
        buf_add_char(&l->line, '\n');
    size_t start = l->line.len;
    buf_add(&l->line, "00000000 ", 9);
    buf_printf(&l->line, "%c %zu %zu ", sign, key.len, value.len);
    buf_add_text(&l->line, key);
    buf_add_text(&l->line, value);
    if (buf_failed(&l->line) < 0)
        return buf_failed(&l->line);
    char spelled[9];
    (void)snprintf(spelled, sizeof spelled, "%08x",
                   checksum(l->line.ptr + start + 9, l->line.len - start - 9));
    memcpy(l->line.ptr + start, spelled, 8);
    buf_add_char(&l->line, '\n');
    if (buf_failed(&l->line) < 0)
        return buf_failed(&l->line);
    if (l->bytes + l->line.len > FILE_MAX)
        return -EFBIG; /* it could not be opened again */
    int fault = write_all(l->fd, buf_text(&l->line));
    l->torn = fault != 0;
    l->bytes += l->line.len; /* or a little less: it is a bound */
    l->lines++;
    if (fault == 0 && sync && fdatasync(l->fd) < 0)
        fault = -errno;
    return fault;
}

int ledger_put(ledger *l, text key, text value, bool sync) {
    return append(l, '+', key, value.ptr ? value : TEXT(""), sync);
}

int ledger_drop(ledger *l, text key, bool sync) {
    return append(l, '-', key, TEXT(""), sync);
}

bool ledger_wants_rewrite(const ledger *l, size_t live) {
    return (l->lines > 1024 && l->lines > 4 * live) || (l->bytes > FILE_MAX / 2 && l->lines > 2 * live);
}

int ledger_rewrite(ledger *l, ledger_emit emit, void *context) {
    char path[4096];
    int fault = 0;
    if (snprintf(path, sizeof path, "%s.new", l->path) >= (int)sizeof path)
        return -ENAMETOOLONG;
    ledger *fresh = ledger_new(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, &fault);
    if (!fresh)
        return fault;
    fault = emit(context, fresh);
    if (fault == 0 && fdatasync(fresh->fd) < 0)
        fault = -errno;
    if (fault == 0 && rename(path, l->path) < 0)
        fault = -errno;
    if (fault != 0) {
        (void)ledger_close(fresh);
        (void)unlink(path);
        return fault;
    }
    /* From here on the new file is the ledger, whatever else goes wrong. */
    int old = l->fd;
    l->fd = fresh->fd;
    l->lines = fresh->lines;
    l->bytes = fresh->bytes;
    l->torn = fresh->torn;
    fresh->fd = old;
    (void)ledger_close(fresh);
    return sync_folder(l->path);
}
