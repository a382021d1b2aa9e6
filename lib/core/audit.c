/* audit.c - see audit.h. Whether a whole trail is sound is audit_trail.c. */
#include "core/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base64url.h"
#include "core/keyset_private.h"

#define SPELLING   TEXT("mayday-audit-1")
#define TYP        TEXT("mayday-checkpoint")
#define NUMBER_MAX 24

const audit_hash audit_origin;

struct audit_hasher {
    EVP_MD *sha256;
    EVP_MD_CTX *ctx;
};

audit_hasher *audit_hasher_new(void) {
    audit_hasher *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    h->ctx = EVP_MD_CTX_new();
    return h->sha256 && h->ctx ? h : audit_hasher_free(h);
}

audit_hasher *audit_hasher_free(audit_hasher *h) {
    if (h) {
        EVP_MD_CTX_free(h->ctx);
        EVP_MD_free(h->sha256);
        free(h);
    }
    return NULL;
}

static bool add_field(audit_hasher *h, text t) {
    uint32_t len = t.ptr ? (uint32_t)t.len : UINT32_MAX;
    unsigned char head[] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
                            (unsigned char)len};
    return (!t.ptr || t.len < UINT32_MAX) && EVP_DigestUpdate(h->ctx, head, sizeof head) == 1 &&
           EVP_DigestUpdate(h->ctx, t.ptr, t.ptr ? t.len : 0) == 1;
}

static bool add_number(audit_hasher *h, int64_t value) {
    char decimal[NUMBER_MAX];
    int len = snprintf(decimal, sizeof decimal, "%" PRId64, value);
    return add_field(h, (text){decimal, (size_t)len});
}

/* A text that must be there: its NULL is an empty one. */
static text there(text t) {
    return t.ptr ? t : TEXT("");
}

int audit_hash_entry(audit_hasher *h, const audit_entry *e, audit_hash *ret_hash) {
    audit_hash hash;
    bool done = EVP_DigestInit_ex2(h->ctx, h->sha256, NULL) == 1 && add_field(h, SPELLING) &&
                add_number(h, (int64_t)e->position) && add_field(h, there(e->id)) && add_number(h, e->at) &&
                add_number(h, e->sealed_at) && add_field(h, there(e->org)) && add_field(h, there(e->kind)) &&
                add_field(h, there(e->actor)) && add_field(h, e->person) && add_field(h, e->alert) &&
                add_field(h, there(e->detail)) && EVP_DigestFinal_ex(h->ctx, hash.bytes, NULL) == 1;
    if (!done)
        return -ENOMEM;
    *ret_hash = hash;
    return 0;
}

int audit_hash_chain(audit_hasher *h, const audit_hash *before, const audit_hash *entry,
                     audit_hash *ret_chain) {
    audit_hash chain;
    bool done = EVP_DigestInit_ex2(h->ctx, h->sha256, NULL) == 1 &&
                EVP_DigestUpdate(h->ctx, before->bytes, AUDIT_HASH_LEN) == 1 &&
                EVP_DigestUpdate(h->ctx, entry->bytes, AUDIT_HASH_LEN) == 1 &&
                EVP_DigestFinal_ex(h->ctx, chain.bytes, NULL) == 1;
    if (!done)
        return -ENOMEM;
    *ret_chain = chain;
    return 0;
}

bool audit_hash_equal(const audit_hash *a, const audit_hash *b) {
    return memcmp(a->bytes, b->bytes, AUDIT_HASH_LEN) == 0;
}

