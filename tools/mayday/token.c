/* token.c - `mayday token`: mint a token for development, in the shape that the configured broker expects. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/instant.h"
#include "base/uuid.h"
#include "core/sign.h"
#include "inspect.h"
#include "keyfile.h"

extern const command command_token;

#define ROLES_MAX   16
#define CLAIMS_MAX  64
#define TOKEN_LIMIT (64 << 10)
#define TTL_MAX     (INT64_C(10) * 366 * 86400)

typedef struct mint_job {
    settings settings;
    const char *sub, *org, *kid;
    const char *roles[ROLES_MAX];
    const char *claims[CLAIMS_MAX]; /* "name=value" */
    size_t n_roles, n_claims;
    int64_t ttl; /* seconds */
    char *signing_path;
} mint_job;

static void job_release(mint_job *job) {
    conf_release(&settings_table, &job->settings);
    free(job->signing_path);
}

static int usage(const char *what) {
    return command_fail(&command_token, EXIT_USAGE, "%s; see 'mayday token --help'", what);
}

/* "90", "90s", "15m", "1h", "7d" in seconds. */
static int parse_ttl(const char *given, int64_t *ret_seconds) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    text number = text_of(given);
    int64_t count = 0, each = 1;
    for (size_t i = 0; number.len && i < ARRAY_LEN(units); i++)
        if (given[number.len - 1] == units[i].unit) {
            each = units[i].seconds;
            number.len--;
            break;
        }
    if (text_to_i64(number, 1, TTL_MAX / each, &count) < 0)
        return -EINVAL;
    *ret_seconds = count * each;
    return 0;
}

/* Puts `value` where the first of the alternatives in `paths` says: "o.id" makes {"o":{"id":value}}. Takes
 * the value over. */
static int put_at(json *root, const char *paths, json *value) {
    text rest = text_trim(text_of(paths)), path, step;
    json *at = root;
    if (!text_next(&rest, ' ', &path)) {
        (void)json_free(value);
        return -ENOMEM;
    }
    for (rest = path; text_next(&rest, '.', &step);) {
        CLEANUP(freep) char *name = text_copy(step);
        if (!name || !rest.ptr)
            return name ? json_put(at, name, value) : (json_free(value), -ENOMEM);
        json *next = (json *)json_get(at, name);
        if (!next && json_put(at, name, next = json_new_object()) < 0)
            return (json_free(value), -ENOMEM);
        if (json_kind_of(next) != JSON_OBJECT)
            return (json_free(value), -EEXIST);
        at = next;
    }
    return (json_free(value), -ENOMEM);
}

static json *string_of(const char *value) {
    return json_new_string(text_of(value));
}

static json *roles_of(const mint_job *job) {
    json *roles = json_new_array();
    for (size_t i = 0; roles && i < job->n_roles; i++)
        if (json_append(roles, string_of(job->roles[i])) < 0)
            roles = json_free(roles);
    return roles;
}

static json *new_token_id(instant now) {
    uint8_t random[10];
    char id[UUID_TEXT_LEN + 1];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return NULL;
    uuid made = uuid7_make(now / 1000, random);
    uuid_format(&made, id);
    return string_of(id);
}

/* A value that is JSON is taken as such, anything else as a string. */
static int put_claim(json *root, const char *given) {
    const char *equals = strchr(given, '=');
    CLEANUP(freep) char *name = text_copy((text){given, (size_t)(equals - given)});
    json *value = NULL;
    if (!name ||
        (json_parse_once(text_of(equals + 1), &value) != JSON_OK && !(value = string_of(equals + 1))))
        return -ENOMEM;
    return json_put(root, name, value);
}

static text first_word(const char *list) {
    text rest = text_trim(text_of(list)), word = {0};
    return text_next(&rest, ' ', &word) ? word : (text){0};
}

static int put_origin(json *root, const settings *s) {
    text party = first_word(s->authorized_parties);
    if ((s->issuer && json_put(root, "iss", string_of(s->issuer)) < 0) ||
        (s->audience && json_put(root, "aud", string_of(s->audience)) < 0) ||
        (party.len && json_put(root, "azp", json_new_string(party)) < 0))
        return -ENOMEM;
    return 0;
}

