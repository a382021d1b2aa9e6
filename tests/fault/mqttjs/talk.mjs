// talk.mjs - a dispatcher and somebody in danger, both with MQTT.js. What to do comes as JSON on stdin: { url, protocolVersion,
// listener: { id, token, filter }, speaker: { id, token, messages: [{ topic, payload }] } }. Prints what the dispatcher received, as JSON.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const task = JSON.parse(readFileSync(0, "utf8"));
const as = (who) =>
  mqtt.connectAsync(task.url, { clientId: who.id, username: who.id, password: who.token, protocolVersion: task.protocolVersion, reconnectPeriod: 0 });

const listener = await as(task.listener);
const received = new Promise((resolve) => {
  const came = [];
  listener.on("message", (topic, payload) => {
    came.push({ topic, payload: payload.toString() });
    if (came.length === task.speaker.messages.length) resolve(came);
  });
});
await listener.subscribeAsync(task.listener.filter, { qos: 1 });
const speaker = await as(task.speaker);
for (const { topic, payload } of task.speaker.messages) await speaker.publishAsync(topic, payload, { qos: 1 });
console.log(JSON.stringify(await received));
await Promise.all([speaker.endAsync(), listener.endAsync()]);
