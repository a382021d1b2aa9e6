/* inspect.c - `mayday token inspect`: what a token says, and what the broker would say to it. */
#include "inspect.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/instant.h"
#include "core/base64url.h"
#include "keyfile.h"

extern const command command_token;

#define TOKEN_READ_MAX (1 << 20)

typedef struct inspection {
    buf token;
    json *header, *payload; /* NULL when they can't be decoded */
    token_verdict verdict;
    claims *who;
} inspection;

static void inspection_release(inspection *i) {
    buf_release(&i->token);
    (void)json_free(i->header);
    (void)json_free(i->payload);
    (void)claims_free(i->who);
}

/* What to do about a verdict. */
static const char *advice(token_verdict verdict) {
    switch (verdict) {
    case TOKEN_REFUSED:
        return "it is no signed JWT in compact form, or its header asks for what Mayday does not support";
    case TOKEN_ACCEPTED:
        return "the broker takes it";
    case TOKEN_TOO_LONG:
        return "it is longer than [token] max_size";
    case TOKEN_UNKNOWN_KEY:
        return "no key in the key set has its 'kid', or it has none and several keys fit";
    case TOKEN_WRONG_ALGORITHM:
        return "its 'alg' is not the one that its key is for";
    case TOKEN_BAD_SIGNATURE:
        return "it was changed, or signed with another key";
    case TOKEN_EXPIRED:
        return "'exp' has passed";
    case TOKEN_NOT_YET_VALID:
        return "'nbf' or 'iat' lies ahead of this clock by more than [token] leeway";
    case TOKEN_WRONG_ISSUER:
        return "'iss' is not [token] issuer";
    case TOKEN_WRONG_AUDIENCE:
        return "'aud' does not hold [token] audience";
    case TOKEN_WRONG_PARTY:
        return "'azp' is none of [token] authorized_parties";
    case TOKEN_MISSING_CLAIM:
        return "'exp', the subject, the organisation or one of [token] required_claims is missing";
    case TOKEN_BAD_CLAIM:
        return "a claim has the wrong type, or subject, organisation or a role can be no level of a topic";
    case TOKEN_NO_MEMORY:
        return "out of memory";
    case TOKEN_VERDICTS:
        break;
    }
    return "";
}

int token_judge_new(const command *c, const settings *s, const char *keys_file, keyset **ret_keys,
                    token_rules **ret_rules) {
    CLEANUP(buf_release) buf content = BUF(KEYFILE_MAX);
    CLEANUP(keyset_freep) keyset *keys = NULL;
    char why[TOKEN_WHY_MAX] = "";
    const char *path = keys_file ? keys_file : s->keys_file;
    if (!path)
        return command_fail(c, EXIT_REFUSED, "the configuration has no [token] keys_file");
    int fault = file_read(path, KEYFILE_MAX, &content);
    if (fault < 0)
        return command_fail(c, EXIT_REFUSED, "%s: %s", path, strerror(-fault));
    if (keyset_parse(buf_text(&content), &keys, why) < 0)
        return command_fail(c, EXIT_REFUSED, "%s: %s", path, why);
    token_rules_spec spec = token_spec_of(s);
    if (token_rules_new(&spec, ret_rules, why) < 0)
        return command_fail(c, EXIT_REFUSED, "[token] settings: %s", why);
    *ret_keys = keys;
    keys = NULL;
    return EXIT_DONE;
}

static int read_stdin(buf *to) {
    char piece[4096];
    for (ssize_t n; (n = read(STDIN_FILENO, piece, sizeof piece)) != 0;) {
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            buf_add(to, piece, (size_t)n);
    }
    return buf_failed(to);
}

static json *decoded(text part) {
    CLEANUP(freep) unsigned char *bytes = malloc(BASE64URL_DECODED_MAX(part.len));
    size_t len = 0;
    json *root = NULL;
    if (!bytes || base64url_decode(part, bytes, &len) < 0 ||
        json_parse_once((text){(const char *)bytes, len}, &root) != JSON_OK)
        return NULL;
    return root;
}

static void decode(inspection *i, text token) {
    text rest = token, part;
    if (text_next(&rest, '.', &part))
        i->header = decoded(part);
    if (text_next(&rest, '.', &part))
        i->payload = decoded(part);
}

