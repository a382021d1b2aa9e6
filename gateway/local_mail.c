/* local_mail.c - see local.h: letters. */
#include "gateway/local_inside.h"

#include <errno.h>
#include <sys/eventfd.h>

#define DAY (INT64_C(86400) * INSTANT_SECOND)

/* With the lock held, in a transaction. *ret_new: it was not known. */
static int see(local *l, text key, instant now, bool *ret_new) {
    sqlite3_stmt *s = local_ready(l, LOCAL_FORGET);
    (void)sqlite3_bind_int64(s, 1, now - DAY);
    int fault = local_run(l, LOCAL_FORGET);
    if (fault < 0)
        return fault;
    s = local_ready(l, LOCAL_SEE);
    local_bind(s, 1, key);
    (void)sqlite3_bind_int64(s, 2, now);
    fault = local_run(l, LOCAL_SEE);
    *ret_new = sqlite3_changes(l->db) > 0;
    return fault;
}

/* Likewise. *ret_gained: by how much there are more letters. */
static int add(local *l, text key, text body, bool answer, instant now, size_t *ret_gained) {
    size_t gained = 1;
    if (atomic_load(&l->letters) >= l->most) {
        int fault = local_run(l, LOCAL_MAKE_ROOM);
        if (fault < 0)
            return fault;
        if (sqlite3_changes(l->db) == 0)
            return -ENOSPC;
        gained = 0;
    }
    sqlite3_stmt *s = local_ready(l, LOCAL_ADD_LETTER);
    local_bind(s, 1, key);
    local_bind(s, 2, body);
    (void)sqlite3_bind_int(s, 3, answer);
    (void)sqlite3_bind_int64(s, 4, now);
    int fault = local_run(l, LOCAL_ADD_LETTER);
    /* One that has waited for more than a day is there still, and seen no more. */
    if (fault == 0 && sqlite3_changes(l->db) == 0)
        return -EEXIST;
    *ret_gained = gained;
    return fault;
}

int local_put_mail(local *l, text key, text body, bool answer, instant now) {
    bool is_new = false;
    size_t gained = 0;
    if (key.len == 0 || key.len > LOCAL_BODY_MAX || body.len > LOCAL_BODY_MAX)
        return -EINVAL;
    local_lock(l);
    int fault = local_run(l, LOCAL_BEGIN);
    if (fault == 0) {
        fault = see(l, key, now, &is_new);
        if (fault == 0 && is_new)
            fault = add(l, key, body, answer, now, &gained);
        bool there = fault == -EEXIST;
        fault = local_end(l, fault);
        if (there) {
            fault = 0;
            is_new = false;
        }
    }
    if (fault == 0 && is_new) {
        atomic_fetch_add(&l->letters, gained);
        (void)eventfd_write(l->mail_fd, 1);
    }
    local_unlock(l);
    return fault;
}

static int read_mail(local *l, local_statement which, size_t most, int64_t behind, letter_visit visit,
                     void *context) {
    local_lock(l);
    sqlite3_stmt *s = local_ready(l, which);
    (void)sqlite3_bind_int64(s, 1, most > LOCAL_MAIL_MAX ? LOCAL_MAIL_MAX : (int64_t)most);
    if (which == LOCAL_ANSWERS)
        (void)sqlite3_bind_int64(s, 2, behind);
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        letter one = {.number = sqlite3_column_int64(s, 0),
                      .key = local_column(s, 1),
                      .body = local_column(s, 2),
                      .received_at = sqlite3_column_int64(s, 3),
                      .answer = sqlite3_column_int(s, 4) != 0};
        visit(context, &one);
    }
    (void)sqlite3_reset(s);
    local_unlock(l);
    return local_fault(code);
}

int local_read_mail(local *l, size_t most, letter_visit visit, void *context) {
    return read_mail(l, LOCAL_LETTERS, most, 0, visit, context);
}

int local_read_answers(local *l, int64_t behind, size_t most, letter_visit visit, void *context) {
    return read_mail(l, LOCAL_ANSWERS, most, behind, visit, context);
}

int local_drop_mail(local *l, const int64_t *numbers, size_t count) {
    size_t dropped = 0;
    local_lock(l);
    int fault = local_run(l, LOCAL_BEGIN);
    if (fault == 0) {
        for (size_t i = 0; fault == 0 && i < count; i++) {
            (void)sqlite3_bind_int64(local_ready(l, LOCAL_DROP_LETTER), 1, numbers[i]);
            fault = local_run(l, LOCAL_DROP_LETTER);
            dropped += fault == 0 && sqlite3_changes(l->db) > 0;
        }
        fault = local_end(l, fault);
    }
    if (fault == 0)
        atomic_fetch_sub(&l->letters, dropped);
    local_unlock(l);
    return fault;
}

size_t local_mail_count(local *l) {
    return atomic_load(&l->letters);
}

int local_mail_fd(local *l) {
    return l->mail_fd;
}
