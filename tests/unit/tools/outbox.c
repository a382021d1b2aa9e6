#include <check.h>
#include <errno.h>
#include "outbox.h"

static void fill(outbox *o, int count, bool urgent, int first_tag) {
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(outbox_add(o, "topic", "{}", urgent, first_tag + i), 0);
}

/* Sends what may be sent; packet ids are the tags, so that they are easy to follow. */
static int send_all(outbox *o) {
    int sent = 0;
    for (parcel *p; (p = outbox_next(o)); sent++)
        outbox_sent(o, p, p->tag);
    return sent;
}

START_TEST(a_message_leaves_only_with_its_acknowledgement) {
    outbox o;
    outbox_begin(&o);
    fill(&o, 3, false, 1);
    ck_assert_int_eq(send_all(&o), 3);
    ck_assert_ptr_null(outbox_acked(&o, 99));
    parcel *p = outbox_acked(&o, 2);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(p->tag, 2);
    (void)parcel_free(p);
    ck_assert_ptr_null(outbox_acked(&o, 2));
    ck_assert_uint_eq(o.ordinary, 2);
    outbox_release(&o);
}
END_TEST

START_TEST(after_a_lost_connection_everything_goes_again_in_the_same_order) {
    outbox o;
    outbox_begin(&o);
    fill(&o, 4, false, 1);
    (void)send_all(&o);
    (void)parcel_free(outbox_acked(&o, 2));
    outbox_disconnected(&o);
    ck_assert_ptr_null(outbox_acked(&o, 1)); /* a late acknowledgement of the old connection */
    static const int order[] = {1, 3, 4};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        parcel *p = outbox_next(&o);
        ck_assert_int_eq(p->tag, order[i]);
        ck_assert_uint_eq(p->times_sent, 1);
        outbox_sent(&o, p, p->tag);
    }
    ck_assert_ptr_null(outbox_next(&o));
    outbox_release(&o);
}
END_TEST

START_TEST(no_more_than_the_window_is_under_way) {
    outbox o;
    outbox_begin(&o);
    fill(&o, OUTBOX_WINDOW + 5, false, 0);
    ck_assert_int_eq(send_all(&o), OUTBOX_WINDOW);
    (void)parcel_free(outbox_acked(&o, 0));
    ck_assert_int_eq(send_all(&o), 1);
    outbox_release(&o);
}
END_TEST

START_TEST(a_full_outbox_drops_the_oldest_ordinary_message_and_never_an_alert) {
    outbox o;
    outbox_begin(&o);
    fill(&o, 1, true, -1);
    fill(&o, OUTBOX_MAX, false, 0);
    parcel *alert = outbox_next(&o);
    ck_assert(alert->urgent);
    outbox_sent(&o, alert, -1);
    outbox_sent(&o, outbox_next(&o), 0); /* the oldest ordinary one is under way, so it stays as well */
    fill(&o, 1, false, OUTBOX_MAX);
    ck_assert_uint_eq(o.dropped, 1);
    ck_assert_uint_eq(o.ordinary, OUTBOX_MAX);
    ck_assert_uint_eq(o.urgent, 1);
    ck_assert_int_eq(outbox_next(&o)->tag, 2);
    outbox_release(&o);
}
END_TEST

START_TEST(too_many_urgent_messages_are_refused_and_not_forgotten) {
    outbox o;
    outbox_begin(&o);
    fill(&o, OUTBOX_URGENT_MAX, true, 0);
    ck_assert_int_eq(outbox_add(&o, "topic", "{}", true, 0), -ENOSPC);
    ck_assert_uint_eq(o.urgent, OUTBOX_URGENT_MAX);
    ck_assert_uint_eq(o.dropped, 0);
    outbox_release(&o);
}
END_TEST

START_TEST(it_can_be_emptied_and_filled_again) {
    outbox o;
    outbox_begin(&o);
    for (int round = 0; round < 3; round++) {
        fill(&o, 5, false, 0);
        (void)send_all(&o);
        for (int i = 4; i >= 0; i--)
            (void)parcel_free(outbox_acked(&o, i));
        ck_assert_ptr_null(o.first);
        ck_assert_uint_eq(o.under_way + o.ordinary, 0);
    }
    outbox_release(&o);
}
END_TEST

Suite *suite_outbox(void) {
    Suite *s = suite_create("outbox");
    TCase *c = tcase_create("outbox");
    tcase_add_test(c, a_message_leaves_only_with_its_acknowledgement);
    tcase_add_test(c, after_a_lost_connection_everything_goes_again_in_the_same_order);
    tcase_add_test(c, no_more_than_the_window_is_under_way);
    tcase_add_test(c, a_full_outbox_drops_the_oldest_ordinary_message_and_never_an_alert);
    tcase_add_test(c, too_many_urgent_messages_are_refused_and_not_forgotten);
    tcase_add_test(c, it_can_be_emptied_and_filled_again);
    suite_add_tcase(s, c);
    return s;
}
