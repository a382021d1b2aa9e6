/* providers.c - can those who are configured to carry texts and calls do it? By what the configuration says
 * of them; nobody is asked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/phone.h"
#include "doctor/check.h"

#define SECRET_MAX (64 << 10)

extern const check check_providers;

typedef enum need {
    NEED_WORD = 0, /* set to something */
    NEED_FILE,     /* a file with something in it */
    NEED_SENDERS,
    NEED_NUMBERS, /* senders that are numbers all */
} need;

/* What an account needs for a kind of message, by the words of mayday.conf. */
typedef struct requirement {
    const char *account, *kind, *key;
    size_t setting; /* where it stands in the settings */
    need need;
} requirement;

#define NEEDS(account, kind, key, member, need)                                                              \
    { account, kind, key, offsetof(settings, member), need }
static const requirement requirements[] = {
    NEEDS("twilio", "sms", "[twilio] account_sid", twilio_account, NEED_WORD),
    NEEDS("twilio", "sms", "[twilio] token_file", twilio_token_file, NEED_FILE),
    NEEDS("twilio", "sms", "[twilio] sms_from", twilio_sms_from, NEED_SENDERS),
    NEEDS("twilio", "voice", "[twilio] account_sid", twilio_account, NEED_WORD),
    NEEDS("twilio", "voice", "[twilio] token_file", twilio_token_file, NEED_FILE),
    NEEDS("twilio", "voice", "[twilio] voice_from", twilio_voice_from, NEED_NUMBERS),
    NEEDS("vonage", "sms", "[vonage] api_key", vonage_key, NEED_WORD),
    NEEDS("vonage", "sms", "[vonage] secret_file", vonage_secret_file, NEED_FILE),
    NEEDS("vonage", "sms", "[vonage] sms_from", vonage_sms_from, NEED_SENDERS),
    NEEDS("vonage", "voice", "[vonage] application_id", vonage_application, NEED_WORD),
    NEEDS("vonage", "voice", "[vonage] private_key_file", vonage_private_key, NEED_FILE),
    NEEDS("vonage", "voice", "[vonage] voice_from", vonage_voice_from, NEED_NUMBERS),
};

static const char *value_of(const doctor *d, const requirement *r) {
    const char *value = *(char *const *)(const void *)((const char *)&d->conf + r->setting);
    return value ? value : "";
}

/* NULL when it is as it must be. */
static const char *lacking(const requirement *r, const char *value) {
    CLEANUP(buf_release) buf file = BUF(SECRET_MAX);
    if (!*value)
        return "is not set";
    switch (r->need) {
    case NEED_WORD:
        return NULL;
    case NEED_FILE:
        if (file_read(value, SECRET_MAX, &file) < 0)
            return "cannot be read";
        return text_trim(buf_text(&file)).len > 0 ? NULL : "is empty";
    case NEED_SENDERS:
        return phone_senders_good(text_of(value), false) ? NULL : "is malformed";
    case NEED_NUMBERS:
        return phone_senders_good(text_of(value), true) ? NULL : "is malformed, or not numbers alone";
    }
    return NULL;
}

/* True when nothing is missing. */
static bool look_at(doctor *d, text account, const char *kind) {
    bool known = false, good = true;
    for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
        const requirement *r = &requirements[i];
        if (!text_equal(account, text_of(r->account)) || strcmp(kind, r->kind) != 0)
            continue;
        known = true;
        const char *wrong = lacking(r, value_of(d, r));
        if (wrong)
            found(d, FINDING_FAIL,
                  "Set it right, or take the provider out of [notify]; then restart the gateway.",
                  "%s for %s: %s %s", r->account, kind, r->key, wrong);
        good = good && !wrong;
    }
    if (!known)
        found(d, FINDING_FAIL, "There are twilio and vonage.", "[notify] %s: there is no provider '%.*s'",
              kind, (int)account.len, account.ptr);
    return known && good;
}

static size_t look_at_list(doctor *d, const char *list, const char *kind) {
    text rest = text_of(list), account;
    size_t good = 0, named = 0;
    while (text_next(&rest, ' ', &account)) {
        if (account.len == 0)
            continue;
        named++;
        good += look_at(d, account, kind);
    }
    if (named == 1 && good == 1)
        found(d, FINDING_WARN, "A second provider takes over while the first one is away.",
              "one provider alone for %s", kind);
    return good;
}

static bool vonage_listens(const doctor *d) {
    const char *lists[] = {d->conf.notify_sms, d->conf.notify_voice};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (lists[i] && strstr(lists[i], "vonage"))
            return true;
    return false;
}

/* Where people's answers come in. */
static void look_at_answers(doctor *d) {
    const char *url = d->conf.notify_public_url ? d->conf.notify_public_url : "";
    const requirement signature =
        NEEDS("vonage", "", "[vonage] signature_file", vonage_signature_file, NEED_FILE);
    if (!*url)
        found(d, FINDING_WARN, "Set it to the address at which your proxy hands /hooks/ to [gateway] http.",
              "[notify] public_url is not set: nobody can answer by phone, and receipts are asked for "
              "instead of heard");
    else if (strncmp(url, "https://", 8) != 0 || url[strlen(url) - 1] == '/')
        found(d, FINDING_WARN, "As https://alarm.example.org, without a slash at its end.",
              "[notify] public_url: providers will not like it");
    const char *wrong = *url && vonage_listens(d) ? lacking(&signature, value_of(d, &signature)) : NULL;
    if (wrong)
        found(d, FINDING_WARN, "Without it what Vonage says is refused: answers, keys and receipts.", "%s %s",
              signature.key, wrong);
}

static void run(doctor *d) {
    if (!calls_people(d)) {
        found(d, FINDING_WARN,
              "See the chapter on escalation: accounts of two providers, [notify] sms and voice.",
              "nobody is texted or called: alarms reach the app alone");
        return;
    }
    unsigned before = d->fails;
    size_t texts = look_at_list(d, d->conf.notify_sms, "sms"),
           calls = look_at_list(d, d->conf.notify_voice, "voice");
    look_at_answers(d);
    if (d->fails == before)
        found(d, FINDING_OK, NULL, "%zu can text, %zu can call", texts, calls);
}

const check check_providers = {.name = "providers", .needs_conf = true, .run = run};
