// A consumer in JavaScript that is told of what happens: `npm ci && node consumer.mjs`.
//
// Told by the environment: BROKER_URL (of a RabbitMQ), EVENT_KEYS_FILE, QUEUE and TYPES.

import { createHash, createPublicKey, verify } from "node:crypto";
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

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const ROOT = Buffer.from("countersign.events.root.v1\n");
const PATH = /^(?:[\w-]{44}){0,32}$/;
const STEP = 33; // bytes: a side, 0 for left and 1 for right, and a hash

// What the signature is over, of an event in canonical form: with a path, the root it leads to.
// Null if it is no path.
function signedBytes(form, path) {
  if (path === undefined) return form;
  if (typeof path !== "string" || !PATH.test(path)) return null;
  const steps = Buffer.from(path, "base64url");
  let node = sha256(LEAF, form);
  for (let at = 0; at < steps.length; at += STEP) {
    const other = steps.subarray(at + 1, at + STEP);
    if (steps[at] > 1) return null;
    node = steps[at] === 0 ? sha256(NODE, other, node) : sha256(NODE, node, other);
  }
  return Buffer.concat([ROOT, node]);
}

// The event in a message, or null if its source has not signed it: then nothing of it may be used.
function believed(body) {
  let event;
  try {
    event = JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
  const { signature, signaturepath, ...rest } = event ?? {};
  const signer = Object.hasOwn(keys, rest.keyid ?? "") ? keys[rest.keyid] : undefined;
  if (typeof signature !== "string" || signer === undefined) return null;
  const x = Buffer.from(signer.key, "base64").toString("base64url");
  const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
  const signed = signedBytes(Buffer.from(canonical(rest), "utf8"), signaturepath);
  if (signed === null || !verify(null, signed, key, Buffer.from(signature, "base64url"))) return null;
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
