#include "core/audit_trail.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

#define LENGTH 20 /* positions of the trail that is tampered with */

typedef struct kept {
    audit_entry entry;
    audit_hash entry_hash, chain;
    bool gone;
} kept;

typedef struct scene {
    kept rows[LENGTH + 2]; /* [p - 1] is the one at position p */
    size_t count;
    audit_checkpoint checkpoints[8];
    size_t checkpoint_count;
    uint64_t from;
    char said[512]; /* "altered 7-7; missing 3-5; " */
} scene;

static audit_hasher *hasher;
static char ids[LENGTH][8];

static void hash_row(scene *s, size_t i) {
    ck_assert_int_eq(audit_hash_entry(hasher, &s->rows[i].entry, &s->rows[i].entry_hash), 0);
}

static void chain_from(scene *s, size_t i) {
    for (; i < s->count; i++)
        ck_assert_int_eq(audit_hash_chain(hasher, i > 0 ? &s->rows[i - 1].chain : &audit_origin,
                                          &s->rows[i].entry_hash, &s->rows[i].chain),
                         0);
}

static void sign_at(scene *s, uint64_t position, bool ends_month) {
    s->checkpoints[s->checkpoint_count++] =
        (audit_checkpoint){position, s->rows[position - 1].chain, 0, ends_month};
}

/* Twenty entries, signed at 5 (the end of a month), 10 and 15. */
static void make(scene *s) {
    *s = (scene){.count = LENGTH, .from = 1};
    for (size_t i = 0; i < LENGTH; i++) {
        kept *k = &s->rows[i];
        (void)snprintf(ids[i], sizeof ids[i], "id%zu", i + 1);
        k->entry = (audit_entry){.position = i + 1,
                                 .id = text_of(ids[i]),
                                 .org = TEXT("acme"),
                                 .kind = TEXT("connect"),
                                 .actor = TEXT("ann"),
                                 .detail = TEXT("{}")};
        hash_row(s, i);
    }
    chain_from(s, 0);
    sign_at(s, 5, true);
    sign_at(s, 10, false);
    sign_at(s, 15, false);
}

static void note(void *context, const audit_finding *f) {
    static const char *const names[] = {
        [AUDIT_ALTERED] = "altered",   [AUDIT_BROKEN] = "broken",       [AUDIT_MISSING] = "missing",
        [AUDIT_REPEATED] = "repeated", [AUDIT_REWRITTEN] = "rewritten", [AUDIT_CUT_OFF] = "cut-off"};
    scene *s = context;
    size_t at = strlen(s->said);
    (void)snprintf(s->said + at, sizeof s->said - at, "%s %d-%d; ", names[f->kind], (int)f->first,
                   (int)f->last);
    bool names_entry = f->kind == AUDIT_ALTERED || f->kind == AUDIT_BROKEN || f->kind == AUDIT_REPEATED;
    ck_assert(names_entry == (f->entry != NULL));
    ck_assert((f->kind == AUDIT_REWRITTEN || f->kind == AUDIT_CUT_OFF) == (f->checkpoint != NULL));
}

static const char *walk(scene *s) {
    CLEANUP(audit_trail_freep)
    audit_trail *t = audit_trail_new(s->from, s->checkpoints, s->checkpoint_count, note, s);
    ck_assert_ptr_nonnull(t);
    s->said[0] = '\0';
    for (size_t i = 0; i < s->count; i++)
        if (!s->rows[i].gone)
            ck_assert_int_eq(
                audit_trail_take(t, &s->rows[i].entry, &s->rows[i].entry_hash, &s->rows[i].chain), 0);
    audit_trail_end(t);
    return s->said;
}

static void remove_rows(scene *s, size_t first, size_t last) {
    for (size_t p = first; p <= last; p++)
        s->rows[p - 1].gone = true;
}

