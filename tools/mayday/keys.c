/* keys.c - `mayday keys`: make, list, rotate and export the keys that tokens are signed and verified with.
 * The public set is written first when a key comes, and last when one goes: at no time is there a token that
 * was signed with a key the broker does not have. */
#include "keyfile.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/algorithm.h"
#include "core/sign.h"
#include "core/token.h"

extern const command command_keys;

#define MODE_PRIVATE       0600
#define MODE_PUBLIC        0644
#define MODE_SHARED_SECRET 0640 /* the most a public set may allow that holds an oct key */

typedef struct keys_job {
    settings settings;
    const char *type, *alg, *drop;
    char *private_path, *public_path; /* owned */
    int bits;
    bool json;
    json *signing, *verifying; /* the two sets as they are; NULL when there is none yet */
} keys_job;

static void job_release(keys_job *job) {
    conf_release(&settings_table, &job->settings);
    free(job->private_path);
    free(job->public_path);
    (void)json_free(job->signing);
    (void)json_free(job->verifying);
}

static int fail(int code, const char *why) {
    return command_fail(&command_keys, code, "%s", why);
}

static int out_of_memory(void) {
    return fail(EXIT_REFUSED, "out of memory");
}

static const struct {
    const char *type, *kty, *alg;
} types[] = {
    {"ec", "EC", "ES256"},
    {"rsa", "RSA", "RS256"},
    {"ed25519", "OKP", "EdDSA"},
    {"hmac", "oct", "HS256"},
};

/* From --type and --alg, or `fallback` when neither is given. */
static int choose_algorithm(const keys_job *job, const char *fallback, const char **ret_alg) {
    const algorithm *alg = job->alg ? algorithm_named(text_of(job->alg)) : NULL;
    const char *kty = NULL;
    if (job->alg && !alg)
        return command_fail(&command_keys, EXIT_USAGE, "--alg: there is no algorithm '%s'", job->alg);
    for (size_t i = 0; job->type && i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].type, job->type) == 0) {
            kty = types[i].kty;
            fallback = types[i].alg;
        }
    if (job->type && !kty)
        return command_fail(&command_keys, EXIT_USAGE, "--type: '%s' is none of ec, rsa, ed25519, hmac",
                            job->type);
    if (alg && kty && strcmp(alg->kty, kty) != 0)
        return command_fail(&command_keys, EXIT_USAGE, "--alg %s does not fit --type %s", alg->name,
                            job->type);
    if (!alg && !fallback)
        return fail(EXIT_USAGE, "--type or --alg is missing; see 'mayday keys --help'");
    *ret_alg = alg ? alg->name : fallback;
    return EXIT_DONE;
}

static int make_key(const keys_job *job, const char *alg, json **ret_key) {
    int fault = sign_new_key(text_of(alg), job->bits, ret_key);
    if (fault == -EINVAL)
        return command_fail(&command_keys, EXIT_USAGE,
                            "--bits: RSA keys have %d to %d bits, in whole bytes; other keys have no choice",
                            SIGN_RSA_BITS_MIN, SIGN_RSA_BITS_MAX);
    return fault < 0 ? out_of_memory() : EXIT_DONE;
}

static bool holds_shared_secret(const json *set) {
    const json *keys = json_get(set, "keys");
    for (size_t i = 0; i < json_length(keys); i++)
        if (sign_is_shared_secret(json_at(keys, i)))
            return true;
    return false;
}

/* What the broker would say to the set. */
static int judge(const char *path, const json *set) {
    CLEANUP(buf_release) buf printed = BUF(KEYFILE_MAX);
    CLEANUP(keyset_freep) keyset *keys = NULL;
    char why[TOKEN_WHY_MAX] = "";
    json_print(set, &printed);
    if (buf_failed(&printed) < 0)
        return out_of_memory();
    if (keyset_parse(buf_text(&printed), &keys, why) < 0)
        return command_fail(&command_keys, EXIT_REFUSED, "%s: the broker would refuse this set: %s", path,
                            why);
    return EXIT_DONE;
}

static int write_public(const keys_job *job, const json *set) {
    char why[KEYFILE_WHY_MAX];
    bool secret = holds_shared_secret(set);
    mode_t most = secret ? MODE_SHARED_SECRET : 0777;
    int code = judge(job->public_path, set);
    if (code != EXIT_DONE)
        return code;
    if (keyfile_write(job->public_path, set, MODE_PUBLIC & most, most, why) < 0)
        return fail(EXIT_REFUSED, why);
    if (secret)
        fprintf(stderr,
                "mayday keys: %s holds a shared secret: who can read it can sign tokens. It is closed to "
                "others; see that the broker's user or group can read it.\n",
                job->public_path);
    return EXIT_DONE;
}

