/* courier.c - the providers by themselves, without a gateway around them:
 *
 *   courier CONF PROVIDER send       message on stdin -> the request
 *   courier CONF PROVIDER search     likewise, for those to the same number in the last minute
 *   courier CONF PROVIDER ask REF    the request that asks what became of it
 *   courier CONF PROVIDER read STATUS, found STATUS, told STATUS REF
 *                                    the answer on stdin, for `found` behind a line with the message -> what
 * it means
 *
 * A message is a line of JSON: {"id","attempt","to","body","lang","menu"}; a request is printed as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/settings.h"
#include "gateway/providers/provider.h"

typedef struct errand {
    settings conf;
    accounts *secrets;
    const provider *by;
    json *message;
    provider_message m;
    text rest; /* of stdin, behind the message */
} errand;

static int fail(const char *what) {
    fprintf(stderr, "courier: %s\n", what);
    return EXIT_FAILURE;
}

static void print_request(const provider_request *r) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(1 << 20);
    if (!out || json_put(out, "method", json_new_string(text_of(r->method))) < 0 ||
        json_put(out, "url", json_new_string(buf_text(&r->url))) < 0 ||
        json_put(out, "body", json_new_string(buf_text(&r->body))) < 0 ||
        json_put(out, "headers", json_new_string(buf_text(&r->headers))) < 0 ||
        json_put(out, "user", json_new_string(buf_text(&r->user))) < 0)
        return;
    json_print(out, &line);
    puts(line.ptr);
}

static void read_message(errand *e, text in) {
    const char *end = memchr(in.ptr, '\n', in.len);
    size_t length = end ? (size_t)(end - in.ptr) : in.len;
    e->rest = end ? (text){end + 1, in.len - length - 1} : (text){in.ptr + in.len, 0};
    if (json_parse_once((text){in.ptr, length}, &e->message) != JSON_OK)
        return;
    e->m = (provider_message){.id = json_get_string(e->message, "id"),
                              .attempt = json_get_string(e->message, "attempt"),
                              .to = json_get_string(e->message, "to"),
                              .body = json_get_string(e->message, "body"),
                              .lang = json_get_string(e->message, "lang"),
                              .menu = json_get_string(e->message, "menu"),
                              .validity_ms = 3600000,
                              .now = instant_now()};
}

static void print_result(const provider_result *r) {
    printf("{\"outcome\":\"%s\",\"blame\":%d,\"code\":\"%s\",\"reference\":\"%s\"}\n",
           provider_outcome_name(r->outcome), (int)r->blame, r->code, r->reference);
}

static int write_request(errand *e, const char *what, text reference) {
    CLEANUP(provider_request_release) provider_request r;
    provider_request_init(&r);
    instant since = e->m.now - 60 * INSTANT_SECOND;
    int fault = strcmp(what, "send") == 0     ? provider_build(e->by, e->secrets, &e->m, &r)
                : strcmp(what, "search") == 0 ? provider_search(e->by, e->secrets, &e->m, since, &r)
                                              : provider_ask(e->by, e->secrets, reference, instant_now(), &r);
    if (fault < 0)
        return fail(strerror(-fault));
    print_request(&r);
    return EXIT_SUCCESS;
}

static int read_reply(errand *e, const char *what, const char *status, text reference, text in) {
    int64_t number = 0;
    if (text_to_i64(text_of(status), 0, 999, &number) < 0)
        return fail("no status");
    provider_reply reply = {.status = (int)number, .left = true, .body = in};
    provider_result r = {0};
    char code[PROVIDER_CODE_MAX] = "";
    if (strcmp(what, "told") == 0) {
        provider_receipt receipt = provider_told(e->by, &reply, reference, code);
        printf("{\"receipt\":%d,\"code\":\"%s\"}\n", (int)receipt, code);
        return EXIT_SUCCESS;
    }
    if (strcmp(what, "found") == 0) {
        reply.body = e->rest;
        provider_found(e->by, &reply, &e->m, e->m.now - 60 * INSTANT_SECOND, &r);
    } else {
        provider_read(e->by, &reply, &r);
    }
    print_result(&r);
    return EXIT_SUCCESS;
}

static int run(errand *e, int argc, char **argv) {
    CLEANUP(buf_release) buf in = BUF(4 << 20);
    const char *what = argv[3];
    text reference = text_of(argc > 5 ? argv[5] : argc > 4 ? argv[4] : "");
    int fault = file_read("/dev/stdin", 2 << 20, &in);
    if (fault < 0)
        return fail(strerror(-fault));
    if (strcmp(what, "send") == 0 || strcmp(what, "search") == 0 || strcmp(what, "found") == 0)
        read_message(e, buf_text(&in));
    if (strcmp(what, "send") == 0 || strcmp(what, "search") == 0 || strcmp(what, "ask") == 0)
        return write_request(e, what, reference);
    return argc > 4 ? read_reply(e, what, argv[4], reference, buf_text(&in)) : fail("which status?");
}

int main(int argc, char **argv) {
    errand e = {0};
    char why[CONF_WHY_MAX], secret_why[ACCOUNTS_WHY_MAX];
    if (argc < 4)
        return fail("usage: courier CONF PROVIDER send|search|ask|read|found|told ...");
    if (conf_load(&settings_table, argv[1], &e.conf, why) < 0)
        return fail(why);
    if (accounts_read(&e.conf, &e.secrets, secret_why) < 0)
        return fail(secret_why);
    e.by = provider_named(text_of(argv[2]));
    int code = e.by ? run(&e, argc, argv) : fail("there is no such provider");
    (void)json_free(e.message);
    (void)accounts_free(e.secrets);
    conf_release(&settings_table, &e.conf);
    return code;
}
