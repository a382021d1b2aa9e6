/* token_settings.h - the token rules that the settings ask for. Pure. */
#ifndef MAYDAY_CORE_TOKEN_SETTINGS_H
#define MAYDAY_CORE_TOKEN_SETTINGS_H

#include "core/settings.h"
#include "core/token.h"

/* Borrows the settings' texts: good for a token_rules_new() while they live. */
token_rules_spec token_spec_of(const settings *s);

#endif
