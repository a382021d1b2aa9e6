/* handed.c - see handed.h. */
#include "gateway/standby/handed.h"

#include <errno.h>

#include "base/json.h"

#define SHELF      TEXT("handed")
#define BODY_MAX   (256u << 10)
#define LEDGER_MAX (1u << 20)

int handed_put(local *l, text org, text alert, text raise) {
    CLEANUP(json_freep) json *said = json_new_object();
    CLEANUP(buf_release) buf spelled = BUF(BODY_MAX);
    json *body = NULL;
    if (!said)
        return -ENOMEM;
    if (json_parse_once(raise, &body) != JSON_OK)
        return -EINVAL;
    int fault = json_put(said, "raise", body);
    if (fault == 0)
        fault = json_put(said, "org", json_new_string(org));
    if (fault == 0)
        fault = json_put(said, "alert", json_new_string(alert));
    if (fault < 0)
        return fault;
    json_print(said, &spelled);
    fault = buf_failed(&spelled);
    return fault < 0 ? fault : local_put(l, SHELF, alert, buf_text(&spelled));
}

void handed_drop(local *l, text alert) {
    (void)!local_drop(l, SHELF,
                      alert); /* tried again when whoever reads the shelf sees that it is done with */
}

void handed_each(local *l, local_visit visit, void *context) {
    if (!local_empty(l, SHELF))
        (void)!local_each(l, SHELF, visit, context);
}

bool handed_is_told(local *l, text org, text alert) {
    CLEANUP(buf_release) buf name = BUF(1024), told = BUF(LEDGER_MAX);
    buf_printf(&name, "%.*s/%.*s", (int)org.len, org.ptr, (int)alert.len, alert.ptr);
    return buf_failed(&name) == 0 && local_get(l, TEXT("ledger"), buf_text(&name), &told) == 0;
}
