-- What only a superuser can do, once for each database: the roles (without passwords) and the PostGIS extension.
-- 'mayday migrate' runs this by itself when it may; otherwise: psql -d mayday -f prepare.sql. Repeating it is harmless.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['mayday_owner', 'mayday_plugin', 'mayday_gateway', 'mayday_console'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        END IF;
    END LOOP;
    EXECUTE format('GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %I TO mayday_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO mayday_plugin, mayday_gateway, mayday_console',
                   current_database());
END
$$;
CREATE EXTENSION IF NOT EXISTS postgis;
