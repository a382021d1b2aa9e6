/* xml.c - see xml.h. */
#include "sense/xml.h"

#include <errno.h>
#include <expat.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX   64
#define NAME_MAX_   64 /* longer ones are none of ours: cut off */
#define CONTENT_MAX 255
#define CHUNK       (64 << 10)
#define LOOK        4096 /* bytes before the outermost element: declaration, comments */

typedef struct xml {
    XML_Parser parser;
    const xml_visitor *visitor;
    size_t depth;
    char names[DEPTH_MAX][NAME_MAX_];
    char content[CONTENT_MAX + 1];
    size_t content_len;
    bool ended; /* by the visitor */
    const char *refusal;
} xml;

static void refuse(xml *x, const char *why) {
    x->refusal = why;
    (void)XML_StopParser(x->parser, XML_FALSE);
}

static const char *local_name(const char *name) {
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void XMLCALL on_open(void *context, const XML_Char *name, const XML_Char **attributes) {
    xml *x = context;
    if (x->depth == DEPTH_MAX) {
        refuse(x, "elements are too deep inside each other");
        return;
    }
    char *kept = x->names[x->depth++];
    (void)snprintf(kept, NAME_MAX_, "%s", local_name(name));
    x->content_len = 0;
    if (x->visitor->open)
        x->visitor->open(x->visitor->context, kept, (const char *const *)attributes);
}

static void XMLCALL on_close(void *context, const XML_Char *name) {
    xml *x = context;
    (void)name;
    if (x->ended || x->refusal || x->depth == 0)
        return;
    x->depth--;
    const char *parent = x->depth > 0 ? x->names[x->depth - 1] : "";
    text content = text_trim((text){x->content, x->content_len});
    x->content_len = 0; /* what follows within the parent is no content of ours */
    if (!x->visitor->close(x->visitor->context, x->names[x->depth], parent, content)) {
        x->ended = true;
        (void)XML_StopParser(x->parser, XML_FALSE);
    }
}

static void XMLCALL on_text(void *context, const XML_Char *bytes, int len) {
    xml *x = context;
    size_t room = CONTENT_MAX - x->content_len, taken = (size_t)len < room ? (size_t)len : room;
    memcpy(x->content + x->content_len, bytes, taken);
    x->content_len += taken;
}

/* Nobody who records a walk needs one; those who need one want to fill the memory or read our files. */
static void XMLCALL on_doctype(void *context, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int internal) {
    (void)name, (void)system, (void)public, (void)internal;
    refuse(context, "a document type declaration is not taken");
}

static int parse(xml *x, const unsigned char *bytes, size_t len, char *why) {
    for (size_t at = 0; at <= len;) {
        size_t chunk = len - at < CHUNK ? len - at : CHUNK;
        bool last = at + chunk == len;
        if (XML_Parse(x->parser, (const char *)bytes + at, (int)chunk, last) != XML_STATUS_OK)
            break;
        if (last)
            return 0;
        at += chunk;
    }
    if (x->ended)
        return 0;
    enum XML_Error error = XML_GetErrorCode(x->parser);
    if (error == XML_ERROR_NO_MEMORY)
        return -ENOMEM;
    (void)snprintf(why, XML_WHY_MAX, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(x->parser),
                   x->refusal ? x->refusal : XML_ErrorString(error));
    return -EBADMSG;
}

int xml_read(const unsigned char *bytes, size_t len, const xml_visitor *visitor, char ret_why[XML_WHY_MAX]) {
    xml x = {.parser = XML_ParserCreate(NULL), .visitor = visitor};
    if (!x.parser) {
        (void)snprintf(ret_why, XML_WHY_MAX, "out of memory");
        return -ENOMEM;
    }
    XML_SetUserData(x.parser, &x);
    XML_SetElementHandler(x.parser, on_open, on_close);
    XML_SetCharacterDataHandler(x.parser, on_text);
    XML_SetStartDoctypeDeclHandler(x.parser, on_doctype);
    int fault = parse(&x, bytes, len, ret_why);
    if (fault == -ENOMEM)
        (void)snprintf(ret_why, XML_WHY_MAX, "out of memory");
    XML_ParserFree(x.parser);
    return fault;
}

static bool ends_name(char c) {
    return c == '>' || c == '/' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool xml_begins_with(const unsigned char *bytes, size_t len, const char *name) {
    const char *p = (const char *)bytes, *end = p + (len < LOOK ? len : LOOK);
    size_t name_len = strlen(name);
    for (; p < end; p++) {
        if (*p != '<' || end - p < 2 || p[1] == '?' || p[1] == '!')
            continue; /* text before the first element is for the parser to refuse */
        const char *start = ++p;
        while (p < end && !ends_name(*p))
            p++;
        const char *colon = memchr(start, ':', (size_t)(p - start));
        start = colon ? colon + 1 : start;
        return p < end && (size_t)(p - start) == name_len && memcmp(start, name, name_len) == 0;
    }
    return false;
}
