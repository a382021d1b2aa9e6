/* checkpoints.c - see checkpoints.h. */
#include "gateway/checkpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX (4 << 20)
#define TAIL_MAX (16 * AUDIT_SIGNED_MAX) /* the newest is looked for in that much of the file's end */

struct checkpoints {
    const settings *settings;
    char *path; /* of the file; NULL without a state_dir */
    audit_checkpoint newest;
    bool has_newest;
};

static int PRINTF_LIKE(3, 4) because(char why[CHECKPOINTS_WHY_MAX], int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, CHECKPOINTS_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

bool checkpoints_wanted(const checkpoints *p) {
    return p->settings->audit_keys && *p->settings->audit_keys;
}

static int read_keys(const checkpoints *p, buf *to, char why[CHECKPOINTS_WHY_MAX]) {
    int fault = file_read(p->settings->audit_keys, KEYS_MAX, to);
    return fault < 0 ? because(why, fault, "%s: %s", p->settings->audit_keys, strerror(-fault)) : 0;
}

static void wipe(buf *b) {
    if (b->ptr)
        explicit_bzero(b->ptr, b->len);
    buf_release(b);
}

int checkpoints_sign(checkpoints *p, const audit_checkpoint *c, buf *to, char ret_kid[AUDIT_KID_MAX],
                     char ret_why[CHECKPOINTS_WHY_MAX]) {
    CLEANUP(wipe) buf file = BUF(KEYS_MAX);
    CLEANUP(json_freep) json *set = NULL;
    CLEANUP(signer_freep) signer *key = NULL;
    char why[SIGN_WHY_MAX] = "";
    int fault = read_keys(p, &file, ret_why);
    if (fault < 0)
        return fault;
    const json *keys = json_parse_once(buf_text(&file), &set) == JSON_OK ? json_get(set, "keys") : NULL;
    if (json_length(keys) == 0 || json_kind_of(keys) != JSON_ARRAY)
        return because(ret_why, -EBADMSG, "%s: not a JWK Set with a key", p->settings->audit_keys);
    const json *last = json_at(keys, json_length(keys) - 1);
    fault = signer_new(last, &key, why);
    if (fault < 0)
        return because(ret_why, fault, "%s: the last key: %s", p->settings->audit_keys, why);
    text kid = json_get_string(last, "kid");
    if (kid.len >= AUDIT_KID_MAX)
        return because(ret_why, -EBADMSG, "%s: the last key's name is too long", p->settings->audit_keys);
    fault = audit_checkpoint_sign(key, c, to);
    if (fault < 0)
        return because(ret_why, fault, "out of memory");
    (void)snprintf(ret_kid, AUDIT_KID_MAX, "%.*s", (int)kid.len, kid.ptr ? kid.ptr : "");
    return 0;
}

static int keys_of(const checkpoints *p, keyset **ret_keys) {
    CLEANUP(wipe) buf file = BUF(KEYS_MAX);
    char why[CHECKPOINTS_WHY_MAX], reason[TOKEN_WHY_MAX];
    int fault = checkpoints_wanted(p) ? read_keys(p, &file, why) : -ENOENT;
    return fault < 0 ? fault : keyset_parse(buf_text(&file), ret_keys, reason);
}

static bool genuine(const keyset *keys, text jws, audit_checkpoint *ret_checkpoint) {
    char kid[AUDIT_KID_MAX];
    return audit_checkpoint_verify(keys, jws) == TOKEN_ACCEPTED &&
           audit_checkpoint_read(jws, ret_checkpoint, kid) == 0;
}

bool checkpoints_ours(checkpoints *p, text jws, audit_checkpoint *ret_checkpoint) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    return keys_of(p, &keys) == 0 && genuine(keys, jws, ret_checkpoint);
}

/* The end of the file, from the beginning of some line on. */
static int read_tail(int fd, buf *to) {
    struct stat now;
    if (fstat(fd, &now) < 0)
        return -errno;
    off_t from = now.st_size > TAIL_MAX ? now.st_size - TAIL_MAX : 0;
    char *room = buf_extend(to, (size_t)(now.st_size - from));
    ssize_t n = room ? pread(fd, room, (size_t)(now.st_size - from), from) : -1;
    return n == now.st_size - from ? 0 : -EIO;
}

static void find_newest(checkpoints *p) {
    CLEANUP(buf_release) buf tail = BUF(TAIL_MAX);
    CLEANUP(keyset_freep) keyset *keys = NULL;
    int fd = p->path ? open(p->path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    bool good = read_tail(fd, &tail) == 0 && keys_of(p, &keys) == 0;
    (void)close(fd);
    text rest = buf_text(&tail), line;
    audit_checkpoint c;
    while (good && text_next(&rest, '\n', &line))
        if (line.len > 0 && genuine(keys, line, &c) && (!p->has_newest || c.position >= p->newest.position)) {
            p->newest = c;
            p->has_newest = true;
        }
}

checkpoints *checkpoints_new(const settings *s) {
    checkpoints *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->settings = s;
    if (s->state_dir && *s->state_dir && asprintf(&p->path, "%s/" CHECKPOINTS_FILE, s->state_dir) < 0) {
        p->path = NULL;
        return checkpoints_free(p);
    }
    find_newest(p);
    return p;
}

checkpoints *checkpoints_free(checkpoints *p) {
    if (p) {
        free(p->path);
        free(p);
    }
    return NULL;
}

const audit_checkpoint *checkpoints_newest(const checkpoints *p) {
    return p->has_newest ? &p->newest : NULL;
}

/* A line that a crash left half-written is ended first. */
static int append(int fd, text jws) {
    CLEANUP(buf_release) buf line = BUF(AUDIT_SIGNED_MAX + 2);
    struct stat now;
    char last = '\n';
    if (fstat(fd, &now) < 0 || (now.st_size > 0 && pread(fd, &last, 1, now.st_size - 1) != 1))
        return -EIO;
    if (last != '\n')
        buf_add_char(&line, '\n');
    buf_add_text(&line, jws);
    buf_add_char(&line, '\n');
    if (buf_failed(&line) < 0)
        return buf_failed(&line);
    ssize_t n = write(fd, line.ptr, line.len);
    if (n < 0)
        return -errno;
    return (size_t)n < line.len ? -ENOSPC : fsync(fd) < 0 ? -errno : 0;
}

static void sync_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

int checkpoints_keep(checkpoints *p, const audit_checkpoint *c, text jws, char ret_why[CHECKPOINTS_WHY_MAX]) {
    if (!p->path)
        return because(ret_why, -ENOENT, "there is no [node] state_dir to keep checkpoints in");
    bool is_new = access(p->path, F_OK) != 0;
    int fd = open(p->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int fault = fd < 0 ? -errno : append(fd, jws);
    if (fd >= 0)
        (void)close(fd);
    if (fault < 0)
        return because(ret_why, fault, "%s: %s", p->path, strerror(-fault));
    if (is_new)
        sync_folder(p->settings->state_dir);
    p->newest = *c;
    p->has_newest = true;
    return 0;
}
