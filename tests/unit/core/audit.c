#include "core/audit.h"
#include "token_support.h"

/* The hashes were computed with Python's hashlib. */
static const struct {
    audit_entry entry;
    const char *entry_hash, *chain_hash;
} vectors[] = {
    {{1,
      TEXT("01a8b2c3-0000-7000-8000-000000000001"),
      INT64_C(1763697600123456),
      INT64_C(1763697600623000),
      TEXT("acme"),
      TEXT("incident.raise"),
      TEXT("ann"),
      {NULL, 0},
      TEXT("01a8b2c3-0000-7000-8000-0000000000aa"),
      TEXT("{\"type\": \"panic\"}")},
     "58a865b13acc6bb8aec813988c76a8d8e5c05e96e83367148906ceeac61c815d",
     "1fae680206389e665cda0bce705e74f2e45dcbe4854783bf82541dec97bfed46"},
    {{2, TEXT("01a8b2c3-0000-7000-8000-000000000002"), INT64_C(1763697600123456), INT64_C(1763697600623000),
      TEXT("acme"), TEXT("member.set"), TEXT("dana"), TEXT(""), TEXT("01a8b2c3-0000-7000-8000-0000000000aa"),
      TEXT("{\"text\": \"sp\xc3\xa4ter\"}")},
     "83f5e8d2115bfce76af4a8828a02c403b4fff1110fc6487dd6f703e963274285",
     "0a66d3ac614fe5387e2eb6eb3a6d60a8c9ab61fd1940be3b3915d3094690bc52"},
    {{3,
      TEXT("01a8b2c3-0000-7000-8000-000000000003"),
      -1,
      0,
      TEXT(""),
      TEXT(""),
      TEXT(""),
      {NULL, 0},
      {NULL, 0},
      TEXT("{}")},
     "55911061865362749bb5bc27e4804502a2d7fe23ce322c28e3ce8cde1bfb22d5",
     "0f00f07d94eb62d7b2f59a79b8a96f6e0fba1a2ac6855d11213b324db003aaff"},
};

static audit_hash hash_of(const audit_entry *e) {
    CLEANUP(audit_hasher_freep) audit_hasher *h = audit_hasher_new();
    audit_hash hash = {{0}};
    ck_assert_ptr_nonnull(h);
    ck_assert_int_eq(audit_hash_entry(h, e, &hash), 0);
    return hash;
}

START_TEST(hashes_are_those_of_another_maker) {
    CLEANUP(audit_hasher_freep) audit_hasher *h = audit_hasher_new();
    audit_hash chain = audit_origin;
    char hex[AUDIT_HEX_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        audit_hash entry;
        ck_assert_int_eq(audit_hash_entry(h, &vectors[i].entry, &entry), 0);
        audit_hash_print(&entry, hex);
        ck_assert_str_eq(hex, vectors[i].entry_hash);
        ck_assert_int_eq(audit_hash_chain(h, &chain, &entry, &chain), 0);
        audit_hash_print(&chain, hex);
        ck_assert_str_eq(hex, vectors[i].chain_hash);
    }
}
END_TEST

START_TEST(every_field_counts_and_none_can_flow_into_the_next) {
    const audit_entry base = {1,         TEXT("i"), 2,         3,         TEXT("o"),
                              TEXT("k"), TEXT("a"), TEXT("p"), TEXT("l"), TEXT("d")};
    audit_entry changed[] = {base, base, base, base, base, base, base, base, base, base, base, base, base};
    changed[0].position = 2;
    changed[1].id = TEXT("j");
    changed[2].at = 3;
    changed[3].sealed_at = 2;
    changed[4].org = TEXT("ok");
    changed[4].kind = TEXT("");
    changed[5].kind = TEXT("K");
    changed[6].actor = TEXT("ap");
    changed[6].person = TEXT("");
    changed[7].person = (text){NULL, 0};
    changed[8].person = TEXT("");
    changed[9].alert = (text){NULL, 0};
    changed[10].detail = TEXT("D");
    changed[11].person = base.alert;
    changed[11].alert = base.person;
    changed[12].org = TEXT("");
    changed[12].kind = TEXT("ok");
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        audit_hash hash = hash_of(&changed[i]), other = hash_of(&base);
        ck_assert_msg(!audit_hash_equal(&hash, &other), "row %zu", i);
        for (size_t j = 0; j < i; j++) {
            other = hash_of(&changed[j]);
            ck_assert_msg(!audit_hash_equal(&hash, &other), "rows %zu and %zu", i, j);
        }
    }
}
END_TEST

START_TEST(a_hash_is_read_only_as_it_is_printed) {
    char hex[AUDIT_HEX_LEN + 1];
    audit_hash hash = hash_of(&vectors[0].entry), back;
    audit_hash_print(&hash, hex);
    ck_assert_int_eq(audit_hash_parse(text_of(hex), &back), 0);
    ck_assert(audit_hash_equal(&hash, &back));
    ck_assert_int_eq(audit_hash_parse((text){hex, AUDIT_HEX_LEN - 1}, &back), -EINVAL);
    hex[5] = 'A';
    ck_assert_int_eq(audit_hash_parse(text_of(hex), &back), -EINVAL);
    hex[5] = 'g';
    ck_assert_int_eq(audit_hash_parse(text_of(hex), &back), -EINVAL);
}
END_TEST

static const char *const algs[] = {"ES256", "EdDSA", "RS256", "HS256"};

