/* letters.c - see local.h: letters. Those that come at the same time are forced to disk together: whoever
 * comes first writes for all who come meanwhile. */
#include "gateway/local/inside.h"

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
    sqlite_bind(s, 1, key);
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
    sqlite_bind(s, 1, key);
    sqlite_bind(s, 2, body);
    (void)sqlite3_bind_int(s, 3, answer);
    (void)sqlite3_bind_int64(s, 4, now);
    int fault = local_run(l, LOCAL_ADD_LETTER);
    /* One that has waited for more than a day is there still, and seen no more. */
    if (fault == 0 && sqlite3_changes(l->db) == 0)
        return -EEXIST;
    *ret_gained = gained;
    return fault;
}

/* One letter of a transaction: what goes wrong with it is undone, and is no business of the others. Likewise.
 * Returns a fault that ends the transaction; what became of the letter is in it. */
static int post(local *l, posting *p, size_t *gained) {
    int fault = local_run(l, LOCAL_SAVE);
    if (fault < 0)
        return fault;
    p->fault = see(l, p->key, p->now, &p->is_new);
    if (p->fault == 0 && p->is_new)
        p->fault = add(l, p->key, p->body, p->answer, p->now, gained);
    if (p->fault < 0 && sqlite3_get_autocommit(l->db)) /* some faults have rolled back all by themselves */
        return p->fault;
    if (p->fault < 0)
        fault = local_run(l, LOCAL_UNDO);
    if (fault == 0)
        fault = local_run(l, LOCAL_SAVED);
    if (p->fault < 0)
        p->is_new = false;
    if (p->fault == -EEXIST)
        p->fault = 0;
    return fault;
}

static void post_all(local *l, posting *first) {
    size_t gained = 0;
    bool some = false;
    local_lock(l);
    int fault = local_run(l, LOCAL_BEGIN);
    if (fault == 0) {
        for (posting *p = first; fault == 0 && p; p = p->next) {
            size_t more = 0;
            fault = post(l, p, &more);
            gained += more;
            some |= p->is_new;
            atomic_fetch_add(&l->letters, more); /* the next one's room is judged by it */
        }
        fault = local_end(l, fault);
    }
    if (fault < 0)
        atomic_fetch_sub(&l->letters, gained);
    else if (some)
        (void)eventfd_write(l->mail_fd, 1);
    local_unlock(l);
    for (posting *p = first; fault < 0 && p; p = p->next)
        p->fault = fault;
}

/* With the gate closed, and again when it returns: while one transaction is forced to disk, the letters of
 * the next one gather. */
static void post_those_here(local *l) {
    posting *first = l->first;
    l->first = NULL;
    l->end = &l->first;
    l->posting = true;
    (void)pthread_mutex_unlock(&l->gate);
    post_all(l, first);
    (void)pthread_mutex_lock(&l->gate);
    for (posting *p = first; p; p = p->next)
        p->over = true;
    l->posting = false;
    (void)pthread_cond_broadcast(&l->posted);
}

int local_put_mail(local *l, text key, text body, bool answer, instant now) {
    posting own = {.key = key, .body = body, .answer = answer, .now = now};
    if (key.len == 0 || key.len > LOCAL_BODY_MAX || body.len > LOCAL_BODY_MAX)
        return -EINVAL;
    (void)pthread_mutex_lock(&l->gate);
    *l->end = &own; /* it leaves the list before we do */
    // cppcheck-suppress autoVariables
    l->end = &own.next;
    while (!own.over)
        if (l->posting)
            (void)pthread_cond_wait(&l->posted, &l->gate);
        else
            post_those_here(l);
    (void)pthread_mutex_unlock(&l->gate);
    return own.fault;
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
                      .key = sqlite_column(s, 1),
                      .body = sqlite_column(s, 2),
                      .received_at = sqlite3_column_int64(s, 3),
                      .answer = sqlite3_column_int(s, 4) != 0};
        visit(context, &one);
    }
    (void)sqlite3_reset(s);
    local_unlock(l);
    return sqlite_fault(code);
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