static int write_private(const keys_job *job, const json *set) {
    char why[KEYFILE_WHY_MAX];
    return keyfile_write(job->private_path, set, MODE_PRIVATE, 0700, why) < 0 ? fail(EXIT_REFUSED, why)
                                                                              : EXIT_DONE;
}

static int add_key(keys_job *job, const char *alg) {
    CLEANUP(json_freep) json *key = NULL, *half = NULL, *verifying = NULL, *signing = NULL;
    int code = make_key(job, alg, &key);
    if (code != EXIT_DONE)
        return code;
    if (sign_verifying_half(key, &half) < 0 || keyset_json(job->verifying, (text){0}, half, &verifying) < 0 ||
        keyset_json(job->signing, (text){0}, key, &signing) < 0)
        return out_of_memory();
    code = write_public(job, verifying);
    if (code == EXIT_DONE)
        code = write_private(job, signing);
    text kid = json_get_string(key, "kid");
    if (code == EXIT_DONE)
        printf("made %s key %.*s\n  signs with: %s\n  verified with: %s\n", alg, (int)kid.len, kid.ptr,
               job->private_path, job->public_path);
    return code;
}

static int run_new(keys_job *job) {
    const char *alg = NULL;
    int code = choose_algorithm(job, NULL, &alg);
    if (code != EXIT_DONE)
        return code;
    if (job->signing)
        return command_fail(
            &command_keys, EXIT_REFUSED,
            "%s exists; 'mayday keys rotate' adds a key to it, or name another --private FILE",
            job->private_path);
    return add_key(job, alg);
}

static int drop_key(keys_job *job) {
    CLEANUP(json_freep) json *verifying = NULL, *signing = NULL;
    text kid = text_of(job->drop);
    const json *held = keyfile_find(job->signing, kid);
    if (!held && !keyfile_find(job->verifying, kid))
        return command_fail(&command_keys, EXIT_REFUSED, "there is no key '%s' in %s or %s", job->drop,
                            job->public_path, job->private_path);
    if (held && held == keyfile_last(job->signing))
        return command_fail(&command_keys, EXIT_REFUSED, "'%s' is the key that signs; rotate first",
                            job->drop);
    if (keyset_json(job->verifying, kid, NULL, &verifying) < 0 ||
        keyset_json(job->signing, kid, NULL, &signing) < 0)
        return out_of_memory();
    int code = judge(job->public_path, verifying);
    if (code == EXIT_DONE && held)
        code = write_private(job, signing);
    if (code == EXIT_DONE)
        code = write_public(job, verifying);
    if (code == EXIT_DONE)
        printf("dropped key %s\n", job->drop);
    return code;
}

static int run_rotate(keys_job *job) {
    const char *alg = NULL;
    const json *current = keyfile_last(job->signing);
    if (job->drop && (job->alg || job->type || job->bits))
        return fail(EXIT_USAGE, "--drop only removes a key: it goes with no --type, --alg or --bits");
    if (job->drop)
        return drop_key(job);
    if (!current)
        return command_fail(&command_keys, EXIT_REFUSED,
                            "%s: there is no key to rotate; 'mayday keys new' first", job->private_path);
    int code = choose_algorithm(job, keyfile_algorithm(current), &alg);
    return code == EXIT_DONE ? add_key(job, alg) : code;
}

static int need_public(const keys_job *job) {
    if (job->verifying)
        return EXIT_DONE;
    return command_fail(&command_keys, EXIT_REFUSED, "%s: there is no such file; 'mayday keys new' makes one",
                        job->public_path);
}

static const char *duty_of(const keys_job *job, const json *key) {
    const json *held = keyfile_find(job->signing, json_get_string(key, "kid"));
    return !held ? "verifies" : held == keyfile_last(job->signing) ? "signs" : "retired";
}

static int list_json(const keys_job *job) {
    static const char *const shown[] = {"kid", "kty", "crv", "use"};
    CLEANUP(json_freep) json *all = json_new_array();
    CLEANUP(buf_release) buf out = BUF(KEYFILE_MAX);
    const json *keys = json_get(job->verifying, "keys");
    for (size_t i = 0; i < json_length(keys); i++) {
        const json *key = json_at(keys, i);
        const char *alg = keyfile_algorithm(key);
        CLEANUP(json_freep) json *row = json_new_object();
        for (size_t m = 0; m < ARRAY_LEN(shown); m++)
            if (json_get(key, shown[m]) && json_put(row, shown[m], json_share(json_get(key, shown[m]))) < 0)
                return out_of_memory();
        if ((alg && json_put(row, "alg", json_new_string(text_of(alg))) < 0) ||
            json_put(row, "duty", json_new_string(text_of(duty_of(job, key)))) < 0 ||
            json_append(all, json_share(row)) < 0)
            return out_of_memory();
    }
    json_print_pretty(all, &out);
    if (buf_failed(&out) < 0)
        return out_of_memory();
    puts(out.ptr);
    return EXIT_DONE;
}

