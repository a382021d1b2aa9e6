/* Any bytes as the answer of every provider, to every question: the first byte chooses the status. What is
 * taken for sent has a name that can be asked for; what says nothing is never taken for it. */
#include <stdlib.h>
#include <string.h>
#include "gateway/providers/inside.h"

#define NOW (INT64_C(1800000000) * INSTANT_SECOND)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const provider *p, const provider_reply *reply, const provider_result *r) {
    bool posts = strcmp(p->kind, "webhook") == 0;
    bool named = provider_reference_good(text_of(r->reference));
    if (strlen(r->code) >= sizeof r->code || (unsigned)r->outcome > PROVIDER_REFUSED)
        abort();
    if (r->outcome == PROVIDER_SENT && (reply->status < 200 || reply->status > 299 || (!named && !posts)))
        abort();
    if (r->outcome != PROVIDER_SENT && r->reference[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int statuses[] = {200, 201, 200, 400, 404, 429, 500, 302, 0};
    const provider_message m = {.id = TEXT("01937232-8a00-7abc-8def-0123456789ab"),
                                .attempt = TEXT("01937232-8a01-7abc-8def-0123456789ab"),
                                .to = TEXT("+27829876540"),
                                .body = TEXT("MAYDAY: Anna - panic. Reply OK 4821."),
                                .now = NOW};
    if (size == 0)
        return 0;
    const provider_reply reply = {.status = statuses[(data[0] & 0x3F) % ARRAY_LEN(statuses)],
                                  .left = data[0] & 0x80,
                                  .cut = data[0] & 0x40,
                                  .body = {(const char *)data + 1, size - 1}};
    for (const provider *const *p = providers; *p; p++) {
        provider_result r;
        char code[PROVIDER_CODE_MAX];
        provider_read(*p, &reply, &r);
        check(*p, &reply, &r);
        if ((*p)->found) {
            provider_found(*p, &reply, &m, NOW, &r);
            check(*p, &reply, &r);
            if (r.outcome == PROVIDER_REFUSED)
                abort(); /* a list refuses nothing */
        }
        if ((*p)->told && provider_told(*p, &reply, TEXT("SM1"), code) != RECEIPT_UNKNOWN &&
            reply.status / 100 != 2)
            abort();
    }
    return 0;
}
