/* accounts.c - see accounts.h. */
#include "gateway/providers/accounts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mac.h"
#include "core/phone.h"

#define SECRET_MAX (16 << 10)

static int PRINTF_LIKE(3, 4) because(char why[ACCOUNTS_WHY_MAX], int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, ACCOUNTS_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

static bool is_set(const char *value) {
    return value && *value;
}

static char *forget(char *secret) {
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
    return NULL;
}

accounts *accounts_free(accounts *a) {
    if (a) {
        (void)forget(a->twilio_token);
        (void)forget(a->vonage_secret);
        (void)forget(a->vonage_signature);
        (void)forget(a->vonage_key_pem);
        (void)forget(a->webhook_secret);
        free(a);
    }
    return NULL;
}

/* A secret is one word or one PEM block: what stands around it in the file is no part of it. */
static int read_secret(const char *key, const char *path, char **ret_secret, char why[ACCOUNTS_WHY_MAX]) {
    if (!is_set(path))
        return 0;
    buf file = BUF(SECRET_MAX);
    int fault = file_read(path, SECRET_MAX, &file);
    text secret = text_trim(buf_text(&file));
    if (fault < 0)
        (void)because(why, fault, "%s: %.150s can't be read: %s", key, path, strerror(-fault));
    else if (secret.len == 0 || memchr(secret.ptr, '\0', secret.len))
        fault = because(why, -EINVAL, "%s: %.150s holds no secret", key, path);
    else if (!(*ret_secret = text_copy(secret)))
        fault = because(why, -ENOMEM, "out of memory");
    if (file.ptr)
        explicit_bzero(file.ptr, file.capacity);
    buf_release(&file);
    return fault;
}

static int read_secrets(accounts *a, char why[ACCOUNTS_WHY_MAX]) {
    const settings *s = a->s;
    const struct {
        const char *key, *path;
        char **secret;
    } rows[] = {
        {"[twilio] token_file", s->twilio_token_file, &a->twilio_token},
        {"[vonage] secret_file", s->vonage_secret_file, &a->vonage_secret},
        {"[vonage] signature_file", s->vonage_signature_file, &a->vonage_signature},
        {"[vonage] private_key_file", s->vonage_private_key, &a->vonage_key_pem},
        {"[webhook] secret_file", s->webhook_secret_file, &a->webhook_secret},
    };
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        fault = read_secret(rows[i].key, rows[i].path, rows[i].secret, why);
    return fault;
}

/* A key that signs nothing is found at the start, not in the first call. */
static int try_key(const accounts *a, char why[ACCOUNTS_WHY_MAX]) {
    if (!a->vonage_key_pem)
        return 0;
    buf signed_text = BUF(16 << 10);
    int fault = jws_rs256(a->vonage_key_pem, TEXT("{}"), &signed_text);
    buf_release(&signed_text);
    if (fault < 0)
        (void)because(why, fault, "[vonage] private_key_file: %.150s holds no RSA key in PEM",
                      a->s->vonage_private_key);
    return fault;
}

/* Of this very machine, which needs no TLS: what stands in for a provider, or a proxy. */
static bool is_here(text url) {
    static const text here[] = {TEXT("http://127.0.0.1"), TEXT("http://localhost"), TEXT("http://[::1]")};
    for (size_t i = 0; i < ARRAY_LEN(here); i++)
        if (text_starts_with(url, here[i]) &&
            (url.len == here[i].len || url.ptr[here[i].len] == ':' || url.ptr[here[i].len] == '/'))
            return true;
    return false;
}

/* An address that paths are put behind. Passwords, numbers and texts go there: not in the open. */
static bool address_good(const char *url) {
    text t = text_of(url);
    if (!text_starts_with(t, TEXT("https://")) && !is_here(t))
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (t.ptr[i] <= ' ' || t.ptr[i] > '~' || t.ptr[i] == '?' || t.ptr[i] == '#' || t.ptr[i] == '@')
            return false;
    return t.ptr[t.len - 1] != '/';
}

static int check_addresses(const settings *s, char why[ACCOUNTS_WHY_MAX]) {
    const struct {
        const char *key, *url;
    } rows[] = {
        {"[notify] public_url", s->notify_public_url},
        {"[twilio] url", s->twilio_url},
        {"[vonage] sms_url", s->vonage_sms_url},
        {"[vonage] api_url", s->vonage_api_url},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_set(rows[i].url) && !address_good(rows[i].url))
            return because(why, -EINVAL,
                           "%s: it has to begin with https://, and to end without '/', '?' and '#'",
                           rows[i].key);
    return 0;
}

static int check_senders(const settings *s, char why[ACCOUNTS_WHY_MAX]) {
    const struct {
        const char *key, *senders;
        bool numbers;
    } rows[] = {
        {"[twilio] sms_from", s->twilio_sms_from, false},
        {"[twilio] voice_from", s->twilio_voice_from, true},
        {"[vonage] sms_from", s->vonage_sms_from, false},
        {"[vonage] voice_from", s->vonage_voice_from, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_set(rows[i].senders) && !phone_senders_good(text_of(rows[i].senders), rows[i].numbers))
            return because(why, -EINVAL, "%s: '%.100s' are no senders by country", rows[i].key,
                           rows[i].senders);
    return 0;
}

int accounts_read(const settings *s, accounts **ret_accounts, char ret_why[ACCOUNTS_WHY_MAX]) {
    accounts *a = calloc(1, sizeof *a);
    if (!a)
        return because(ret_why, -ENOMEM, "out of memory");
    a->s = s;
    int fault = check_addresses(s, ret_why);
    if (fault == 0)
        fault = check_senders(s, ret_why);
    if (fault == 0)
        fault = read_secrets(a, ret_why);
    if (fault == 0)
        fault = try_key(a, ret_why);
    if (fault < 0)
        return (void)accounts_free(a), fault;
    *ret_accounts = a;
    return 0;
}
