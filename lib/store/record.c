/* record.c - see record.h. Layout: version (1), flags (1), received_at (8), then org, sender, client, roles
 * and topic with 16-bit lengths and the payload with a 32-bit one. */
#include "store/record.h"

#include <errno.h>

enum {
    RECORD_VERSION = 1,
    RECORD_FLAGS_KNOWN = RECORD_WILL | RECORD_REPEAT,
};

static void add_short(buf *to, text t) {
    if (t.len > UINT16_MAX) {
        to->fault = to->fault ? to->fault : -EMSGSIZE;
        return;
    }
    buf_add_u16be(to, (uint16_t)t.len);
    buf_add_text(to, t);
}

void record_encode(const record *r, buf *to) {
    if (r->payload.len > UINT32_MAX) {
        to->fault = to->fault ? to->fault : -EMSGSIZE;
        return;
    }
    buf_add_char(to, RECORD_VERSION);
    buf_add_char(to, (char)r->flags);
    buf_add_u64be(to, (uint64_t)r->received_at);
    add_short(to, r->org);
    add_short(to, r->sender);
    add_short(to, r->client);
    add_short(to, r->roles);
    add_short(to, r->topic);
    buf_add_u32be(to, (uint32_t)r->payload.len);
    buf_add_text(to, r->payload);
}

/* Takes a big-endian number of `width` bytes off the front of *rest. */
static bool take_number(text *rest, size_t width, uint64_t *ret_value) {
    if (rest->len < width)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | (unsigned char)rest->ptr[i];
    *rest = (text){rest->ptr + width, rest->len - width};
    *ret_value = value;
    return true;
}

static bool take_text(text *rest, size_t width, text *ret_value) {
    uint64_t len;
    if (!take_number(rest, width, &len) || rest->len < len)
        return false;
    *ret_value = (text){rest->ptr, (size_t)len};
    *rest = (text){rest->ptr + len, rest->len - (size_t)len};
    return true;
}

int record_decode(text bytes, record *ret_record) {
    record r = {0};
    uint64_t version, flags, received_at;
    if (!take_number(&bytes, 1, &version) || version != RECORD_VERSION)
        return -EBADMSG;
    if (!take_number(&bytes, 1, &flags) || (flags & ~(uint64_t)RECORD_FLAGS_KNOWN))
        return -EBADMSG;
    if (!take_number(&bytes, 8, &received_at))
        return -EBADMSG;
    if (!take_text(&bytes, 2, &r.org) || !take_text(&bytes, 2, &r.sender) ||
        !take_text(&bytes, 2, &r.client) || !take_text(&bytes, 2, &r.roles) ||
        !take_text(&bytes, 2, &r.topic) || !take_text(&bytes, 4, &r.payload) || bytes.len > 0)
        return -EBADMSG;
    r.flags = (unsigned)flags;
    r.received_at = (instant)received_at;
    *ret_record = r;
    return 0;
}

bool has_role(text roles, text role) {
    text one;
    while (text_next(&roles, ' ', &one))
        if (text_equal(one, role))
            return true;
    return false;
}

text record_actor(const record *r, text by) {
    return by.ptr && has_role(r->roles, TEXT("gateway")) ? by : r->sender;
}
