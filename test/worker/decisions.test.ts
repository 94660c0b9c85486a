// Responsible for: decisions are found by the credential, whichever connection it comes on, and never by another one; the
// memory of them is bounded. Governed by: the contract at the head of admit/gate.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { STRIP_NOTHING } from "../../src/worker/admit/credentials/strip.js";
import { Decision, Ruling } from "../../src/worker/admit/decision.js";
import { BYTES, Decisions } from "../../src/worker/call/decisions.js";

const store = new FieldStore();
const key = (text: string): Field => store.field("authorization", text);
const decision = (verdict = 0): Decision => new Decision(new Ruling(verdict, 1, STRIP_NOTHING), null, 0, 1_000, null);
const ONE = [0];

test("a decision is found by its credential and its scope, and by nothing else", () => {
  const decisions = new Decisions();
  const [a, b] = [decisions.scope("api a"), decisions.scope("api b")];
  assert.equal(decisions.scope("api a"), a);
  const [first, second] = [decision(), decision(2)];
  decisions.remember(a, [key("one")], ONE, first);
  decisions.remember(b, [key("one")], ONE, second);
  assert.equal(decisions.find(a, [key("one")], ONE), first);
  assert.equal(decisions.find(b, [key("one")], ONE), second);
  assert.equal(decisions.find(a, [key("one")], ONE), first);
  assert.equal(decisions.find(a, [key("two")], ONE), null);
  assert.equal(decisions.find(decisions.scope("api c"), [key("one")], ONE), null);
  assert.equal(decisions.size, 2);
});

test("a later decision takes the place of the one before", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  decisions.remember(scope, [key("changing")], ONE, decision());
  const later = decision(3);
  decisions.remember(scope, [key("changing")], ONE, later);
  assert.equal(decisions.find(scope, [key("changing")], ONE), later);
  assert.equal(decisions.size, 1);
});

test("where several credentials are asked for, all of them count, wherever they stand", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  const other = (text: string): Field => store.field("cookie", text);
  const between = store.field("x-trace", "1");
  const both = decision();
  decisions.remember(scope, [key("user"), between, other("c=1")], [0, 2], both);
  assert.equal(decisions.find(scope, [key("user"), between, other("c=1")], [0, 2]), both);
  assert.equal(decisions.find(scope, [key("user"), between, other("c=2")], [0, 2]), null);
  assert.equal(decisions.find(scope, [key("other"), between, other("c=1")], [0, 2]), null);
});

test("what was decided about some of the credentials is neither found nor overwritten by more of them", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  const cookie = (text: string): Field => store.field("cookie", text);
  const [common, own, more] = [cookie("lang=en"), cookie("auth=secret"), cookie("theme=dark")];
  const [denied, admitted] = [decision(2), decision()];
  decisions.remember(scope, [common], ONE, denied);
  assert.equal(decisions.find(scope, [common, own], [0, 1]), null);
  decisions.remember(scope, [common, own], [0, 1], admitted);
  assert.equal(decisions.find(scope, [common], ONE), denied);
  assert.equal(decisions.find(scope, [common, own], [0, 1]), admitted);
  assert.equal(decisions.find(scope, [common, own, more], [0, 1, 2]), null);
  decisions.remember(scope, [common, own, more], [0, 1, 2], denied);
  assert.equal(decisions.find(scope, [common, own], [0, 1]), admitted);
  assert.equal(decisions.find(scope, [common], ONE), denied);
});

test("calls without a credential have one decision for each scope", () => {
  const decisions = new Decisions();
  const [a, b] = [decisions.scope("bare a"), decisions.scope("bare b")];
  const missing = decision(1);
  decisions.remember(a, [], [], missing);
  assert.equal(decisions.find(a, [], []), missing);
  assert.equal(decisions.find(b, [], []), null);
  assert.equal(decisions.size, 0);
});

test("a credential that is not interned leaves nothing behind", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  const made = new Field(store.name("authorization"), "made up", true, false);
  decisions.remember(scope, [made], ONE, decision(2));
  assert.equal(decisions.find(scope, [made], ONE), null);
  decisions.remember(scope, [key("good"), made], [0, 1], decision(2));
  assert.equal(decisions.size, 0);
});

test("the memory is bounded, and what is asked for stays while others leave", () => {
  const decisions = new Decisions(100);
  const scope = decisions.scope("api");
  const kept = decision();
  decisions.remember(scope, [key("kept")], ONE, kept);
  for (let n = 0; n < 5_000; n++) {
    decisions.remember(scope, [key(`flood ${n}`)], ONE, decision());
    assert.ok(decisions.size <= 100);
    assert.equal(decisions.find(scope, [key("kept")], ONE), kept);
  }
  assert.equal(decisions.find(scope, [key("flood 10")], ONE), null);
  assert.notEqual(decisions.find(scope, [key("flood 4999")], ONE), null);
});

test("one credential keeps its latest scopes, and what leaves can be forgotten in any order", () => {
  const decisions = new Decisions(100);
  const scopes = Array.from({ length: 500 }, (_, n) => decisions.scope(`method ${n}`));
  for (const scope of scopes) decisions.remember(scope, [key("many")], ONE, decision());
  const found = scopes.map((scope) => decisions.find(scope, [key("many")], ONE) !== null);
  assert.equal(found.filter(Boolean).length, 64);
  assert.equal(found.at(-1), true);
  assert.ok(decisions.size <= 100);
  for (let n = 0; n < 300; n++) decisions.remember(scopes[0]!, [key(`after ${n}`)], ONE, decision());
  assert.ok(decisions.size <= 100);
});

test("scopes are bounded: too many begin anew", () => {
  const decisions = new Decisions();
  const first = decisions.scope("path 0");
  decisions.remember(first, [key("walker")], ONE, decision());
  for (let n = 1; n < 40_000; n++) {
    decisions.scope(`path ${n}`);
    assert.ok(decisions.scopeCount <= 16_384);
  }
  assert.notEqual(decisions.scope("path 0"), first);
  assert.equal(decisions.find(first, [key("walker")], ONE), null);
});

test("other rules leave nothing of what was decided", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  decisions.remember(scope, [key("before")], ONE, decision());
  decisions.clear();
  assert.equal(decisions.size, 0);
  assert.equal(decisions.find(scope, [key("before")], ONE), null);
  assert.notEqual(decisions.scope("api"), scope);
});

test("what long credentials keep alive is bounded too, and what is asked for stays", () => {
  const decisions = new Decisions();
  const scope = decisions.scope("api");
  const known = key("short and in use");
  const kept = decision();
  decisions.remember(scope, [known], ONE, kept);
  const long = "x".repeat(64_000);
  const made = Array.from({ length: 3 * Math.ceil(BYTES / 64_000) }, (_, n) => {
    const field = new Field(known.name, `${n} ${long}`, true, true);
    decisions.remember(scope, [field], ONE, decision(2));
    assert.equal(decisions.find(scope, [known], ONE), kept);
    return field;
  });
  assert.ok(decisions.size <= BYTES / 64_000 + 1, `${decisions.size}`);
  assert.equal(made.filter((field) => field.decision !== null).length, decisions.size - 1);
});
