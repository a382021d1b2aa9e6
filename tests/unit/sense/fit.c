#include "play_support.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A FIT file is written here byte by byte. CRC bit by bit, not as the reader does it. */
static uint16_t crc_of(const char *p, size_t len) {
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return (uint16_t)crc;
}

static void add(buf *b, uint64_t value, size_t width, bool big_endian) {
    for (size_t i = 0; i < width; i++)
        buf_add_char(b, (char)(value >> 8 * (big_endian ? width - 1 - i : i)));
}

static void add_bytes(buf *b, size_t count, const unsigned char *bytes) {
    buf_add(b, bytes, count);
}
#define ADD(b, ...) add_bytes(b, sizeof((unsigned char[]){__VA_ARGS__}), (const unsigned char[]){__VA_ARGS__})

static void end_file(buf *to, const buf *messages, unsigned header) {
    size_t start = to->len;
    ADD(to, (unsigned char)header, 0x10, 0x57, 0x04);
    add(to, messages->len, 4, false);
    buf_add(to, ".FIT", 4);
    if (header == 14)
        add(to, crc_of(to->ptr + start, 12), 2, false);
    buf_add(to, messages->ptr, messages->len);
    add(to, crc_of(to->ptr + start, to->len - start), 2, false);
    ck_assert_int_eq(buf_failed(to), 0);
}

#define START 1000000000u /* FIT seconds: 2021-09-08T01:46:40Z */

static int32_t semicircles(double degrees) {
    return (int32_t)lround(degrees * 2147483648.0 / 180);
}

/* local 0: record with time, lat, lon, altitude, speed, heart rate */
static void define_record(buf *b, bool big_endian) {
    ADD(b, 0x40, 0, big_endian);
    add(b, 20, 2, big_endian);
    ADD(b, 6, 253, 4, 0x86, 0, 4, 0x85, 1, 4, 0x85, 2, 2, 0x84, 6, 2, 0x84, 3, 1, 0x02);
}

static void add_record(buf *b, bool big_endian, uint32_t time, double lat, double lon, uint16_t altitude,
                       uint16_t speed, uint8_t hr) {
    ADD(b, 0x00);
    add(b, time, 4, big_endian);
    add(b, (uint32_t)semicircles(lat), 4, big_endian);
    add(b, (uint32_t)semicircles(lon), 4, big_endian);
    add(b, altitude, 2, big_endian);
    add(b, speed, 2, big_endian);
    add(b, hr, 1, big_endian);
}

static void two_records(buf *b, bool big_endian) {
    define_record(b, big_endian);
    add_record(b, big_endian, START, -33.9249, 18.4241, (500 + 12) * 5, 2500, 141);
    add_record(b, big_endian, START + 1, -33.925, 18.4242, 0xFFFF, 0xFFFF, 0xFF);
}

START_TEST(samples_are_read_in_both_byte_orders_and_with_both_headers) {
    for (unsigned i = 0; i < 4; i++) {
        CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
        two_records(&messages, i & 1);
        end_file(&file, &messages, i & 2 ? 12 : 14);
        ck_assert_ptr_eq(recording_of((unsigned char *)file.ptr, file.len), format_named("fit"));
        played p = play_as("fit", file.ptr, file.len, 0);
        ck_assert_msg(p.fault == 0, "%s", p.why);
        ck_assert_uint_eq(p.fixes, 2);
        ck_assert_uint_eq(p.readings, 1);
        const fix *f = &p.kept[0].fix;
        ck_assert_int_eq(f->at, at_text("2021-09-08T01:46:40.000Z"));
        ck_assert_double_eq_tol(f->lat, -33.9249, 1e-7);
        ck_assert_double_eq_tol(f->lon, 18.4241, 1e-7);
        ck_assert_double_eq_tol(f->altitude, 12, 1e-9);
        ck_assert_double_eq_tol(f->speed, 2.5, 1e-9);
        ck_assert_double_eq_tol(p.kept[1].reading.value[VITAL_HR], 141, 1e-9);
        ck_assert_int_eq(p.kept[1].reading.at, f->at);
        ck_assert_int_eq(p.kept[2].fix.at, f->at + INSTANT_SECOND);
        ck_assert(isnan(p.kept[2].fix.altitude) && isnan(p.kept[2].fix.speed));
    }
}
END_TEST

START_TEST(times_of_five_bits_go_on_from_the_last_whole_one) {
    static const unsigned char steps[] = {1, 2, 31, 32, 33, 63, 64};
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    define_record(&messages, false);
    add_record(&messages, false, START, 1, 1, 0xFFFF, 0xFFFF, 60);
    ADD(&messages, 0x41, 0, 0, 20, 0, 1, 3, 1, 0x02); /* local 1: the heart rate alone */
    uint32_t time = START;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint32_t next = START + steps[i];
        ck_assert_uint_lt(next - time, 32);
        ADD(&messages, (unsigned char)(0x80 | 1 << 5 | (next & 0x1F)), (unsigned char)(61 + i));
        time = next;
    }
    end_file(&file, &messages, 14);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.readings, 1 + ARRAY_LEN(steps));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        ck_assert_int_eq(p.kept[2 + i].reading.at, p.kept[0].fix.at + steps[i] * INSTANT_SECOND);
        ck_assert_double_eq(p.kept[2 + i].reading.value[VITAL_HR], 61 + (double)i);
    }
}
END_TEST

