#include "core/pin.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* RFC 7914, section 11: the first 32 octets of each vector (of a block of PBKDF2, which each stand alone). */
#define PASSWD_SALT                                                                                          \
    "pbkdf2-sha256$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
#define PASSWORD_NACL                                                                                        \
    "pbkdf2-sha256$80000$4e61436c$4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"

START_TEST(the_published_vectors_fit_their_passwords_alone) {
    ck_assert(pin_fits(TEXT("passwd"), TEXT(PASSWD_SALT)));
    ck_assert(pin_fits(TEXT("Password"), TEXT(PASSWORD_NACL)));
    ck_assert(!pin_fits(TEXT("Password"), TEXT(PASSWD_SALT)));
    ck_assert(!pin_fits(TEXT("passwd"), TEXT(PASSWORD_NACL)));
    ck_assert(!pin_fits(TEXT(""), TEXT(PASSWD_SALT)));
}
END_TEST

START_TEST(a_pin_fits_its_hash_and_no_other_pin_does) {
    static const char *const pins[] = {"1234", "0000", "123456789012", "12345", "123", ""};
    for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
        char hash[PIN_HASH_MAX], again[PIN_HASH_MAX];
        ck_assert_int_eq(pin_hash(text_of(pins[i]), hash), 0);
        ck_assert_int_eq(pin_hash(text_of(pins[i]), again), 0);
        ck_assert_str_ne(hash, again); /* another salt */
        ck_assert_uint_eq(strlen(hash), strlen("pbkdf2-sha256$20000$") + 32 + 1 + 64);
        for (size_t j = 0; j < ARRAY_LEN(pins); j++)
            ck_assert_int_eq(pin_fits(text_of(pins[j]), text_of(hash)), i == j);
    }
}
END_TEST

START_TEST(a_damaged_hash_fits_nothing) {
    static const char *const damaged[] = {
        "",
        "$",
        "$$$",
        "pbkdf2-sha256",
        "pbkdf2-sha256$1$73616c74",
        "pbkdf2-sha256$1$73616c74$",
        "pbkdf2-sha512$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$0$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$-1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$99999999999$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$1$$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$1$73616c7$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$1$73616c7x$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacb",
        "pbkdf2-sha256$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc00",
        "pbkdf2-sha256$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc$",
        "pbkdf2-sha256$1$73616c74$54ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        "pbkdf2-sha256$1$73616c74$0000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++)
        ck_assert_msg(!pin_fits(TEXT("passwd"), text_of(damaged[i])), "%s", damaged[i]);
    char hash[PIN_HASH_MAX];
    ck_assert_int_eq(pin_hash(TEXT("4711"), hash), 0);
    for (size_t len = 0; len < strlen(hash); len++)
        ck_assert(!pin_fits(TEXT("4711"), (text){hash, len}));
}
END_TEST

START_TEST(a_pin_too_long_to_be_one_is_neither_hashed_nor_tried) {
    static char digits[2000];
    char hash[PIN_HASH_MAX] = "untouched";
    memset(digits, '1', sizeof digits);
    ck_assert_int_lt(pin_hash((text){digits, sizeof digits}, hash), 0);
    ck_assert_str_eq(hash, "untouched");
    ck_assert(!pin_fits((text){digits, sizeof digits}, TEXT(PASSWD_SALT)));
}
END_TEST

START_TEST(the_duress_pin_is_told_from_the_right_one) {
    char right[PIN_HASH_MAX], duress[PIN_HASH_MAX];
    ck_assert_int_eq(pin_hash(TEXT("1234"), right), 0);
    ck_assert_int_eq(pin_hash(TEXT("9999"), duress), 0);
    ck_assert_int_eq(pin_judge(TEXT("1234"), text_of(right), text_of(duress)), PIN_RIGHT);
    ck_assert_int_eq(pin_judge(TEXT("9999"), text_of(right), text_of(duress)), PIN_DURESS);
    ck_assert_int_eq(pin_judge(TEXT("1111"), text_of(right), text_of(duress)), PIN_WRONG);
    ck_assert_int_eq(pin_judge(TEXT("1234"), text_of(right), TEXT("")), PIN_RIGHT);
    ck_assert_int_eq(pin_judge(TEXT("9999"), text_of(right), TEXT("")), PIN_WRONG);
    ck_assert_int_eq(pin_judge(TEXT("1234"), TEXT(""), TEXT("")), PIN_WRONG);
    ck_assert_int_eq(pin_judge(TEXT("9999"), TEXT(""), text_of(duress)), PIN_DURESS);
    ck_assert_int_eq(pin_judge(TEXT("1234"), text_of(right), text_of(right)), PIN_DURESS);
}
END_TEST

Suite *suite_pin(void) {
    Suite *s = suite_create("pin");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_published_vectors_fit_their_passwords_alone);
    tcase_add_test(t, a_pin_fits_its_hash_and_no_other_pin_does);
    tcase_add_test(t, a_damaged_hash_fits_nothing);
    tcase_add_test(t, a_pin_too_long_to_be_one_is_neither_hashed_nor_tried);
    tcase_add_test(t, the_duress_pin_is_told_from_the_right_one);
    suite_add_tcase(s, t);
    return s;
}
