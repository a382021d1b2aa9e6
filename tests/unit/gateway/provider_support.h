/* An account of each provider, for the suites of providers and hooks. */
#ifndef MAYDAY_TESTS_PROVIDER_SUPPORT_H
#define MAYDAY_TESTS_PROVIDER_SUPPORT_H

#include <check.h>
#include <string.h>
#include "gateway/providers/provider.h"

#define NOW (INT64_C(1800000000) * INSTANT_SECOND) /* 2027-01-15T08:00:00Z */

#define TWILIO_TOKEN     "12345"
#define VONAGE_SECRET    "vonage api secret"
#define VONAGE_SIGNATURE "signature_secret"
#define WEBHOOK_SECRET   "webhook secret"
#define NOTIFICATION     "01937232-8a00-7abc-8def-0123456789ab"
#define ATTEMPT          "01937232-8a01-7abc-8def-0123456789ab"

#define A(literal) ((char *)literal)

/* An RSA key in PEM made for this process; it lives until its end. */
const char *test_pem(void);
bool test_pem_verifies(const char *token, size_t len); /* a compact JWS, RS256 */

static inline settings test_settings(void) {
    return (settings){.notify_public_url = A("https://alarm.example.org"),
                      .notify_ring_ms = 30000,
                      .twilio_account = A("ACfedcba9876543210fedcba9876543210"),
                      .twilio_sms_from =
                          A("+1=+15551230000 +27=MAYDAY +44=MG0123456789abcdef0123456789abcdef"),
                      .twilio_voice_from = A("+15551230000"),
                      .twilio_url = A("https://api.twilio.com"),
                      .vonage_key = A("abcd1234"),
                      .vonage_application = A("aaaaaaaa-bbbb-cccc-dddd-0123456789ab"),
                      .vonage_sms_from = A("+1=+15551230001 +27=MAYDAY"),
                      .vonage_voice_from = A("+27=+27600200200 +1=+15551230001"),
                      .vonage_sms_url = A("https://rest.nexmo.com"),
                      .vonage_api_url = A("https://api.nexmo.com")};
}

static inline accounts test_accounts(const settings *s) {
    return (accounts){.s = s,
                      .twilio_token = A(TWILIO_TOKEN),
                      .vonage_secret = A(VONAGE_SECRET),
                      .vonage_signature = A(VONAGE_SIGNATURE),
                      .vonage_key_pem = (char *)test_pem(),
                      .webhook_secret = A(WEBHOOK_SECRET)};
}

static inline provider_message test_message(const char *kind) {
    bool posts = strcmp(kind, "webhook") == 0;
    return (provider_message){
        .id = TEXT(NOTIFICATION),
        .attempt = TEXT(ATTEMPT),
        .to = posts ? TEXT("https://hooks.example.com/mayday?team=1") : TEXT("+27829876540"),
        .body = posts ? TEXT("{\"v\":1}") : TEXT("MAYDAY: Anna - panic. Reply OK 4821."),
        .lang = TEXT("en"),
        .menu = TEXT("Press 1 to take it."),
        .validity_ms = 3600000,
        .now = NOW};
}

static inline provider_result read_with(const provider *p, int status, const char *body) {
    provider_reply reply = {.status = status, .left = true, .body = text_of(body)};
    provider_result r;
    memset(&r, 0x55, sizeof r);
    provider_read(p, &reply, &r);
    return r;
}

/* The value of a parameter of a form; owned by the caller. */
char *test_form_value(const buf *form, const char *name);

#endif