START_TEST(a_checkpoint_says_what_was_signed) {
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        CLEANUP(issuer_release) issuer ours = issuer_of(algs[i]), theirs = issuer_of(algs[i]);
        CLEANUP(buf_release) buf jws = BUF(AUDIT_SIGNED_MAX);
        audit_checkpoint c = {INT64_C(1) << 40, hash_of(&vectors[1].entry), INT64_C(1763697600123000),
                              i % 2 == 0},
                         back;
        char kid[AUDIT_KID_MAX];
        ck_assert_int_eq(audit_checkpoint_sign(ours.signer, &c, &jws), 0);
        ck_assert_int_eq(audit_checkpoint_read(buf_text(&jws), &back, kid), 0);
        ck_assert_uint_eq(back.position, c.position);
        ck_assert(audit_hash_equal(&back.chain, &c.chain));
        ck_assert_int_eq(back.at, c.at);
        ck_assert(back.ends_month == c.ends_month);
        ck_assert_str_eq(kid, json_get_string(ours.key, "kid").ptr);
        ck_assert_int_eq(audit_checkpoint_verify(ours.keys, buf_text(&jws)), TOKEN_ACCEPTED);
        ck_assert_int_eq(audit_checkpoint_verify(theirs.keys, buf_text(&jws)), TOKEN_UNKNOWN_KEY);
        char *payload = strchr(jws.ptr, '.') + 5;
        *payload = *payload == 'A' ? 'B' : 'A';
        ck_assert_int_eq(audit_checkpoint_verify(ours.keys, buf_text(&jws)), TOKEN_BAD_SIGNATURE);
    }
}
END_TEST

START_TEST(a_token_is_no_checkpoint_and_a_checkpoint_no_token) {
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    CLEANUP(buf_release) buf token = BUF(8192), jws = BUF(8192);
    CLEANUP(token_rules_freep) token_rules *rules = rules_of((token_rules_spec){0});
    CLEANUP(claims_freep) claims *who = NULL;
    char hex[AUDIT_HEX_LEN + 1];
    audit_hash hash = hash_of(&vectors[0].entry);
    audit_checkpoint c = {1, hash, 0, false};
    CLEANUP(buf_release) buf payload = BUF(512);
    audit_hash_print(&hash, hex);
    buf_printf(&payload, "{\"position\":1,\"chain_hash\":\"%s\",\"at\":\"2026-01-01T00:00:00.000Z\",", hex);
    buf_add_text(&payload, TEXT("\"sub\":\"ada\",\"org\":\"north\",\"exp\":1700000060}"));
    ck_assert_int_eq(signer_sign(i.signer, buf_text(&payload), &token), 0);
    ck_assert_int_eq(token_verify(i.keys, rules, buf_text(&token), NOW, &who), TOKEN_ACCEPTED);
    ck_assert_int_eq(audit_checkpoint_verify(i.keys, buf_text(&token)), TOKEN_REFUSED);
    who = claims_free(who);
    ck_assert_int_eq(audit_checkpoint_sign(i.signer, &c, &jws), 0);
    ck_assert_int_eq(token_verify(i.keys, rules, buf_text(&jws), NOW, &who), TOKEN_REFUSED);
}
END_TEST

START_TEST(what_is_no_checkpoint_is_not_read) {
    static const char *const payloads[] = {
        "{}",
        "[]",
        "{\"position\":0,\"chain_hash\":\"%s\",\"at\":\"2026-01-01T00:00:00.000Z\"}",
        "{\"position\":\"1\",\"chain_hash\":\"%s\",\"at\":\"2026-01-01T00:00:00.000Z\"}",
        "{\"position\":1,\"chain_hash\":\"%sab\",\"at\":\"2026-01-01T00:00:00.000Z\"}",
        "{\"position\":1,\"chain_hash\":\"%s\",\"at\":\"now\"}",
        "{\"position\":1,\"chain_hash\":\"%s\",\"at\":\"2026-01-01T00:00:00.000Z\",\"ends_month\":1}",
    };
    CLEANUP(issuer_release) issuer i = issuer_of("EdDSA");
    char kid[AUDIT_KID_MAX];
    audit_checkpoint c;
    for (size_t n = 0; n < ARRAY_LEN(payloads); n++) {
        CLEANUP(buf_release) buf payload = BUF(1024), jws = BUF(8192);
        const char *mark = strstr(payloads[n], "%s");
        buf_add(&payload, payloads[n], mark ? (size_t)(mark - payloads[n]) : strlen(payloads[n]));
        if (mark) {
            buf_add_text(&payload, text_of(vectors[0].entry_hash));
            buf_add_text(&payload, text_of(mark + 2));
        }
        ck_assert_int_eq(signer_sign_typed(i.signer, TEXT("mayday-checkpoint"), buf_text(&payload), &jws), 0);
        ck_assert_msg(audit_checkpoint_read(buf_text(&jws), &c, kid) == -EBADMSG, "%s", payloads[n]);
    }
    static const text broken[] = {TEXT(""),      TEXT("."),       TEXT(".."),
                                  TEXT("a.b.c"), TEXT("e30.e30"), TEXT("e30.!.e30")};
    for (size_t n = 0; n < ARRAY_LEN(broken); n++) {
        ck_assert_int_eq(audit_checkpoint_read(broken[n], &c, kid), -EBADMSG);
        ck_assert_int_eq(audit_checkpoint_verify(i.keys, broken[n]), TOKEN_REFUSED);
    }
}
END_TEST

Suite *suite_audit(void) {
    Suite *s = suite_create("audit");
    TCase *t = tcase_create("audit");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, hashes_are_those_of_another_maker);
    tcase_add_test(t, every_field_counts_and_none_can_flow_into_the_next);
    tcase_add_test(t, a_hash_is_read_only_as_it_is_printed);
    tcase_add_test(t, a_checkpoint_says_what_was_signed);
    tcase_add_test(t, a_token_is_no_checkpoint_and_a_checkpoint_no_token);
    tcase_add_test(t, what_is_no_checkpoint_is_not_read);
    suite_add_tcase(s, t);
    return s;
}