static void nothing(scene *s) {
    (void)s;
}
static void change_content(scene *s) {
    s->rows[6].entry.actor = TEXT("bob");
}
static void change_two(scene *s) {
    s->rows[6].entry.actor = s->rows[11].entry.actor = TEXT("bob");
}
static void change_and_hash(scene *s) {
    change_content(s);
    hash_row(s, 6);
}
static void change_and_chain(scene *s) {
    change_and_hash(s);
    ck_assert_int_eq(audit_hash_chain(hasher, &s->rows[5].chain, &s->rows[6].entry_hash, &s->rows[6].chain),
                     0);
}
static void change_and_rewrite(scene *s) {
    change_and_hash(s);
    chain_from(s, 6);
}
static void rewrite_behind_the_last_checkpoint(scene *s) {
    s->rows[16].entry.actor = TEXT("bob");
    hash_row(s, 16);
    chain_from(s, 16);
}
static void change_chain_hash(scene *s) {
    s->rows[6].chain.bytes[0] ^= 1;
}
static void change_the_last(scene *s) {
    s->rows[19].chain.bytes[0] ^= 1;
}
static void remove_one(scene *s) {
    remove_rows(s, 8, 8);
}
static void remove_range(scene *s) {
    remove_rows(s, 8, 12);
}
static void remove_up_to_a_checkpoint(scene *s) {
    remove_rows(s, 8, 10);
    s->rows[10].entry.actor = TEXT("bob"); /* would go unseen without the checkpoint at 10 */
    hash_row(s, 10);
}
static void remove_and_close_up(scene *s) {
    memmove(&s->rows[7], &s->rows[8], (LENGTH - 8) * sizeof s->rows[0]);
    s->count--;
    for (size_t i = 7; i < s->count; i++) {
        s->rows[i].entry.position = i + 1;
        hash_row(s, i);
    }
    chain_from(s, 7);
}
static void swap(scene *s) {
    kept a = s->rows[6], b = s->rows[8];
    s->rows[6] = b;
    s->rows[8] = a;
    s->rows[6].entry.position = 7;
    s->rows[8].entry.position = 9;
}
static void insert_at_a_used_position(scene *s) {
    memmove(&s->rows[8], &s->rows[7], (LENGTH - 7) * sizeof s->rows[0]);
    s->count++;
    s->rows[7].entry.position = 7;
    s->rows[7].entry.kind = TEXT("forged");
    hash_row(s, 7);
}
static void insert_before_the_true_one(scene *s) {
    kept forged = s->rows[9];
    memmove(&s->rows[10], &s->rows[9], (LENGTH - 9) * sizeof s->rows[0]);
    s->count++;
    forged.entry.kind = TEXT("forged");
    forged.chain.bytes[0] ^= 1;
    s->rows[9] = forged;
    hash_row(s, 9);
}
static void insert_and_rewrite(scene *s) {
    memmove(&s->rows[8], &s->rows[7], (LENGTH - 7) * sizeof s->rows[0]);
    s->count++;
    for (size_t i = 7; i < s->count; i++) {
        s->rows[i].entry.position = i + 1;
        hash_row(s, i);
    }
    chain_from(s, 7);
}
static void cut_off(scene *s) {
    s->count = 12;
}
static void cut_off_unsigned(scene *s) {
    s->count = 17;
}
static void remove_all(scene *s) {
    s->count = 0;
}
static void drop_a_month(scene *s) {
    remove_rows(s, 1, 5);
}
static void drop_a_month_and_change_the_first(scene *s) {
    remove_rows(s, 1, 5);
    s->rows[5].entry.actor = TEXT("bob");
    hash_row(s, 5);
}
static void remove_the_beginning(scene *s) {
    remove_rows(s, 1, 10); /* signed there, but not as the end of a month */
}
static void remove_the_first(scene *s) {
    remove_rows(s, 1, 1);
}
static void begin_at_seven(scene *s) {
    s->from = 7;
    s->rows[2].entry.actor = TEXT("bob"); /* out of sight */
}
static void begin_at_seven_after_a_change(scene *s) {
    s->from = 7;
    change_and_hash(s);
}
static void begin_in_a_gap(scene *s) {
    s->from = 7;
    remove_rows(s, 6, 8);
}
static void continue_behind_a_cut(scene *s) {
    /* 11 to 15 were cut off; the sealer goes on behind the checkpoint it has of 15 */
    remove_rows(s, 11, 15);
}
static void all_over_again(scene *s) {
    for (size_t i = 0; i < LENGTH; i++) {
        s->rows[i].entry.actor = TEXT("bob");
        hash_row(s, i);
    }
    chain_from(s, 0);
}

