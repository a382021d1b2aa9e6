-- Who may do what. A role that is not named here may do nothing; nobody but the owner may delete.
REVOKE ALL ON SCHEMA mayday FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA mayday REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA mayday TO mayday_plugin, mayday_gateway, mayday_console;

-- The plugin writes messages and cannot read a single one.
GRANT INSERT ON mayday.raise, mayday.action, mayday.location, mayday.chat, mayday.vitals, mayday.vital_alert, mayday.duty,
    mayday.person_check, mayday.reply, mayday.inbox, mayday.broadcast, mayday.zone_event, mayday.receipt,
    mayday.setting, mayday.sync_request, mayday.event, mayday.dead_letter TO mayday_plugin;
GRANT SELECT, INSERT, UPDATE ON mayday.journal_progress TO mayday_plugin;
GRANT SELECT ON mayday.membership, mayday.migration TO mayday_plugin;
GRANT EXECUTE ON FUNCTION mayday.make_partitions(integer), mayday.known_ids(text, uuid[]) TO mayday_plugin;

-- The gateway speaks for Mayday: it reads everything, moves alerts and memberships.
GRANT SELECT ON ALL TABLES IN SCHEMA mayday TO mayday_gateway;
GRANT INSERT, UPDATE ON mayday.alert, mayday.membership TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.uuid_at(timestamptz), mayday.uuid_time(uuid), mayday.last_positions(text),
    mayday.track(text, text, timestamptz, timestamptz), mayday.timeline(uuid) TO mayday_gateway, mayday_console;

-- The console reads what a dispatcher may see: no PINs, no dead letters.
GRANT SELECT ON mayday.raise, mayday.location, mayday.chat, mayday.vitals, mayday.vital_alert, mayday.duty, mayday.person_check,
    mayday.reply, mayday.inbox, mayday.broadcast, mayday.zone_event, mayday.alert, mayday.membership,
    mayday.last_position TO mayday_console;
GRANT SELECT ON mayday.action, mayday.receipt TO mayday_console;
