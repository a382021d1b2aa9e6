/* The file: what is wrong with it is said by line, and its limits hold. */
#include "policy_support.h"

START_TEST(every_parse_error_names_line_and_reason) {
#define R "role r\n"
    static const struct {
        const char *source;
        size_t line;
        const char *reason;
    } rows[] = {
        {"", 1, "the policy names no role"},
        {"# all gone\n\n", 3, "the policy names no role"},
        {"role", 1, "'role' needs a name"},
        {"role a/b", 1, "'a/b' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role {x}", 1, "'{x}' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role +", 1, "'+' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role a b", 1, "'b' is one word too many"},
        {R "role s\n\nrole r\n", 4, "role 'r' is there already, in line 1"},
        {"# x\nread mayday/v1/{org}/a\nrole r\n", 2, "there is no 'role' above this line"},
        {R "grant x\n", 2, "'grant' is none of role, publish, read"},
        {R "Read mayday/v1/{org}/a\n", 2, "'Read' is none of role, publish, read"},
        {R "read\n", 2, "'read' needs a pattern"},
        {R "publish # nothing\n", 2, "'nothing' is one word too many"},
        {R "read mayday/v1/{org}/a # mine\n", 2, "'#' is one word too many"},
        {R "read #\n", 2, "'#' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read +/+\n", 2, "'+/+' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/{org}\n", 2,
         "'mayday/v1/{org}' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/acme/a\n", 2,
         "'mayday/v1/acme/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/{sub}/a\n", 2,
         "'mayday/v1/{sub}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read $share/g/mayday/v1/{org}/a\n", 2,
         "'$share/g/mayday/v1/{org}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read $CONTROL/mayday/v1x\n", 2,
         "'$CONTROL/mayday/v1x' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "publish $CONTROL/#\n", 2,
         "'$CONTROL/#' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "publish wearables/a\n", 2, "what is not below mayday/v1/{org}/ can only be read: 'wearables/a'"},
        {R "read {org}/a\n", 2,
         "'{org}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read /a\n", 2, "'/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v2/a\n", 2,
         "'mayday/v2/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read wearables/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/+/a\n", 2,
         "'mayday/v1/+/a' would reach into other organisations: write mayday/v1/{org}/"},
        {R "read mayday/v1/#\n", 2,
         "'mayday/v1/#' would reach into other organisations: write mayday/v1/{org}/"},
        {R "\n\npublish $SYS/broker/x\n", 4, "what is below $SYS/ can only be read"},
        {R "read $SYS/\n", 2, "the pattern has an empty level"},
        {R "read $CONTROL/mayday/v1/\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/a//b\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/#/b\n", 2, "'#' can only be the last level"},
        {R "read mayday/v1/{org}/a+\n", 2, "'a+': a wildcard stands alone between slashes"},
        {R "read mayday/v1/{org}/b#\n", 2, "'b#': a wildcard stands alone between slashes"},
        {R "read mayday/v1/{org}/{who}\n", 2,
         "'{who}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/x{sub}\n", 2,
         "'x{sub}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/sub}\n", 2,
         "'sub}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/user/{member}/x\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/x/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/+/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read $SYS/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/room/{other}/x\n", 2,
         "{other} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/user/{raiser}/x\n", 2,
         "{raiser} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/{assigned}\n", 2,
         "{assigned} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/room/{former}\n", 2,
         "{former} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/room/{family}/x\n", 2,
         "{family} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/4/5/6/7/8/9/10/11/12/13/14/15/16/17\n", 2,
         "the pattern has more than 16 levels"},
        {R "read mayday/v1/{org}/a\x1B[2J\n", 2, "the line holds a control character or is not UTF-8"},
        {R "# \xFF\n", 2, "the line holds a control character or is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        policy *p = NULL;
        policy_error error = {0};
        ck_assert_msg(policy_parse(text_of(rows[i].source), &p, &error) == -EBADMSG, "%s", rows[i].source);
        ck_assert_ptr_null(p);
        ck_assert_str_eq(error.reason, rows[i].reason);
        ck_assert_msg(error.line == rows[i].line, "%s: line %zu", rows[i].source, error.line);
    }
}
END_TEST

START_TEST(sixty_four_roles_are_as_many_as_there_are_bits) {
    CLEANUP(buf_release) buf source = BUF(1 << 16);
    for (int i = 0; i < POLICY_ROLES_MAX; i++)
        buf_printf(&source, "role r%d\nread mayday/v1/{org}/only/r%d\n", i, i);
    CLEANUP(policy_freep) policy *p = parse(buf_text(&source));
    policy_subject who = ann_as(p, "r63");
    ck_assert_uint_eq(who.roles, UINT64_C(1) << 63);
    ck_assert(policy_may_read(p, NULL, &who, TEXT(ORG "only/r63")));
    ck_assert(!policy_may_read(p, NULL, &who, TEXT(ORG "only/r62")));
    buf_add_text(&source, TEXT("role last\n"));
    policy *none = NULL;
    policy_error error = {0};
    ck_assert_int_eq(policy_parse(buf_text(&source), &none, &error), -EBADMSG);
    ck_assert_str_eq(error.reason, "more than 64 roles");
    ck_assert_uint_eq(error.line, 129);
}
END_TEST

START_TEST(a_file_too_large_is_refused_unread) {
    CLEANUP(freep) char *large = calloc(1, (1 << 20) + 1);
    policy *p = NULL;
    policy_error error = {0};
    ck_assert_int_eq(policy_parse((text){large, (1 << 20) + 1}, &p, &error), -EBADMSG);
    ck_assert_str_eq(error.reason, "the policy is larger than 1048576 bytes");
}
END_TEST

Suite *suite_policy_file(void) {
    Suite *s = suite_create("policy_file");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_parse_error_names_line_and_reason);
    tcase_add_test(t, sixty_four_roles_are_as_many_as_there_are_bits);
    tcase_add_test(t, a_file_too_large_is_refused_unread);
    suite_add_tcase(s, t);
    return s;
}