static const struct {
    const char *what;
    void (*tamper)(scene *);
    const char *said;
} cases[] = {
    {"an untouched trail", nothing, ""},
    {"one field", change_content, "altered 7-7; "},
    {"two entries", change_two, "altered 7-7; altered 12-12; "},
    {"a field and its entry hash", change_and_hash, "broken 6-7; "},
    {"a field and its own hashes", change_and_chain, "broken 7-8; "},
    {"all from there on anew", change_and_rewrite, "rewritten 6-15; "},
    {"anew where nothing is signed yet", rewrite_behind_the_last_checkpoint, ""},
    {"a chain hash", change_chain_hash, "broken 6-7; broken 7-8; "},
    {"the last chain hash", change_the_last, "broken 19-20; "},
    {"one removed", remove_one, "missing 8-8; "},
    {"a range removed", remove_range, "missing 8-12; "},
    {"a gap that ends at a checkpoint", remove_up_to_a_checkpoint, "missing 8-10; broken 10-11; "},
    {"one removed, the rest moved up and hashed anew", remove_and_close_up, "rewritten 6-15; "},
    {"two swapped", swap, "altered 7-7; broken 6-7; broken 7-8; altered 9-9; broken 8-9; broken 9-10; "},
    {"one inserted at a used position", insert_at_a_used_position, "repeated 7-7; "},
    {"one inserted before the true one", insert_before_the_true_one, "broken 9-10; repeated 10-10; "},
    {"one inserted, the rest moved down and hashed anew", insert_and_rewrite, "rewritten 6-15; "},
    {"the end cut off", cut_off, "cut-off 13-15; "},
    {"an end that nobody signed", cut_off_unsigned, ""},
    {"everything removed", remove_all, "cut-off 1-15; "},
    {"a month past its time", drop_a_month, ""},
    {"the first after a dropped month", drop_a_month_and_change_the_first, "broken 5-6; "},
    {"the beginning removed", remove_the_beginning, "missing 1-10; "},
    {"the first removed", remove_the_first, "missing 1-1; "},
    {"from the middle", begin_at_seven, ""},
    {"from the middle, changed there", begin_at_seven_after_a_change, "broken 6-7; "},
    {"from the middle of a gap", begin_in_a_gap, "missing 7-8; "},
    {"sealing that went on behind a cut", continue_behind_a_cut, "missing 11-15; "},
    {"everything anew", all_over_again, "rewritten 1-15; "},
};

START_TEST(every_way_to_tamper_is_named) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        scene s;
        make(&s);
        cases[i].tamper(&s);
        ck_assert_msg(strcmp(walk(&s), cases[i].said) == 0, "%s: '%s'", cases[i].what, s.said);
    }
}
END_TEST

START_TEST(any_single_flipped_bit_is_found) {
    for (size_t i = 0; i < LENGTH; i++)
        for (size_t bit = 0; bit < 8 * sizeof(audit_hash); bit += 37) {
            scene s;
            make(&s);
            s.rows[i].entry_hash.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
            ck_assert_str_ne(walk(&s), "");
            make(&s);
            s.rows[i].chain.bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
            ck_assert_str_ne(walk(&s), "");
        }
}
END_TEST

START_TEST(what_was_seen_is_counted) {
    scene s;
    make(&s);
    CLEANUP(audit_trail_freep)
    audit_trail *t = audit_trail_new(1, s.checkpoints, s.checkpoint_count, note, &s);
    ck_assert_uint_eq(audit_trail_last(t), 0);
    for (size_t i = 0; i < s.count; i++)
        ck_assert_int_eq(audit_trail_take(t, &s.rows[i].entry, &s.rows[i].entry_hash, &s.rows[i].chain), 0);
    audit_trail_end(t);
    ck_assert_uint_eq(audit_trail_count(t), LENGTH);
    ck_assert_uint_eq(audit_trail_first(t), 1);
    ck_assert_uint_eq(audit_trail_last(t), LENGTH);
    ck_assert_uint_eq(audit_trail_findings(t), 0);
    ck_assert_uint_eq(audit_trail_agreed(t)->position, 15);
}
END_TEST

static void open_hasher(void) {
    hasher = audit_hasher_new();
}

static void close_hasher(void) {
    hasher = audit_hasher_free(hasher);
}

Suite *suite_audit_trail(void) {
    Suite *s = suite_create("audit_trail");
    TCase *t = tcase_create("audit_trail");
    tcase_add_checked_fixture(t, open_hasher, close_hasher);
    tcase_add_test(t, every_way_to_tamper_is_named);
    tcase_add_test(t, any_single_flipped_bit_is_found);
    tcase_add_test(t, what_was_seen_is_counted);
    suite_add_tcase(s, t);
    return s;
}