static int run_list(keys_job *job) {
    int code = need_public(job);
    if (code == EXIT_DONE && job->json)
        code = list_json(job);
    else if (code == EXIT_DONE) {
        const json *keys = json_get(job->verifying, "keys");
        printf("%-9s %-6s %s\n", "DUTY", "ALG", "KID");
        for (size_t i = 0; i < json_length(keys); i++) {
            const char *alg = keyfile_algorithm(json_at(keys, i));
            text kid = json_get_string(json_at(keys, i), "kid");
            printf("%-9s %-6s %.*s\n", duty_of(job, json_at(keys, i)), alg ? alg : "?", (int)kid.len,
                   kid.ptr ? kid.ptr : "");
        }
    }
    return code == EXIT_DONE ? judge(job->public_path, job->verifying) : code;
}

static int run_export(keys_job *job) {
    CLEANUP(json_freep) json *out = NULL;
    CLEANUP(buf_release) buf printed = BUF(KEYFILE_MAX);
    int code = need_public(job);
    if (code != EXIT_DONE)
        return code;
    if (keyset_json(NULL, (text){0}, NULL, &out) < 0)
        return out_of_memory();
    const json *keys = json_get(job->verifying, "keys");
    for (size_t i = 0; i < json_length(keys); i++) {
        CLEANUP(json_freep) json *half = NULL, *longer = NULL;
        if (sign_is_shared_secret(json_at(keys, i))) {
            fprintf(stderr, "mayday keys: key %zu is a shared secret and is not exported\n", i + 1);
            continue;
        }
        int fault = sign_verifying_half(json_at(keys, i), &half);
        if (fault == -EINVAL)
            continue; /* a kind of key that Mayday does not know */
        if (fault < 0 || keyset_json(out, (text){0}, half, &longer) < 0)
            return out_of_memory();
        json *shorter = out;
        out = longer;
        longer = shorter;
    }
    json_print_pretty(out, &printed);
    if (buf_failed(&printed) < 0)
        return out_of_memory();
    puts(printed.ptr);
    return EXIT_DONE;
}

static const struct {
    const char *name;
    int (*run)(keys_job *job);
    bool needs_private; /* an unreadable private set is an error */
} actions[] = {
    {"new", run_new, true},
    {"list", run_list, false},
    {"rotate", run_rotate, true},
    {"export", run_export, false},
};

static int set_path(char **path, const char *value) {
    free(*path);
    *path = strdup(value);
    return *path ? EXIT_DONE : out_of_memory();
}

