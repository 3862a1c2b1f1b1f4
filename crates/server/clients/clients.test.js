// The official JavaScript client against a running server. `cargo xtask test-clients` starts it and sets the variables.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const { AGENTTTS_BASE: base, AGENTTTS_KEY: apiKey } = process.env;
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "two and two\nanswer: 4" }];

async function cancelled() {
  const reply = await fetch(`${base}/api/serving`, { headers: { authorization: `Bearer ${apiKey}` } });
  return (await reply.json()).plans[0].traffic.requests.cancelled ?? 0;
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("chat", async () => {
  const reply = await client.chat.completions.create({ model: "clients", messages });
  assert.equal(reply.choices[0].message.content, "4");
  assert.ok(reply.usage.total_tokens > 0);
});

test("streaming", async () => {
  const stream = await client.chat.completions.create({ model: "clients", messages, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, "4");
});

test("streaming word by word", async () => {
  const sentence = [{ role: "user", content: "two and two\nanswer: it is four, or so they say" }];
  const stream = await client.chat.completions.create({ model: "clients@cheap", messages: sentence, stream: true });
  const parts = [];
  for await (const chunk of stream) parts.push(chunk.choices[0]?.delta?.content ?? "");
  assert.equal(parts.join(""), "it is four, or so they say");
  assert.ok(parts.filter((part) => part !== "").length > 3);
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("clients"));
});

test("errors", async () => {
  await assert.rejects(client.chat.completions.create({ model: "client", messages }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: "clients", messages: [] }), OpenAI.BadRequestError);
  const wrong = new OpenAI({ baseURL: `${base}/v1`, apiKey: "atts-wrong", maxRetries: 0 });
  await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
});

test("an error in mid-stream", async () => {
  const body = { model: "clients", messages, stream: true, agenttts: { limits: { calls: 1 } } };
  const stream = await client.chat.completions.create(body);
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, OpenAI.APIError);
});

test("a timeout and an abort give up the calls", async () => {
  const before = await cancelled();
  const short = client.chat.completions.create({ model: "clients", messages }, { timeout: 100 });
  await assert.rejects(short, OpenAI.APIConnectionTimeoutError);
  const stream = await client.chat.completions.create({ model: "clients", messages, stream: true });
  stream.controller.abort();
  await later(500);
  assert.equal(await cancelled(), before + 2);
});