static void print_part(const char *name, const json *part) {
    CLEANUP(buf_release) buf printed = BUF(4 * TOKEN_READ_MAX);
    if (part)
        json_print_pretty(part, &printed);
    printf("%s: %s\n", name, part ? buf_text(&printed).ptr : "not readable");
}

static int show(const inspection *i, int64_t now) {
    print_part("header", i->header);
    print_part("payload", i->payload);
    if (i->who)
        printf("for: %s of %s, %zu role%s, %lld s left\n", i->who->subject, i->who->org, i->who->n_roles,
               i->who->n_roles == 1 ? "" : "s", (long long)(i->who->expires_at - now));
    printf("verdict: %s (%s)\n", token_verdict_name(i->verdict), advice(i->verdict));
    return EXIT_DONE;
}

static int put_shared(json *to, const char *name, const json *value) {
    return value ? json_put(to, name, json_share(value)) : 0;
}

static json *claims_json(const claims *who) {
    CLEANUP(buf_release) buf printed = BUF(TOKEN_READ_MAX);
    json *root = NULL;
    claims_print(who, &printed);
    return buf_failed(&printed) == 0 && json_parse_once(buf_text(&printed), &root) == JSON_OK ? root : NULL;
}

static int show_json(const inspection *i) {
    CLEANUP(json_freep) json *root = json_new_object();
    CLEANUP(buf_release) buf printed = BUF(4 * TOKEN_READ_MAX);
    if (!root || json_put(root, "accepted", json_new_bool(i->verdict == TOKEN_ACCEPTED)) < 0 ||
        json_put(root, "verdict", json_new_string(text_of(token_verdict_name(i->verdict)))) < 0 ||
        json_put(root, "advice", json_new_string(text_of(advice(i->verdict)))) < 0 ||
        put_shared(root, "header", i->header) < 0 || put_shared(root, "payload", i->payload) < 0 ||
        (i->who && json_put(root, "claims", claims_json(i->who)) < 0))
        return command_fail(&command_token, EXIT_REFUSED, "out of memory");
    json_print_pretty(root, &printed);
    puts(buf_text(&printed).ptr);
    return EXIT_DONE;
}

static int inspect(const settings *s, const char *keys_file, const char *given, bool as_json) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    CLEANUP(token_rules_freep) token_rules *rules = NULL;
    CLEANUP(inspection_release) inspection i = {.token = BUF(TOKEN_READ_MAX)};
    int code = token_judge_new(&command_token, s, keys_file, &keys, &rules);
    if (code != EXIT_DONE)
        return code;
    int64_t now = instant_now() / INSTANT_SECOND;
    if (given)
        buf_add_text(&i.token, text_of(given));
    else if (read_stdin(&i.token) < 0)
        return command_fail(&command_token, EXIT_REFUSED, "standard input can't be read as one token");
    if (buf_failed(&i.token) < 0)
        return command_fail(&command_token, EXIT_REFUSED, "the token is too long");
    text token = text_trim(buf_text(&i.token));
    decode(&i, token);
    i.verdict = token_verify(keys, rules, token, now, &i.who);
    code = as_json ? show_json(&i) : show(&i, now);
    return code != EXIT_DONE ? code : i.verdict == TOKEN_ACCEPTED ? EXIT_DONE : EXIT_REFUSED;
}

int token_inspect(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"keys", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *keys_file = NULL;
    bool as_json = false;
    opterr = 0;
    optind = 0; /* starts over: the program's own options were another scan */
    for (int o; (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (o) {
        case 'j':
            as_json = true;
            break;
        case 'k':
            keys_file = optarg;
            break;
        case 'h':
            fputs(command_token.help, stdout);
            return EXIT_DONE;
        default:
            return command_fail(&command_token, EXIT_USAGE, "%s '%s'; see 'mayday token --help'",
                                o == ':' ? "a value is missing behind" : "unknown option", argv[optind - 1]);
        }
    }
    if (argc - optind > 1)
        return command_fail(&command_token, EXIT_USAGE, "expected one token; see 'mayday token --help'");
    settings s = {0};
    const char *given = optind < argc && strcmp(argv[optind], "-") != 0 ? argv[optind] : NULL;
    int code = keyfile_settings(config_path, &s);
    if (code != EXIT_DONE)
        return code;
    code = inspect(&s, keys_file, given, as_json);
    conf_release(&settings_table, &s);
    return code;
}
