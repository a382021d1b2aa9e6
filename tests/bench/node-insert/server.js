// A server as people write it first: every MQTT message is one INSERT. Usage: node server.js BROKER_URL DATABASE_URL
'use strict';
const mqtt = require('mqtt');
const { Pool } = require('pg');

const TABLE = `CREATE TABLE IF NOT EXISTS location (
  id uuid PRIMARY KEY, person text NOT NULL, at timestamptz NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
  lat double precision NOT NULL, lon double precision NOT NULL, accuracy real, speed real, heading real, battery real)`;
const INSERT = {
  name: 'location',
  text: `INSERT INTO location (id, person, at, lat, lon, accuracy, speed, heading, battery)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
};

function store(pool, topic, payload) {
  const m = JSON.parse(payload);
  const person = topic.split('/')[4];
  return pool.query({ ...INSERT, values: [m.id, person, m.ts, m.lat, m.lon, m.accuracy, m.speed, m.heading, m.battery] });
}

async function main([brokerUrl, databaseUrl]) {
  const pool = new Pool({ connectionString: databaseUrl, max: 10 });
  await pool.query(TABLE);
  await pool.query('CREATE INDEX IF NOT EXISTS location_person ON location (person, at DESC)');
  const client = mqtt.connect(brokerUrl);
  client.on('message', (topic, payload) => {
    store(pool, topic, payload).catch((fault) => {
      if (!stopping) throw fault;
    });
  });
  let stopping = false;
  process.on('SIGTERM', () => {
    stopping = true;
    process.exit(0);
  });
  await new Promise((resolve) => client.on('connect', resolve));
  await client.subscribeAsync('mayday/v1/+/user/+/location', { qos: 1 });
  console.log('ready');
}

main(process.argv.slice(2)).catch((fault) => {
  console.error(fault.message);
  process.exit(1);
});
