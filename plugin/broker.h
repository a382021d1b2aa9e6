/* broker.h - Mosquitto's own headers, in the one order that works, for every broker from 2.0.11 on. */
#ifndef MAYDAY_PLUGIN_BROKER_H
#define MAYDAY_PLUGIN_BROKER_H

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#endif
