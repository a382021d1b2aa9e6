/* recording.c - see sense.h: which of the formats a recording has. The table is made from the list in
 * CMakeLists.txt. */
#include "sense/sense.h"

const recording_format *recording_of(const unsigned char *bytes, size_t len) {
    for (const recording_format *const *f = recording_formats; *f; f++)
        if ((*f)->fits(bytes, len))
            return *f;
    return NULL;
}
