// A phone with a panic button, on Mayday, as a page in a browser would be written: MQTT.js over WebSocket.
//
//     npm install && TOKEN=... node phone.mjs [ws://127.0.0.1:9001]
//
// It reads commands, one a line (raise TYPE [TEXT], chat TEXT, cancel [PIN], quit), and prints what it learns. In a
// browser, replace readline by your buttons and `store` by IndexedDB; the rest stays as it is.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const url = process.argv[2] ?? "ws://127.0.0.1:9001";
const token = process.env.TOKEN;
const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url")); // only to know our name; the broker verifies
const me = claims.sub;
const root = `mayday/v1/${claims.org}/`;

// ---- what must outlive the page: messages the broker has not acknowledged, the sync cursor, the last incident

const file = process.env.STORE;
const store = { waiting: {}, cursor: undefined, alert: undefined };
try {
    Object.assign(store, JSON.parse(readFileSync(file, "utf8")));
} catch { /* the first time */ }
const save = () => file && writeFileSync(file, JSON.stringify(store));

// RFC 9562: 48 bits of milliseconds, then chance.
function uuid7() {
    const raw = crypto.getRandomValues(new Uint8Array(16));
    let ms = Date.now();
    for (let i = 5; i >= 0; i--, ms = Math.floor(ms / 256)) raw[i] = ms & 255;
    raw[6] = (raw[6] & 0x0f) | 0x70;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// A durable session: the broker queues for us while the token is valid. Sync is for all that it could not.
const client = mqtt.connect(url, {
    protocolVersion: 5, clientId: `${me}/page`, username: me, password: token, clean: false, reconnectPeriod: 1000,
    properties: { sessionExpiryInterval: 7 * 86400 }, queueQoSZero: false,
});

// ---- saying something

const flying = new Set();

function send(id) {
    const { topic, message } = store.waiting[id];
    if (!client.connected || flying.has(id)) return;
    flying.add(id);
    client.publish(topic, JSON.stringify(message), { qos: 1 }, (error) => {
        flying.delete(id);
        // A refusal (0x87) is an answer as well: `rejected` says why. Only silence is a reason to try again.
        if (error && error.code === undefined) return;
        delete store.waiting[id];
        save();
    });
}

function say(where, members) {
    const message = { v: 1, id: uuid7(), ts: new Date().toISOString(), ...members };
    if (!client.connected) message.offline = true;
    store.waiting[message.id] = { topic: root + where, message };
    save(); // before it is sent: a page that is closed now sends it when it is opened again
    if (message.offline) console.log(`kept ${where.split("/").at(-1)}`);
    send(message.id);
    return message.id;
}

// ---- hearing something

const seen = new Set();

function arrived(topic, message) {
    const leaf = topic.split("/").at(-1);
    if (leaf === "inbox" && message.kind === "sync") return page(message);
    if (leaf !== "state" && leaf !== "rejected") {
        if (seen.has(message.id)) return undefined; // live, queued and synced copies are one message
        seen.add(message.id);
    }
    if (leaf === "state") {
        return console.log(`state ${message.version} ${message.status} ${Object.keys(message.receipts ?? {}).sort().join(" ")}`);
    }
    if (leaf === "check") {
        say(`user/${me}/receipt`, { of: [message.id], mark: "delivered" });
        console.log(`check ${message.text ?? ""}`);
        return say(`user/${me}/reply`, { check: message.id, answer: "ok" });
    }
    if (leaf === "rejected") return console.log(`rejected ${message.code} ${message.detail ?? ""}`);
    return console.log(`${leaf} ${message.text ?? message.action ?? ""}`);
}

let asked;

function catchUp() {
    asked = say(`user/${me}/sync`, store.cursor ? { cursor: store.cursor } : {});
}

function page(message) {
    if (!message.reset && message.after !== store.cursor) { // one of ours got lost, or another device of ours has asked
        if (message.request === asked && !message.more) catchUp();
        return;
    }
    for (const entry of message.messages) {
        if (entry.gone) console.log(`gone ${entry.gone}`);
        else arrived(entry.topic, entry.payload);
    }
    store.cursor = message.cursor; // worth keeping once all of the page is dealt with
    save();
    if (!message.more) console.log("caught up");
}

client.on("connect", () => {
    const mine = `${root}user/${me}/`;
    client.subscribe([`${mine}check`, `${mine}inbox`, `${mine}rejected`, `${root}alert/+/state`, `${root}alert/+/chat`],
                     { qos: 1 }, () => {
        console.log("connected");
        const alarmsFirst = Object.keys(store.waiting).sort((a, b) =>
            store.waiting[b].topic.endsWith("/raise") - store.waiting[a].topic.endsWith("/raise"));
        alarmsFirst.forEach(send);
        catchUp();
    });
});
client.on("message", (topic, payload) => {
    if (payload.length === 0) console.log(`gone ${topic}`);
    else arrived(topic, JSON.parse(payload));
});
client.on("close", () => flying.clear());
client.on("error", (error) => console.log(`error ${error.message}`));

// ---- commands

createInterface({ input: process.stdin }).on("line", (line) => {
    const [word, ...rest] = line.trim().split(" ");
    if (word === "raise") {
        store.alert = uuid7(); // made here: it works without a connection
        say(`alert/${store.alert}/raise`, { type: rest[0] ?? "panic", ...(rest[1] && { text: rest.slice(1).join(" ") }) });
        console.log(`alert ${store.alert}`);
    } else if (word === "chat") say(`alert/${store.alert}/chat`, { text: rest.join(" ") });
    else if (word === "cancel") say(`alert/${store.alert}/action`, { action: "cancel", ...(rest[0] && { pin: rest[0] }) });
    else if (word === "quit") client.end(false, {}, () => process.exit(0));
}).on("close", () => client.end(false, {}, () => process.exit(0)));
