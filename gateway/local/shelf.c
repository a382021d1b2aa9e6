/* shelf.c - see local.h: documents by name. */
#include "gateway/local/inside.h"

#include <errno.h>

static sqlite3_stmt *named(local *l, local_statement which, text shelf, text name) {
    sqlite3_stmt *s = local_ready(l, which);
    sqlite_bind(s, 1, shelf);
    sqlite_bind(s, 2, name);
    return s;
}

int local_put(local *l, text shelf, text name, text body) {
    if (body.len > LOCAL_DOCUMENT_MAX)
        return -EMSGSIZE;
    local_lock(l);
    sqlite_bind(named(l, LOCAL_PUT, shelf, name), 3, body);
    int fault = local_run(l, LOCAL_PUT);
    local_unlock(l);
    return fault;
}

int local_each(local *l, text shelf, local_visit visit, void *context) {
    int code;
    local_lock(l);
    sqlite3_stmt *s = local_ready(l, LOCAL_EACH);
    sqlite_bind(s, 1, shelf);
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        visit(context, sqlite_column(s, 0), sqlite_column(s, 1));
    sqlite_rest(s);
    local_unlock(l);
    return sqlite_fault(code);
}

int local_get(local *l, text shelf, text name, buf *to) {
    local_lock(l);
    sqlite3_stmt *s = named(l, LOCAL_GET, shelf, name);
    int code = sqlite3_step(s), fault = sqlite_fault(code);
    if (code == SQLITE_ROW) {
        buf_add_text(to, sqlite_column(s, 0));
        fault = buf_failed(to);
    } else if (fault == 0) {
        fault = -ENOENT;
    }
    sqlite_rest(s);
    local_unlock(l);
    return fault;
}

bool local_empty(local *l, text shelf) {
    local_lock(l);
    sqlite3_stmt *s = local_ready(l, LOCAL_ANY);
    sqlite_bind(s, 1, shelf);
    bool any = sqlite3_step(s) == SQLITE_ROW;
    sqlite_rest(s);
    local_unlock(l);
    return !any;
}

int local_drop(local *l, text shelf, text name) {
    local_lock(l);
    (void)named(l, LOCAL_DROP, shelf, name);
    int fault = local_run(l, LOCAL_DROP);
    local_unlock(l);
    return fault;
}

int local_trim(local *l, text shelf, size_t most) {
    local_lock(l);
    sqlite3_stmt *s = local_ready(l, LOCAL_TRIM);
    sqlite_bind(s, 1, shelf);
    (void)sqlite3_bind_int64(s, 2, (int64_t)most);
    int fault = local_run(l, LOCAL_TRIM);
    local_unlock(l);
    return fault;
}

int local_put_spoken(local *l, text notification, text body) {
    int fault = local_put(l, TEXT("spoken"), notification, body);
    return fault < 0 ? fault : local_trim(l, TEXT("spoken"), LOCAL_SPOKEN_MAX);
}
