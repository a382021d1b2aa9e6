/* phone.c - see phone.h.
 *
 * Emergency numbers are one table, a row for each country (calling code). What a network does with a number
 * that begins like an emergency number and is too short for a subscriber, is up to the network; so it is
 * refused. */
#include "core/phone.h"

#include <string.h>

#define DIGITS_MIN        7 /* of a whole number, with the country's code */
#define DIGITS_MAX        15
#define SHORT_CODE_MIN    3 /* numbers that networks give to senders of many texts */
#define SHORT_CODE_MAX    8
#define SENDER_NAME_MAX   11 /* 3GPP TS 23.040, 9.1.2.5 */
#define SERVICE_LEN       34 /* "MG" and 32 hexadecimal digits */
#define SUBSCRIBER_DIGITS 7  /* where the country has no row */
#define MASK_HEAD         3
#define MASK_TAIL         2
#define MASK_SIGN         "\xe2\x80\xa2" /* a bullet */

/* Known, or taken up by the networks, everywhere. */
static const text world = TEXT("000 110 111 112 118 119 911 999");

typedef struct country {
    const char *code;    /* its calling code */
    size_t subscriber;   /* digits behind the code that a subscriber's number has at least */
    const char *numbers; /* of its emergency services, besides those of the world */
} country;