START_TEST(the_finer_fields_count_whichever_comes_first) {
    for (int finer_first = 0; finer_first < 2; finer_first++) {
        CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
        ADD(&messages, 0x40, 0, 0, 20, 0, 7, 253, 4, 0x86, 0, 4, 0x85, 1, 4, 0x85);
        if (finer_first)
            ADD(&messages, 78, 4, 0x86, 73, 4, 0x86, 2, 2, 0x84, 6, 2, 0x84);
        else
            ADD(&messages, 2, 2, 0x84, 6, 2, 0x84, 78, 4, 0x86, 73, 4, 0x86);
        ADD(&messages, 0);
        add(&messages, START, 4, false);
        add(&messages, (uint32_t)semicircles(1), 4, false);
        add(&messages, (uint32_t)semicircles(2), 4, false);
        for (int i = 0; i < 2; i++) {
            bool finer = i == 0 ? finer_first : !finer_first;
            add(&messages, finer ? (500 + 9000) * 5 : 3000, finer ? 4 : 2, false);
            add(&messages, finer ? 71500 : 1000, finer ? 4 : 2, false);
        }
        end_file(&file, &messages, 14);
        played p = play_as("fit", file.ptr, file.len, 0);
        ck_assert_msg(p.fault == 0, "%s", p.why);
        ck_assert_double_eq_tol(p.kept[0].fix.altitude, 9000, 1e-9);
        ck_assert_double_eq_tol(p.kept[0].fix.speed, 71.5, 1e-9);
    }
}
END_TEST

START_TEST(fields_of_developers_and_messages_of_others_are_stepped_over) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    ADD(&messages, 0x43, 0, 0, 0, 0, 2, 0, 1, 0x00, 8, 5, 0x07, 3, 4, 'a', 'b', 'c', 'd', 0); /* a file id */
    ADD(&messages, 0x61, 0, 0, 20, 0, 2, 253, 4, 0x86, 3, 1, 0x02, 2, 0, 3, 0, 1, 2, 0);      /* + 5 bytes */
    ADD(&messages, 0x01);
    add(&messages, START, 4, false);
    ADD(&messages, 150, 9, 9, 9, 9, 9);
    ADD(&messages, 0x01);
    add(&messages, START + 5, 4, false);
    ADD(&messages, 151, 9, 9, 9, 9, 9);
    end_file(&file, &messages, 14);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.count, 2);
    ck_assert_double_eq(p.kept[1].reading.value[VITAL_HR], 151);
    play_beginnings("fit", file.ptr, file.len);
}
END_TEST

START_TEST(times_between_beats_belong_to_the_sample_before_them) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    ADD(&messages, 0x42, 0, 0, 78, 0, 1, 0, 10, 0x84);
    ADD(&messages, 0x02, 0xE8, 0x03, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF); /* before any time */
    two_records(&messages, false);
    ADD(&messages, 0x02, 0xE8, 0x03, 0x20, 0x03, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);
    end_file(&file, &messages, 14);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.count, 4);
    const reading *r = &p.kept[3].reading;
    ck_assert_uint_eq(r->rr_count, 2);
    ck_assert_double_eq(r->rr_ms[0], 1000);
    ck_assert_double_eq(r->rr_ms[1], 800);
    ck_assert_int_eq(r->at, p.kept[2].fix.at);
}
END_TEST

START_TEST(odd_fields_are_no_values) {
    static const struct {
        unsigned char size, type;
        unsigned char bytes[8];
        double want;
    } rows[] = {
        {1, 0x02, {99}, 99},     {1, 0x02, {0xFF}, NAN},
        {1, 0x02, {0}, NAN},     {1, 0x0A, {99}, 99},
        {2, 0x84, {99, 0}, 99},  {4, 0x86, {99, 0, 0, 0}, 99},
        {2, 0x02, {99, 98}, 99}, {3, 0x84, {99, 0, 0}, NAN},
        {1, 0x84, {99}, NAN},    {4, 0x88, {0, 0, 198, 66}, NAN},
        {1, 0x07, {'a'}, NAN},   {1, 0x1F, {99}, NAN},
        {1, 0x01, {0x9D}, NAN},  {8, 0x8F, {99}, 99},
        {0, 0x02, {0}, NAN},     {2, 0x84, {0xE8, 0x03}, NAN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
        ADD(&messages, 0x40, 0, 0, 20, 0, 2, 3, rows[i].size, rows[i].type, 253, 4, 0x86, 0x00);
        buf_add(&messages, rows[i].bytes, rows[i].size);
        add(&messages, START, 4, false);
        end_file(&file, &messages, 14);
        played p = play_as("fit", file.ptr, file.len, 0);
        ck_assert_msg(p.fault == 0, "row %zu: %s", i, p.why);
        ck_assert_msg(p.count == (isnan(rows[i].want) ? 0 : 1), "row %zu: %zu", i, p.count);
        if (p.count)
            ck_assert_double_eq(p.kept[0].reading.value[VITAL_HR], rows[i].want);
    }
}
END_TEST

START_TEST(a_sample_without_a_day_is_left_out) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    define_record(&messages, false);
    add_record(&messages, false, 500, 1, 1, 0xFFFF, 0xFFFF, 60); /* seconds since it was switched on */
    add_record(&messages, false, START, 1, 1, 0xFFFF, 0xFFFF, 61);
    end_file(&file, &messages, 14);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_int_eq(p.fault, 0);
    ck_assert_uint_eq(p.count, 2);
}
END_TEST

