/* vitals.c - `mayday vitals`: how somebody's body is, what was found, and the rules that say what to notice.
 */
#include <getopt.h>
#include <string.h>

#include "args.h"
#include "database.h"
#include "vitals_tool.h"

static const command *const self = &command_vitals;

static bool take_option(vitals_options *o, int option, const char *value) {
    switch (option) {
    case 'j':
        o->json = true;
        return true;
    case 's':
        o->shipped = true;
        return true;
    case 'r':
        o->recording = value;
        return true;
    case 'p':
        o->person = value;
        return true;
    case 'l':
        o->roles = value;
        return true;
    case 'h':
        return arg_count(self, "hours", value, 1, 24 * 90, &o->hours);
    case DATABASE_OPTION:
        o->database = value;
        return true;
    default:
        return false;
    }
}

static int do_rules(const vitals_options *o, const settings *conf, int count, char **words) {
    if (count == 2 && strcmp(words[0], "check") == 0)
        return rules_check(conf, words[1]);
    if (count == 3 && strcmp(words[0], "set") == 0)
        return rules_set(o, conf, words[1], words[2]);
    if ((count == 2 || count == 3) && strcmp(words[0], "test") == 0)
        return rules_test(o, conf, words[1], count == 3 ? words[2] : NULL);
    return command_fail(
        self, EXIT_USAGE,
        "expected 'rules show ORG', 'rules show --shipped', 'rules check FILE', 'rules set ORG "
        "FILE' or 'rules test ORG [FILE]'; see 'mayday vitals --help'");
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"shipped", no_argument, NULL, 's'},
        {"recording", required_argument, NULL, 'r'},
        {"person", required_argument, NULL, 'p'},
        {"roles", required_argument, NULL, 'l'},
        {"hours", required_argument, NULL, 'h'},
        DATABASE_OPTIONS,
        {0},
    };
    vitals_options o = {.config_path = config_path, .hours = 24};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    int count = argc - optind;
    char **words = argv + optind;
    if (count == 3 && strcmp(words[0], "show") == 0)
        return vitals_show(&o, words[1], words[2]);
    if (count < 2 || strcmp(words[0], "rules") != 0)
        return command_fail(self, EXIT_USAGE,
                            "expected 'show ORG PERSON' or 'rules ...'; see 'mayday vitals --help'");
    if (strcmp(words[1], "show") == 0 && count == (o.shipped ? 2 : 3))
        return rules_show(&o, o.shipped ? NULL : words[2]);
    settings conf = {0};
    int code = command_settings(config_path, &conf);
    if (code != EXIT_DONE)
        return code;
    code = do_rules(&o, &conf, count - 1, words + 1);
    conf_release(&settings_table, &conf);
    return code;
}

const command command_vitals = {
    .name = "vitals",
    .summary = "vital signs: how somebody is, what was found, and the rules for it",
    .help =
        "Usage: mayday vitals show ORG PERSON [--json]\n"
        "       mayday vitals rules show ORG | show --shipped\n"
        "       mayday vitals rules check FILE\n"
        "       mayday vitals rules set ORG FILE\n"
        "       mayday vitals rules test ORG [FILE] --recording PATH | --person PERSON [--hours N]\n"
        "\n"
        "show          the newest readings of a person, what is usual for them, what was found and asked\n"
        "rules show    the rules that count for an organisation, to be edited and set; with --shipped those\n"
        "              that Mayday comes with, each with its source, over which an organisation's own lie\n"
        "rules check   is the file well-formed, and does it make sense?\n"
        "rules set     from now on they count; '*' as ORG: for all organisations without rules of their own\n"
        "rules test    what these rules (of FILE, or those that count) would have found, and when: in a\n"
        "              recording (FIT, GPX, TCX, NMEA, CSV), or in what somebody's sensors said lately.\n"
        "              Nothing is sent, stored or changed\n"
        "\n"
        "  --recording PATH   a recording to test with\n"
        "  --person PERSON    test for this person: their own rules, and without --recording their readings\n"
        "  --roles WORDS      their roles, separated by spaces, for rules of roles\n"
        "  --hours N          how far back (default: 24)\n"
        "  --json             lines of JSON\n" DATABASE_HELP "\n"
        "Mayday is not a medical device: its rules draw attention and replace no examination.\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