void audit_hash_print(const audit_hash *hash, char ret_hex[AUDIT_HEX_LEN + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < AUDIT_HASH_LEN; i++) {
        ret_hex[2 * i] = digits[hash->bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    ret_hex[AUDIT_HEX_LEN] = '\0';
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int audit_hash_parse(text hex, audit_hash *ret_hash) {
    audit_hash hash;
    if (hex.len != AUDIT_HEX_LEN)
        return -EINVAL;
    for (size_t i = 0; i < AUDIT_HASH_LEN; i++) {
        int high = digit(hex.ptr[2 * i]), low = digit(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        hash.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *ret_hash = hash;
    return 0;
}

int audit_checkpoint_sign(const signer *key, const audit_checkpoint *c, buf *to) {
    CLEANUP(buf_release) buf payload = BUF(512);
    char hex[AUDIT_HEX_LEN + 1], at[INSTANT_TEXT_LEN + 1];
    audit_hash_print(&c->chain, hex);
    instant_format(c->at, at);
    buf_printf(&payload, "{\"position\":%" PRIu64 ",\"chain_hash\":\"%s\",\"at\":\"%s\"%s}", c->position, hex,
               at, c->ends_month ? ",\"ends_month\":true" : "");
    return buf_failed(&payload) < 0 ? -ENOMEM : signer_sign_typed(key, TYP, buf_text(&payload), to);
}

typedef struct jws_parts {
    text header, payload, signature; /* still encoded */
    text signed_part;
} jws_parts;

static bool split(text jws, jws_parts *ret_parts) {
    jws_parts p;
    text rest = jws;
    if (!jws.ptr || jws.len > AUDIT_SIGNED_MAX || !text_next(&rest, '.', &p.header) ||
        !text_next(&rest, '.', &p.payload) || !rest.ptr)
        return false;
    p.signature = rest; /* a further '.' is no base64url and fails there */
    p.signed_part = (text){jws.ptr, p.header.len + 1 + p.payload.len};
    *ret_parts = p;
    return true;
}

static json_verdict decode(text part, json **ret_root) {
    unsigned char bytes[BASE64URL_DECODED_MAX(AUDIT_SIGNED_MAX)];
    size_t len;
    if (base64url_decode(part, bytes, &len) < 0)
        return JSON_MALFORMED;
    return json_parse_once((text){(const char *)bytes, len}, ret_root);
}

static bool payload_of(const json *root, audit_checkpoint *ret_checkpoint) {
    audit_checkpoint c = {0};
    const json *position = json_get(root, "position"), *ends = json_get(root, "ends_month");
    if (json_kind_of(position) != JSON_INTEGER || json_integer(position) < 1 ||
        (ends && json_kind_of(ends) != JSON_BOOL) ||
        audit_hash_parse(json_get_string(root, "chain_hash"), &c.chain) < 0 ||
        instant_parse(json_get_string(root, "at"), &c.at) < 0)
        return false;
    c.position = (uint64_t)json_integer(position);
    c.ends_month = ends && json_boolean(ends);
    *ret_checkpoint = c;
    return true;
}

static int fault_of(json_verdict verdict) {
    return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
}

int audit_checkpoint_read(text jws, audit_checkpoint *ret_checkpoint, char ret_kid[AUDIT_KID_MAX]) {
    CLEANUP(json_freep) json *header = NULL, *payload = NULL;
    jws_parts parts;
    audit_checkpoint c;
    if (!split(jws, &parts))
        return -EBADMSG;
    json_verdict verdict = decode(parts.header, &header);
    if (verdict == JSON_OK)
        verdict = decode(parts.payload, &payload);
    if (verdict != JSON_OK)
        return fault_of(verdict);
    text kid = json_get_string(header, "kid");
    if (kid.len >= AUDIT_KID_MAX || !payload_of(payload, &c))
        return -EBADMSG;
    (void)snprintf(ret_kid, AUDIT_KID_MAX, "%.*s", (int)kid.len, kid.ptr ? kid.ptr : "");
    *ret_checkpoint = c;
    return 0;
}

/* A token of the same issuer must not pass for a checkpoint: hence the type. */
static token_verdict choose(const keyset *keys, text encoded, const ready_key **ret_key) {
    CLEANUP(json_freep) json *header = NULL;
    const json *kid = NULL, *crit = NULL;
    json_verdict verdict = decode(encoded, &header);
    if (verdict != JSON_OK)
        return verdict == JSON_NO_MEMORY ? TOKEN_NO_MEMORY : TOKEN_REFUSED;
    if (!text_equal(there(json_get_string(header, "typ")), TYP) || json_member(header, "crit", &crit) ||
        json_kind_of(json_get(header, "alg")) != JSON_STRING ||
        (json_member(header, "kid", &kid) && json_kind_of(kid) != JSON_STRING))
        return TOKEN_REFUSED;
    return keyset_choose(keys, json_string(kid), algorithm_named(json_get_string(header, "alg")), ret_key);
}

token_verdict audit_checkpoint_verify(const keyset *keys, text jws) {
    unsigned char signature[BASE64URL_DECODED_MAX(AUDIT_SIGNED_MAX)];
    const ready_key *key = NULL;
    size_t len;
    jws_parts parts;
    if (!split(jws, &parts))
        return TOKEN_REFUSED;
    token_verdict verdict = choose(keys, parts.header, &key);
    if (verdict != TOKEN_ACCEPTED)
        return verdict;
    if (base64url_decode(parts.signature, signature, &len) < 0)
        return TOKEN_REFUSED;
    return keyset_check_signature(keys, key, parts.signed_part, (text){(const char *)signature, len});
}