static int fill(const mint_job *job, instant now, json *root) {
    const settings *s = &job->settings;
    int64_t seconds = now / INSTANT_SECOND;
    int fault = put_origin(root, s);
    if (fault == 0)
        fault = put_at(root, s->claim_subject ? s->claim_subject : "sub", string_of(job->sub));
    if (fault == 0)
        fault = put_at(root, s->claim_org ? s->claim_org : "org", string_of(job->org));
    if (fault == 0)
        fault = put_at(root, s->claim_roles ? s->claim_roles : "roles", roles_of(job));
    if (fault == 0)
        fault = json_put(root, "jti", new_token_id(now));
    if (fault == 0)
        fault = json_put(root, "iat", json_new_integer(seconds));
    if (fault == 0)
        fault = json_put(root, "exp", json_new_integer(seconds + job->ttl));
    for (size_t i = 0; fault == 0 && i < job->n_claims; i++)
        fault = put_claim(root, job->claims[i]);
    return fault;
}

static int open_signer(const mint_job *job, signer **ret_signer) {
    CLEANUP(json_freep) json *set = NULL;
    char why[KEYFILE_WHY_MAX] = "", wrong[SIGN_WHY_MAX] = "";
    if (keyfile_read(job->signing_path, &set, why) < 0)
        return command_fail(&command_token, EXIT_REFUSED, "%s ('mayday keys new' makes signing keys)", why);
    const json *key = job->kid ? keyfile_find(set, text_of(job->kid)) : keyfile_last(set);
    if (!key)
        return command_fail(&command_token, EXIT_REFUSED, "%s: there is no key %s", job->signing_path,
                            job->kid ? job->kid : "in it");
    if (signer_new(key, ret_signer, wrong) < 0)
        return command_fail(&command_token, EXIT_REFUSED, "%s: the key can't sign: %s", job->signing_path,
                            wrong);
    return EXIT_DONE;
}

/* A token that the configured broker would refuse may be just what a test wants, so it is only remarked. */
static void warn_if_refused(const mint_job *job, text token, instant now) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    CLEANUP(token_rules_freep) token_rules *rules = NULL;
    CLEANUP(claims_freep) claims *who = NULL;
    if (token_judge_new(&command_token, &job->settings, NULL, &keys, &rules) != EXIT_DONE) {
        fputs("mayday token: so it is not known whether the broker would take this token\n", stderr);
        return;
    }
    token_verdict verdict = token_verify(keys, rules, token, now / INSTANT_SECOND, &who);
    if (verdict != TOKEN_ACCEPTED)
        fprintf(stderr, "mayday token: a broker with this configuration would refuse the token: %s\n",
                token_verdict_name(verdict));
}

static int mint(const mint_job *job) {
    CLEANUP(json_freep) json *payload = json_new_object();
    CLEANUP(signer_freep) signer *s = NULL;
    CLEANUP(buf_release) buf printed = BUF(TOKEN_LIMIT), token = BUF(2 * TOKEN_LIMIT);
    int code = open_signer(job, &s);
    if (code != EXIT_DONE)
        return code;
    instant now = instant_now();
    int fault = payload ? fill(job, now, payload) : -ENOMEM;
    if (fault < 0)
        return command_fail(&command_token, EXIT_REFUSED, "the claims can't be put together: %s",
                            fault == -EEXIST ? "the configured claim paths collide" : strerror(-fault));
    json_print(payload, &printed);
    if (buf_failed(&printed) < 0 || signer_sign(s, buf_text(&printed), &token) < 0)
        return command_fail(&command_token, EXIT_REFUSED, "the token would be longer than 64 kB");
    warn_if_refused(job, buf_text(&token), now);
    puts(token.ptr);
    return EXIT_DONE;
}

static int take_role(mint_job *job, const char *role) {
    if (job->n_roles == ROLES_MAX)
        return usage("--role: at most 16");
    job->roles[job->n_roles++] = role;
    return EXIT_DONE;
}

static int take_claim(mint_job *job, const char *claim) {
    const char *equals = strchr(claim, '=');
    if (!equals || equals == claim)
        return usage("--claim: expected name=value");
    if (text_equal(text_trim(text_of(equals + 1)), TEXT("null")))
        return usage("--claim: null is no value; leave the claim out");
    if (job->n_claims == CLAIMS_MAX)
        return usage("--claim: at most 64");
    job->claims[job->n_claims++] = claim;
    return EXIT_DONE;
}

