/* notification.c - see notification.h. */
#include "core/notification.h"

#include <errno.h>
#include <stdio.h>

#include "core/mac.h"

#define CONTENT_MAX 2048

/* `head`: thirteen characters of a UUID, its time. */
static int make(const char *head, text content, char ret_id[UUID_TEXT_LEN + 1]) {
    uint8_t digest[MD5_LEN];
    CLEANUP(buf_release) buf hex = BUF(2 * MD5_LEN);
    int fault = md5(content, digest);
    if (fault < 0)
        return fault;
    hex_add(digest, sizeof digest, &hex);
    if (buf_failed(&hex) < 0)
        return -ENOMEM;
    (void)snprintf(ret_id, UUID_TEXT_LEN + 1, "%.13s-7%.3s-a%.3s-%.12s", head, hex.ptr, hex.ptr + 3,
                   hex.ptr + 6);
    return 0;
}

int notification_id(const notification_key *k, char ret_id[UUID_TEXT_LEN + 1]) {
    uuid alert;
    CLEANUP(buf_release) buf content = BUF(CONTENT_MAX);
    if (uuid_parse(k->alert, &alert) < 0)
        return -EINVAL;
    buf_add_text(&content, k->org);
    buf_printf(&content, "/%.*s/%lld/%lld/%lld/", (int)k->alert.len, k->alert.ptr, (long long)k->forgotten,
               (long long)k->round, (long long)k->level);
    buf_add_text(&content, k->whom);
    buf_printf(&content, "/%lld", (long long)k->place);
    return buf_failed(&content) < 0 ? buf_failed(&content) : make(k->alert.ptr, buf_text(&content), ret_id);
}

int derived_id(text content, instant at, char ret_id[UUID_TEXT_LEN + 1]) {
    static const uint8_t nothing[10];
    char time[UUID_TEXT_LEN + 1];
    uuid moment = uuid7_make(at / 1000, nothing);
    uuid_format(&moment, time);
    return make(time, content, ret_id);
}