START_TEST(chained_files_are_one_recording_and_definitions_do_not_outlive_a_file) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16), second = BUF(1 << 16);
    two_records(&messages, false);
    end_file(&file, &messages, 14);
    end_file(&file, &messages, 12);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_int_eq(p.fault, 0);
    ck_assert_uint_eq(p.fixes, 4);
    add_record(&second, false, START, 1, 1, 0xFFFF, 0xFFFF, 60);
    end_file(&file, &second, 14);
    p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_uint_eq(p.fixes, 4);
    ck_assert_ptr_nonnull(strstr(p.why, "not defined"));
    buf_add_text(&file, TEXT("and more"));
    p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
}
END_TEST

START_TEST(a_damaged_file_is_refused_before_anything_is_given_out) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    two_records(&messages, false);
    end_file(&file, &messages, 14);
    for (size_t i = 0; i < file.len; i++) {
        if (i >= 4 && i < 8)
            continue; /* another length: it may look as if it had ended early */
        file.ptr[i] ^= 0x10;
        played p = play_as("fit", file.ptr, file.len, 0);
        ck_assert_msg(p.fault == -EBADMSG, "byte %zu", i);
        ck_assert_msg(p.count == 0, "byte %zu", i);
        file.ptr[i] ^= 0x10;
    }
}
END_TEST

START_TEST(a_file_that_ends_early_is_played_as_far_as_it_goes) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    two_records(&messages, false);
    end_file(&file, &messages, 14);
    play_beginnings("fit", file.ptr, file.len);
    played p = play_as("fit", file.ptr, file.len - 5, 0); /* within the second sample */
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_uint_eq(p.fixes, 1);
    p = play_as("fit", file.ptr, file.len - 2, 0); /* all but the checksum */
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_uint_eq(p.fixes, 2);
    ck_assert_ptr_nonnull(strstr(p.why, "ends early"));
}
END_TEST

START_TEST(an_early_end_does_not_excuse_a_damaged_header) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    two_records(&messages, false);
    end_file(&file, &messages, 14);
    file.ptr[1] ^= 0x10;
    played p = play_as("fit", file.ptr, file.len - 2, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_uint_eq(p.count, 0);
    file.ptr[12] = file.ptr[13] = 0; /* a header without a checksum is none the worse */
    p = play_as("fit", file.ptr, file.len - 2, 0);
    ck_assert_uint_eq(p.fixes, 2);
}
END_TEST

START_TEST(no_message_reaches_into_the_checksum) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    two_records(&messages, false);
    messages.len--;
    end_file(&file, &messages, 14);
    played p = play_as("fit", file.ptr, file.len, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_uint_eq(p.fixes, 1);
}
END_TEST

START_TEST(the_visitor_may_end_it) {
    CLEANUP(buf_release) buf messages = BUF(1 << 16), file = BUF(1 << 16);
    two_records(&messages, false);
    end_file(&file, &messages, 14);
    for (size_t after = 1; after <= 3; after++) {
        played p = play_as("fit", file.ptr, file.len, after);
        ck_assert_int_eq(p.fault, 0);
        ck_assert_uint_eq(p.count, after);
    }
}
END_TEST

Suite *suite_fit(void) {
    Suite *s = suite_create("fit");
    TCase *t = tcase_create("all");
    tcase_add_test(t, samples_are_read_in_both_byte_orders_and_with_both_headers);
    tcase_add_test(t, times_of_five_bits_go_on_from_the_last_whole_one);
    tcase_add_test(t, the_finer_fields_count_whichever_comes_first);
    tcase_add_test(t, fields_of_developers_and_messages_of_others_are_stepped_over);
    tcase_add_test(t, times_between_beats_belong_to_the_sample_before_them);
    tcase_add_test(t, odd_fields_are_no_values);
    tcase_add_test(t, a_sample_without_a_day_is_left_out);
    tcase_add_test(t, chained_files_are_one_recording_and_definitions_do_not_outlive_a_file);
    tcase_add_test(t, a_damaged_file_is_refused_before_anything_is_given_out);
    tcase_add_test(t, a_file_that_ends_early_is_played_as_far_as_it_goes);
    tcase_add_test(t, an_early_end_does_not_excuse_a_damaged_header);
    tcase_add_test(t, no_message_reaches_into_the_checksum);
    tcase_add_test(t, the_visitor_may_end_it);
    suite_add_tcase(s, t);
    return s;
}