static const country countries[] = {
    {"1", 10, "933 988"},
    {"7", 10, "01 02 03 04 101 102 103 104"},
    {"20", 8, "122 123 180"},
    {"27", 9, "107 10111 10177 1022"},
    {"30", 10, "100 108 166 199"},
    {"31", 9, "113 144"},
    {"32", 8, "100 101 102 103 106 107"},
    {"33", 9, "15 17 18 114 115 116 191 196 197"},
    {"34", 9, "061 062 080 085 088 091 092"},
    {"351", 9, "115 117"},
    {"353", 7, ""},
    {"36", 8, "104 105 107"},
    {"380", 9, "101 102 103 104"},
    {"39", 7, "113 115 117 1515 1530"},
    {"41", 9, "117 143 144 145 147 1414"},
    {"420", 9, "150 155 156 158"},
    {"421", 9, "150 155 158 159"},
    {"43", 7, "122 133 140 141 142 144 147"},
    {"44", 9, "101 105 116"},
    {"45", 8, "114"},
    {"46", 7, "11313 11414"},
    {"47", 8, "113"},
    {"48", 9, "986 991 992 993 994 997 998"},
    {"49", 7, "115 116117"},
    {"51", 8, "105 106 116 117"},
    {"52", 10, "060 065 066 068 088 089"},
    {"54", 10, "100 101 103 106 107"},
    {"55", 10, "100 180 181 185 188 190 191 192 193 194 197 198 199"},
    {"56", 8, "130 131 132 133 134 137"},
    {"57", 8, "123 125 132 144 165"},
    {"60", 8, "991 994 995"},
    {"61", 9, "106 131444"},
    {"62", 7, "113 115 117 129"},
    {"63", 8, "117 143"},
    {"64", 8, "105"},
    {"65", 8, "992 993 995 1777"},
    {"66", 8, "191 199 1155 1669"},
    {"81", 9, "171"},
    {"82", 8, "113 117 122"},
    {"84", 9, "113 114 115"},
    {"852", 8, "992"},
    {"86", 10, "120 122"},
    {"880", 8, "199 333"},
    {"90", 10, "155 156 158 177"},
    {"91", 10, "100 101 102 103 104 108 1033 1070 1091 1098"},
    {"92", 9, "15 16 115 1122"},
    {"94", 9, "1990"},
    {"966", 8, "937 997 998"},
    {"971", 8, "991 996 997 998"},
    {"972", 8, "100 101 102 103 104"},
    {"211", 9, "777"},
    {"233", 9, "18 191 192 193"},
    {"234", 7, "123 199 767"},
    {"250", 9, "912 113"},
    {"251", 9, "991 907 939"},
    {"254", 9, "114 116"},
    {"255", 9, "114 115"},
    {"256", 9, ""},
    {"258", 8, "117 197 198"},
    {"260", 9, "991 992 993"},
    {"263", 7, "993 994 995"},
    {"264", 8, "10111"},
    {"265", 7, "997 998"},
    {"266", 8, "121 122 123 124"},
    {"267", 7, "997 998"},
    {"268", 8, "933 977"},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool all_digits(text t) {
    for (size_t i = 0; i < t.len; i++)
        if (!is_digit(t.ptr[i]))
            return false;
    return t.len > 0;
}

static text behind(text t, size_t count) {
    return (text){t.ptr + count, t.len - count};
}

/* The next word of `rest`, which spaces and tabs separate. */
static bool next_word(text *rest, text *ret_word) {
    *rest = text_trim(*rest);
    if (rest->len == 0)
        return false;
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
        len++;
    *ret_word = (text){rest->ptr, len};
    *rest = behind(*rest, len);
    return true;
}

static bool holds(text list, text word) {
    text item;
    while (next_word(&list, &item))
        if (text_equal(item, word))
            return true;
    return false;
}

static bool begins_like_one(text national, text list) {
    text item;
    while (next_word(&list, &item))
        if (text_starts_with(national, item))
            return true;
    return false;
}

/* Codes are unique: none begins like another. */
static const country *country_of(text digits) {
    for (size_t i = 0; i < ARRAY_LEN(countries); i++)
        if (text_starts_with(digits, text_of(countries[i].code)))
            return &countries[i];
    return NULL;
}

/* How long the code of a country without a row is: two digits for those that ITU-T E.164 lists so, else
 * three. */
static size_t code_digits(text digits) {
    text first = {digits.ptr, 2};
    return digits.len > 2 && !holds(TEXT("40 53 58 93 95 98"), first) ? 3 : 2;
}

static bool is_emergency(text digits) {
    const country *c = country_of(digits);
    size_t code = c ? strlen(c->code) : code_digits(digits);
    if (digits.len <= code)
        return holds(world, digits);
    text national = behind(digits, code), trunkless = national;
    if (national.ptr[0] == '0') /* dialled within the country, by mistake */
        trunkless = behind(national, 1);
    if (holds(world, digits) || (c && holds(text_of(c->numbers), digits)))
        return true;
    if (national.len >= (c ? c->subscriber : SUBSCRIBER_DIGITS))
        return false;
    return begins_like_one(national, world) || begins_like_one(trunkless, world) ||
           (c && (begins_like_one(national, text_of(c->numbers)) ||
                  begins_like_one(trunkless, text_of(c->numbers))));
}

phone_verdict phone_judge(text number, text allowed) {
    if (number.len < 2 || number.ptr[0] != '+' || number.len > DIGITS_MAX + 1 ||
        !all_digits(behind(number, 1)))
        return PHONE_MALFORMED;
    text digits = behind(number, 1);
    if (holds(allowed, number))
        return PHONE_GOOD;
    if (is_emergency(digits))
        return PHONE_EMERGENCY;
    return digits.ptr[0] != '0' && digits.len >= DIGITS_MIN ? PHONE_GOOD : PHONE_MALFORMED;
}

/* "+27=MAYDAY" is for numbers that begin with +27. '*' and what has no '=' give an empty prefix. */
static void split(text word, text *ret_prefix, text *ret_sender) {
    text rest = word, prefix = {0};
    (void)text_next(&rest, '=', &prefix);
    if (!rest.ptr) {
        *ret_prefix = TEXT("");
        *ret_sender = word;
        return;
    }
    *ret_prefix = text_equal(prefix, TEXT("*")) ? TEXT("") : prefix;
    *ret_sender = rest;
}

text phone_sender(text senders, text number) {
    text word, prefix, sender, best = {0};
    size_t best_len = 0;
    while (next_word(&senders, &word)) {
        split(word, &prefix, &sender);
        if (text_starts_with(number, prefix) && (!best.ptr || prefix.len > best_len)) {
            best = sender;
            best_len = prefix.len;
        }
    }
    return best;
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_service(text sender) {
    if (sender.len != SERVICE_LEN || !text_starts_with(sender, TEXT("MG")))
        return false;
    for (size_t i = 2; i < sender.len; i++)
        if (!is_hex(sender.ptr[i]))
            return false;
    return true;
}

/* A letter at least: what has none is a number, and would have to be one. */
static bool is_name(text sender) {
    bool letter = false;
    for (size_t i = 0; i < sender.len; i++) {
        char c = sender.ptr[i];
        letter = letter || is_letter(c);
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_' && c != '&')
            return false;
    }
    return letter && sender.len <= SENDER_NAME_MAX;
}

static bool sender_good(text sender, bool numbers_only) {
    if (phone_judge(sender, TEXT("")) == PHONE_GOOD)
        return true;
    bool short_code = all_digits(sender) && sender.len >= SHORT_CODE_MIN && sender.len <= SHORT_CODE_MAX;
    return !numbers_only && (short_code || is_name(sender) || is_service(sender));
}

static bool prefix_good(text prefix) {
    return prefix.len == 0 || (prefix.len >= 2 && prefix.len <= PHONE_MAX && prefix.ptr[0] == '+' &&
                               prefix.ptr[1] != '0' && all_digits(behind(prefix, 1)));
}

bool phone_senders_good(text senders, bool numbers_only) {
    text word, prefix, sender;
    bool any = false;
    while (next_word(&senders, &word)) {
        split(word, &prefix, &sender);
        if (word.ptr[0] == '=' || !prefix_good(prefix) || !sender_good(sender, numbers_only))
            return false;
        any = true;
    }
    return any;
}

void phone_mask(text number, char ret_masked[PHONE_MAX * 3 + 1]) {
    size_t at = 0, count = number.len < PHONE_MAX ? number.len : PHONE_MAX;
    bool plus = number.len > 0 && number.ptr[0] == '+';
    bool ordinary =
        number.len <= PHONE_MAX && number.len > MASK_HEAD + MASK_TAIL && all_digits(behind(number, plus));
    for (size_t i = 0; i < count; i++) {
        char c = number.ptr[i];
        bool shown = ordinary && (i < MASK_HEAD || i >= count - MASK_TAIL);
        if (shown) {
            ret_masked[at++] = c;
        } else {
            memcpy(ret_masked + at, MASK_SIGN, sizeof MASK_SIGN - 1);
            at += sizeof MASK_SIGN - 1;
        }
    }
    ret_masked[at] = '\0';
}