/* EXIT_DONE, a failure, or -1 when help was asked for and given. */
static int read_options(keys_job *job, int argc, char **argv) {
    static const struct option options[] = {
        {"type", required_argument, NULL, 't'},
        {"alg", required_argument, NULL, 'a'},
        {"bits", required_argument, NULL, 'b'},
        {"private", required_argument, NULL, 'p'},
        {"public", required_argument, NULL, 'P'},
        {"drop", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int64_t bits = 0;
    int code = EXIT_DONE;
    opterr = 0;
    optind = 0; /* starts over: the program's own options were another scan */
    for (int o; code == EXIT_DONE && (o = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        switch (o) {
        case 't':
            job->type = optarg;
            break;
        case 'a':
            job->alg = optarg;
            break;
        case 'b':
            if (text_to_i64(text_of(optarg), SIGN_RSA_BITS_MIN, SIGN_RSA_BITS_MAX, &bits) < 0)
                code = command_fail(&command_keys, EXIT_USAGE, "--bits: expected a number from %d to %d",
                                    SIGN_RSA_BITS_MIN, SIGN_RSA_BITS_MAX);
            job->bits = (int)bits;
            break;
        case 'p':
            code = set_path(&job->private_path, optarg);
            break;
        case 'P':
            code = set_path(&job->public_path, optarg);
            break;
        case 'd':
            job->drop = optarg;
            break;
        case 'j':
            job->json = true;
            break;
        case 'h':
            fputs(command_keys.help, stdout);
            return -1;
        default:
            return command_fail(&command_keys, EXIT_USAGE, "%s '%s'; see 'mayday keys --help'",
                                o == ':' ? "a value is missing behind" : "unknown option", argv[optind - 1]);
        }
    }
    if (code == EXIT_DONE && optind < argc)
        return command_fail(&command_keys, EXIT_USAGE, "unexpected '%s'; see 'mayday keys --help'",
                            argv[optind]);
    return code;
}

/* Settles the two paths and reads what is there. */
static int open_sets(keys_job *job, const char *config_path, bool needs_private) {
    char why[KEYFILE_WHY_MAX] = "";
    if (!job->public_path) {
        int code = keyfile_settings(config_path, &job->settings);
        if (code != EXIT_DONE)
            return code;
        if (!job->settings.keys_file)
            return fail(EXIT_REFUSED,
                        "the configuration has no [token] keys_file; name one with --public FILE");
        if (set_path(&job->public_path, job->settings.keys_file) != EXIT_DONE)
            return EXIT_REFUSED;
    }
    if (!job->private_path && !(job->private_path = keyfile_signing_path(job->public_path)))
        return out_of_memory();
    if (strcmp(job->private_path, job->public_path) == 0)
        return fail(EXIT_USAGE, "--private and --public name the same file");
    int fault = keyfile_read(job->public_path, &job->verifying, why);
    if (fault < 0 && fault != -ENOENT)
        return fail(EXIT_REFUSED, why);
    fault = keyfile_read(job->private_path, &job->signing, why);
    if (fault < 0 && fault != -ENOENT && needs_private)
        return fail(EXIT_REFUSED, why);
    return EXIT_DONE;
}

static int run(const char *config_path, int argc, char **argv) {
    CLEANUP(job_release) keys_job job = {0};
    if (argc < 2)
        return fail(EXIT_USAGE, "expected 'new', 'list', 'rotate' or 'export'; see 'mayday keys --help'");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(actions[i].name, argv[1]) != 0)
            continue;
        int code = read_options(&job, argc - 1, argv + 1);
        if (code == EXIT_DONE)
            code = open_sets(&job, config_path, actions[i].needs_private);
        else if (code < 0)
            return EXIT_DONE;
        return code == EXIT_DONE ? actions[i].run(&job) : code;
    }
    return command_fail(&command_keys, EXIT_USAGE, "there is no 'keys %s'; see 'mayday keys --help'",
                        argv[1]);
}

const command command_keys = {
    .name = "keys",
    .summary = "make, list, rotate and export the keys of tokens",
    .help =
        "Usage: mayday keys new --type ec|rsa|ed25519|hmac [--alg ALG] [--bits N]\n"
        "                       [--private FILE] [--public FILE]\n"
        "       mayday keys list [--json] [--private FILE] [--public FILE]\n"
        "       mayday keys rotate [--type TYPE] [--alg ALG] [--bits N] [--private FILE] [--public FILE]\n"
        "       mayday keys rotate --drop KID [--private FILE] [--public FILE]\n"
        "       mayday keys export [--public FILE]\n"
        "\n"
        "Two files, both JSON Web Key Sets (RFC 7517):\n"
        "  public   what the broker verifies with: [token] keys_file of the configuration, or --public "
        "FILE.\n"
        "           A running broker takes a changed file up by itself.\n"
        "  private  what 'mayday token' signs with: signing-keys.json in the same folder, or --private "
        "FILE.\n"
        "           Mode 0600. Its last key signs. The broker neither needs nor reads it.\n"
        "An hmac key is one secret for both sides: it stands in both files, and the public one is then "
        "closed\n"
        "to others. Prefer ec or ed25519.\n"
        "\n"
        "new     makes the first key. It refuses when the private file exists. Keys of other issuers that "
        "are\n"
        "        in the public file stay.\n"
        "list    shows the public set: which key signs, which are retired (they were made here and still\n"
        "        verify) and which only verify. Exit code 1 when the broker would refuse the set.\n"
        "rotate  adds a key, of the present one's algorithm unless told otherwise, that signs from now on; "
        "the\n"
        "        old ones go on verifying. When their tokens have expired, rotate --drop KID removes one; "
        "the\n"
        "        key that signs is never dropped.\n"
        "export  prints the public set, without shared secrets.\n"
        "\n"
        "  --type TYPE    ec (ES256), rsa (RS256), ed25519 (EdDSA) or hmac (HS256)\n"
        "  --alg ALG      RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512; by\n"
        "                 itself it implies the type\n"
        "  --bits N       size of an RSA key, 2048 to 4096; default 3072\n"
        "  --private FILE, --public FILE  instead of the files above\n"
        "  --drop KID     the key to remove\n"
        "  --json         a JSON array of objects with kid, kty, crv, alg, use and duty\n"
        "\n"
        "Exit codes: 0 done, 1 refused (the message says why), 2 wrong usage.\n",
    .run = run,
};
