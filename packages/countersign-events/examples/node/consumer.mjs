// A consumer in JavaScript that is told of what happens: `npm ci && node consumer.mjs`.
//
// Told by the environment: BROKER_URL (of a RabbitMQ), EVENT_KEYS_FILE, QUEUE and TYPES.

import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import amqp from "amqplib";

const NAME = process.env.QUEUE ?? "siem";
const TYPES = (process.env.TYPES ?? "#").split(",");
const SOURCE = "urn:countersign:";

const keys = JSON.parse(readFileSync(process.env.EVENT_KEYS_FILE, "utf8"));
const seen = new Set(); // in earnest: a unique column of the table that events go into

// RFC 8785, as far as events need it: members sorted by name, which is ASCII; whole numbers.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

// The event in a message, or null if its source has not signed it: then nothing of it may be used.
function believed(body) {
  let event;
  try {
    event = JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
  const { signature, ...rest } = event ?? {};
  const signer = Object.hasOwn(keys, rest.keyid ?? "") ? keys[rest.keyid] : undefined;
  if (typeof signature !== "string" || signer === undefined) return null;
  const x = Buffer.from(signer.key, "base64").toString("base64url");
  const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
  const signed = Buffer.from(canonical(rest), "utf8");
  if (!verify(null, signed, key, Buffer.from(signature, "base64url"))) return null;
  const isOwn = rest.source === SOURCE + signer.issuer && rest.type.split(".")[1] === signer.issuer;
  return isOwn ? rest : null; // a source speaks for itself alone
}

const connection = await amqp.connect(process.env.BROKER_URL);
const channel = await connection.createChannel();
const limits = {
  "x-queue-type": "quorum",
  "x-max-length-bytes": 64 * 1024 ** 2,
  "x-overflow": "drop-head",
};
await channel.assertExchange(`${NAME}.dlx`, "fanout");
await channel.assertQueue(`${NAME}.dead`, { arguments: limits });
await channel.bindQueue(`${NAME}.dead`, `${NAME}.dlx`, "");
await channel.assertQueue(NAME, {
  arguments: { ...limits, "x-dead-letter-exchange": `${NAME}.dlx` },
});
for (const type of TYPES) await channel.bindQueue(NAME, "audit", type);
await channel.prefetch(100);
await channel.consume(NAME, (message) => {
  if (message === null) process.exit(1); // the queue is gone
  const event = believed(message.content);
  if (event === null) {
    channel.reject(message, false);
    return;
  }
  if (!seen.has(event.id)) {
    seen.add(event.id);
    console.log(`${event.time.slice(11, 19)} ${event.type} ${event.subject ?? "-"}`);
  }
  channel.ack(message);
});
