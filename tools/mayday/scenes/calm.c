/* calm.c - nothing happens. */
#include "scenes/scene.h"

extern const scenario scenario_calm;

const scenario scenario_calm = {.name = "calm"};
