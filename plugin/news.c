/* news.c - see news.h. */
#include "plugin/news.h"

#include <stdlib.h>

#include "plugin/admission.h"
#include "plugin/memory.h"

#define NEWS_AT_ONCE 4096

static int broker_level(result_level level) {
    switch (level) {
    case RESULT_DEBUG:
        return MOSQ_LOG_DEBUG;
    case RESULT_INFO:
        return MOSQ_LOG_INFO;
    case RESULT_NOTICE:
        return MOSQ_LOG_NOTICE;
    case RESULT_WARNING:
        return MOSQ_LOG_WARNING;
    case RESULT_ERROR:
        return MOSQ_LOG_ERR;
    }
    return MOSQ_LOG_ERR;
}

static void tell_log(const result *r) {
    host_log(broker_level(r->level), "%.*s", (int)r->message.len, r->message.ptr);
}

void news_take(host *h) {
    bool revocations_changed = false;
    for (int i = 0; i < NEWS_AT_ONCE; i++) {
        CLEANUP(freep) result *r = results_take(h->results);
        if (!r)
            break;
        switch (r->kind) {
        case RESULT_LOG:
            tell_log(r);
            break;
        case RESULT_REVOKED:
        case RESULT_RESTORED:
            revocations_changed = memory_follow(h, r) || revocations_changed;
            break;
        case RESULT_MEMBER_SET:
        case RESULT_MEMBER_REMOVE:
        case RESULT_MEMBER_CLEAR:
            memory_member(h, r->kind, r->org, r->family, r->id, r->person, r->relation);
            break;
        }
    }
    if (revocations_changed) {
        admission_resume_restored(h);
        admission_end_revoked(h);
    }
}
