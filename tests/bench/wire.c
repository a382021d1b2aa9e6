/* wire.c - MQTT packets as bytes. */
#include "wire.h"

#define CONNECT          0x10
#define PUBLISH          0x30
#define PUBACK           0x40
#define SUBSCRIBE        0x82
#define DISCONNECT       0xE0
#define FLAG_CLEAN       0x02
#define FLAG_CREDENTIALS 0xC0
#define LENGTH_BYTES_MAX 4

static size_t length_size(size_t length) {
    size_t size = 1;
    while (length >>= 7)
        size++;
    return size;
}

static uint8_t *put_length(uint8_t *at, size_t length) {
    do {
        uint8_t byte = length & 0x7F;
        length >>= 7;
        *at++ = (uint8_t)(byte | (length ? 0x80 : 0));
    } while (length);
    return at;
}

/* The fixed header of a packet whose rest is `remaining` bytes long. */
static void begin(buf *to, uint8_t first, size_t remaining) {
    uint8_t *at = (uint8_t *)buf_extend(to, 1 + length_size(remaining));
    if (!at)
        return;
    *at++ = first;
    put_length(at, remaining);
}

static void put_text(buf *to, text t) {
    buf_add_u16be(to, (uint16_t)t.len);
    buf_add_text(to, t);
}

wire_verdict wire_take(const uint8_t *bytes, size_t len, wire_packet *ret_packet, size_t *ret_used) {
    size_t remaining = 0, at = 1;
    for (int shift = 0;; shift += 7, at++) {
        if (at > LENGTH_BYTES_MAX)
            return WIRE_MALFORMED;
        if (at >= len)
            return WIRE_INCOMPLETE;
        remaining |= (size_t)(bytes[at] & 0x7F) << shift;
        if (!(bytes[at] & 0x80))
            break;
    }
    at++;
    if (len - at < remaining)
        return WIRE_INCOMPLETE;
    *ret_packet = (wire_packet){bytes[0] >> 4, bytes[0] & 0x0F, bytes + at, remaining};
    *ret_used = at + remaining;
    return WIRE_COMPLETE;
}

void wire_connect(buf *to, wire_version version, text client, text username, text password) {
    bool credentials = password.len > 0;
    size_t properties = version == WIRE_V5 ? 1 : 0;
    size_t remaining = 10 + properties + 2 + client.len;
    if (credentials)
        remaining += 2 + username.len + 2 + password.len;
    begin(to, CONNECT, remaining);
    put_text(to, TEXT("MQTT"));
    buf_add_char(to, (char)version);
    buf_add_char(to, (char)(FLAG_CLEAN | (credentials ? FLAG_CREDENTIALS : 0)));
    buf_add_u16be(to, 0);
    if (properties)
        buf_add_char(to, 0);
    put_text(to, client);
    if (credentials) {
        put_text(to, username);
        put_text(to, password);
    }
}

void wire_publish(buf *to, wire_version version, text topic, text payload, int qos, uint16_t id) {
    size_t remaining = 2 + topic.len + (qos ? 2u : 0u) + (version == WIRE_V5 ? 1u : 0u) + payload.len;
    begin(to, (uint8_t)(PUBLISH | qos << 1), remaining);
    put_text(to, topic);
    if (qos)
        buf_add_u16be(to, id);
    if (version == WIRE_V5)
        buf_add_char(to, 0);
    buf_add_text(to, payload);
}

void wire_subscribe(buf *to, wire_version version, text filter, int qos, uint16_t id) {
    begin(to, SUBSCRIBE, 2 + (version == WIRE_V5 ? 1u : 0u) + 2 + filter.len + 1);
    buf_add_u16be(to, id);
    if (version == WIRE_V5)
        buf_add_char(to, 0);
    put_text(to, filter);
    buf_add_char(to, (char)qos);
}

void wire_puback(buf *to, uint16_t id) {
    begin(to, PUBACK, 2);
    buf_add_u16be(to, id);
}

void wire_disconnect(buf *to, wire_version version) {
    (void)version; /* without reason and properties both versions spell it the same */
    begin(to, DISCONNECT, 0);
}

static uint16_t u16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

int wire_code(const wire_packet *packet, wire_version version) {
    if (packet->type == WIRE_CONNACK)
        return packet->len >= 2 ? packet->body[1] : 0xFF;
    if (packet->type == WIRE_SUBACK) /* one filter, so the last byte is its code */
        return packet->len >= 3 ? packet->body[packet->len - 1] : 0xFF;
    if (packet->type == WIRE_PUBACK && version == WIRE_V5)
        return packet->len > 2 ? packet->body[2] : 0;
    if (packet->type == WIRE_DISCONNECT)
        return packet->len > 0 ? packet->body[0] : 0;
    return 0;
}

const char *wire_connack_reason(int code, wire_version version) {
    static const struct {
        int code;
        wire_version version;
        const char *reason;
    } reasons[] = {
        {1, WIRE_V311, "unacceptable protocol version"},
        {2, WIRE_V311, "client id rejected"},
        {3, WIRE_V311, "server unavailable"},
        {4, WIRE_V311, "bad user name or password"},
        {5, WIRE_V311, "not authorised"},
        {0x80, WIRE_V5, "unspecified error"},
        {0x84, WIRE_V5, "unsupported protocol version"},
        {0x85, WIRE_V5, "client id not valid"},
        {0x86, WIRE_V5, "bad user name or password"},
        {0x87, WIRE_V5, "not authorised"},
        {0x88, WIRE_V5, "server unavailable"},
        {0x89, WIRE_V5, "server busy"},
        {0x97, WIRE_V5, "quota exceeded"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].code == code && reasons[i].version == version)
            return reasons[i].reason;
    return "another reason";
}

uint16_t wire_id(const wire_packet *packet) {
    return packet->len >= 2 ? u16(packet->body) : 0;
}

/* Steps over the MQTT 5 properties at `at`. */
static bool skip_properties(const wire_packet *p, size_t *at) {
    size_t length = 0;
    for (int shift = 0; shift < 28; shift += 7) {
        if (*at >= p->len)
            return false;
        uint8_t byte = p->body[(*at)++];
        length |= (size_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *at += length;
            return *at <= p->len;
        }
    }
    return false;
}

bool wire_read_publish(const wire_packet *p, wire_version version, wire_message *ret_message) {
    if (p->len < 2)
        return false;
    wire_message m = {.qos = p->flags >> 1 & 3};
    size_t at = 2 + (size_t)u16(p->body);
    if (at + (m.qos ? 2 : 0) > p->len)
        return false;
    m.topic = (text){(const char *)p->body + 2, at - 2};
    if (m.qos) {
        m.id = u16(p->body + at);
        at += 2;
    }
    if (version == WIRE_V5 && !skip_properties(p, &at))
        return false;
    m.payload = (text){(const char *)p->body + at, p->len - at};
    *ret_message = m;
    return true;
}