/* EXIT_DONE, a failure, or -1 when help was asked for and given. */
static int read_options(mint_job *job, int argc, char **argv) {
    static const struct option options[] = {
        {"sub", required_argument, NULL, 's'},
        {"org", required_argument, NULL, 'o'},
        {"role", required_argument, NULL, 'r'},
        {"ttl", required_argument, NULL, 't'},
        {"claim", required_argument, NULL, 'c'},
        {"kid", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"signing-keys", required_argument, NULL, 'f'},
        {0},
    };
    int code = EXIT_DONE;
    opterr = 0;
    optind = 0; /* starts over: the program's own options were another scan */
    for (int o; code == EXIT_DONE && (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (o) {
        case 's':
            job->sub = optarg;
            break;
        case 'o':
            job->org = optarg;
            break;
        case 'r':
            code = take_role(job, optarg);
            break;
        case 't':
            if (parse_ttl(optarg, &job->ttl) < 0)
                code = usage("--ttl: expected a duration such as 90s, 15m, 1h or 7d, at most ten years");
            break;
        case 'c':
            code = take_claim(job, optarg);
            break;
        case 'k':
            job->kid = optarg;
            break;
        case 'f':
            free(job->signing_path);
            job->signing_path = strdup(optarg);
            break;
        case 'h':
            fputs(command_token.help, stdout);
            return -1;
        default:
            return command_fail(&command_token, EXIT_USAGE, "%s '%s'; see 'mayday token --help'",
                                o == ':' ? "a value is missing behind" : "unknown option", argv[optind - 1]);
        }
    }
    if (code == EXIT_DONE && optind < argc)
        return command_fail(&command_token, EXIT_USAGE, "unexpected '%s'; see 'mayday token --help'",
                            argv[optind]);
    if (code == EXIT_DONE && (!job->sub || !job->org || job->n_roles == 0))
        return usage("--sub, --org and at least one --role are needed");
    return code;
}

static int run(const char *config_path, int argc, char **argv) {
    CLEANUP(job_release) mint_job job = {.ttl = 3600};
    if (argc > 1 && strcmp(argv[1], "inspect") == 0)
        return token_inspect(config_path, argc - 1, argv + 1);
    int code = read_options(&job, argc, argv);
    if (code != EXIT_DONE)
        return code < 0 ? EXIT_DONE : code;
    code = keyfile_settings(config_path, &job.settings);
    if (code != EXIT_DONE)
        return code;
    if (!job.signing_path && job.settings.keys_file)
        job.signing_path = keyfile_signing_path(job.settings.keys_file);
    if (!job.signing_path)
        return usage("the configuration has no [token] keys_file: --signing-keys is needed");
    return mint(&job);
}

const command command_token = {
    .name = "token",
    .summary = "mint a token for development, or inspect one",
    .help =
        "Usage: mayday token --sub SUB --org ORG --role ROLE [--role ROLE ...] [--ttl 1h]\n"
        "                    [--claim NAME=VALUE ...] [--kid KID] [--signing-keys FILE]\n"
        "       mayday token inspect [--keys FILE] [--json] [TOKEN|-]\n"
        "\n"
        "The first form prints a signed token for development and tests; in production an identity provider\n"
        "issues them. Claims stand where the configuration expects them (claim_org 'o.id' makes an object "
        "'o'),\n"
        "with 'iss', 'aud' and 'azp' as it demands them, 'jti' (a new UUID), 'iat' and 'exp'. A remark on "
        "stderr\n"
        "says when the configured broker would refuse the result.\n"
        "\n"
        "  --sub SUB            who: a person or device\n"
        "  --org ORG            the organisation\n"
        "  --role ROLE          a role; repeat it for several\n"
        "  --ttl DURATION       how long it is valid: 90s, 15m, 1h, 7d; default 1h\n"
        "  --claim NAME=VALUE   a further claim, or another value for one of the above. VALUE is JSON, or "
        "else\n"
        "                       a string\n"
        "  --kid KID            sign with this key instead of the newest\n"
        "  --signing-keys FILE  the private keys; default: signing-keys.json beside [token] keys_file\n"
        "\n"
        "inspect decodes a token, from standard input unless it is given, and judges it as a broker with "
        "this\n"
        "configuration would. Prefer standard input: other users of this machine can see arguments.\n"
        "\n"
        "  --keys FILE  verify with this key set instead of [token] keys_file\n"
        "  --json       an object with accepted, verdict, advice, header, payload and, when accepted, "
        "claims\n"
        "\n"
        "Exit codes: 0 done or accepted, 1 refused (the message says why), 2 wrong usage.\n",
    .run = run,
};
