// Session tickets: accepted wherever they should be, and never a way around a client certificate.
// Governed by: issue item 8; RFC 8446 section 4.6.1, RFC 5077.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readCertificate } from "../../src/shared/certificates/certificate.js";
import type { TicketKeys } from "../../src/shared/messages.js";
import { type Made, make } from "./certificates.js";
import { api, type Came, FRONT_PORT, FrontHarness, freshKeys, visit } from "./harness.js";

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

/** A ticket is for use once; a caller may hold several, here one is enough. */
function ticketOf(came: Came): Buffer {
  assert.match(came.answer, /^heard/);
  assert.ok(came.session !== undefined, "no ticket was given");
  return came.session;
}

for (const version of VERSIONS) {
  const only = { minVersion: version, maxVersion: version } as const;

  describe(`resumption with ${version}`, () => {
    let server: Made;
    let replaced: Made;
    const opened: FrontHarness[] = [];
    const start = (): FrontHarness => {
      const one = new FrontHarness().listen();
      opened.push(one);
      return one;
    };

    before(async () => {
      [server, replaced] = await Promise.all([make({ name: "localhost" }), make({ name: "localhost", until: 60 })]);
    });
    after(() => {
      for (const one of opened) one.close();
    });

    const plain = (one: FrontHarness, keys: TicketKeys, made = server): FrontHarness => {
      one.front.tickets(keys);
      return one.configure([api("open", "")], { http_server_options: { use_ssl: true, ssl_certificates: [made.pem] } });
    };

    test("every ticket of one worker is accepted by every other", async () => {
      const keys = freshKeys();
      const workers = [plain(start(), keys), plain(start(), keys), plain(start(), keys), plain(start(), keys)];
      for (const issuer of workers) {
        for (const other of workers) {
          const session = ticketOf(await visit(issuer.port, only));
          const came = await visit(other.port, { ...only, session });
          assert.deepEqual([came.resumed, came.answer], [true, "heard hello"]);
        }
      }
      assert.deepEqual(
        workers.map((one) => one.front.counts.resumed),
        [4, 4, 4, 4],
      );
    });

    test("after one rotation a ticket is still accepted, after two it falls back without an error", async () => {
      const first = freshKeys();
      const second = freshKeys(first);
      const third = freshKeys(second);
      const one = plain(start(), first);
      const [a, b] = [ticketOf(await visit(one.port, only)), ticketOf(await visit(one.port, only))];
      one.front.tickets(second);
      const after1 = await visit(one.port, { ...only, session: a });
      assert.deepEqual([after1.resumed, after1.answer], [true, "heard hello"]);
      one.front.tickets(third);
      const after2 = await visit(one.port, { ...only, session: b });
      assert.deepEqual([after2.resumed, after2.answer], [false, "heard hello"]);
    });

    test("a replaced certificate is shown by the next handshake and changes nothing for tickets", async () => {
      const keys = freshKeys();
      const one = plain(start(), keys);
      const session = ticketOf(await visit(one.port, only));
      plain(one, keys, replaced);
      const came = await visit(one.port, { ...only, session });
      assert.deepEqual([came.resumed, came.answer], [true, "heard hello"]);
      assert.match((await visit(one.port, only)).answer, /^heard/);
    });
  });

  describe(`${version} tickets and client certificates`, () => {
    let one: FrontHarness;
    let server: Made;
    let alice: Made;
    let bob: Made;
    const keys = freshKeys();
    const mutual = (...allowed: Made[]) => ({
      use_mutual_tls_auth: true,
      client_certificates: allowed.map((made) => made.cert),
    });
    const settings = () => ({ http_server_options: { use_ssl: true, ssl_certificates: [server.pem] } });
    const definitions = () => [
      api("open", "open.example"),
      api("strict", "strict.example", mutual(alice)),
      api("strict2", "strict2.example", mutual(bob)),
      api("mixed", "mixed.example", mutual(alice)),
      api("mixed2", "mixed.example"),
      { ...api("elsewhere", "strict.example", mutual(alice)), port: FRONT_PORT + 1 },
    ];
    const as = (made: Made) => ({ ...only, cert: made.cert, key: made.key });
    const at = (name: string) => ({ ...only, servername: `${name}.example` });

    before(async () => {
      [server, alice, bob] = await Promise.all([
        make({ name: "localhost" }),
        make({ name: "alice" }),
        make({ name: "bob" }),
      ]);
      one = new FrontHarness().listen();
      one.front.tickets(keys);
      one.configure(definitions(), settings(), [FRONT_PORT, FRONT_PORT + 1]);
    });
    after(() => one.close());

    test("a listed certificate opens, also with a ticket, and is seen each time", async () => {
      const first = await visit(one.port, { ...at("strict"), ...as(alice) });
      const came = await visit(one.port, { ...at("strict"), ...as(alice), session: ticketOf(first) });
      assert.deepEqual([came.resumed, came.answer], [true, "heard hello"]);
      assert.equal(one.seen.at(-1)?.transport.peer?.fingerprint, alice.fingerprint);
    });

    for (const [says, from, to] of [
      ["obtained under a name that asks for nothing", "open", "strict"],
      ["obtained without a certificate where one is optional", "mixed", "strict"],
    ] as const) {
      test(`a ticket ${says} does not open an API that wants a certificate`, async () => {
        const session = ticketOf(await visit(one.port, at(from)));
        const before = one.seen.length;
        const came = await visit(one.port, { ...at(to), session });
        assert.equal(came.resumed, false);
        assert.doesNotMatch(came.answer, /^heard/);
        assert.equal(one.seen.length, before);
      });
    }

    test("a ticket obtained without a certificate stays without one where it is optional", async () => {
      const session = ticketOf(await visit(one.port, at("mixed")));
      await visit(one.port, { ...at("mixed"), ...as(alice), session });
      const { peer } = one.seen.at(-1)!.transport;
      assert.ok(peer === null || peer.fingerprint === alice.fingerprint);
    });

    test("a ticket obtained with another certificate does not open", async () => {
      const session = ticketOf(await visit(one.port, { ...at("strict2"), ...as(bob) }));
      const before = one.seen.length;
      const came = await visit(one.port, { ...at("strict"), ...as(bob), session });
      assert.doesNotMatch(came.answer, /^heard/);
      assert.equal(one.seen.length, before);
    });

    test("a ticket of another port does not open", async () => {
      const other = new FrontHarness().listen(FRONT_PORT + 1);
      other.front.tickets(keys);
      other.configure(definitions(), settings(), [FRONT_PORT, FRONT_PORT + 1]);
      try {
        const session = ticketOf(await visit(other.port, { ...at("strict"), ...as(alice) }));
        const came = await visit(one.port, { ...at("strict"), session });
        assert.equal(came.resumed, false);
        assert.doesNotMatch(came.answer, /^heard/);
      } finally {
        other.close();
      }
    });

    test("a ticket obtained before a listed certificate left the store does not open", async () => {
      const changing = new FrontHarness().listen();
      changing.front.tickets(keys);
      const id = `org${bob.fingerprint}`;
      const read = readCertificate(bob.cert, "");
      assert.ok(!("problem" in read));
      const listed = { use_mutual_tls_auth: true, client_certificates: [alice.cert, id] };
      changing.front.certificates(new Map([[id, read]]));
      changing.configure([api("strict", "strict.example", listed)], settings());
      try {
        const session = ticketOf(await visit(changing.port, { ...at("strict"), ...as(bob) }));
        changing.front.certificates(new Map());
        const came = await visit(changing.port, { ...at("strict"), ...as(bob), session });
        assert.equal(came.resumed, false);
        assert.doesNotMatch(came.answer, /^heard/);
      } finally {
        changing.close();
      }
    });

    test("a ticket obtained before the allow list changed does not open", async () => {
      const changing = new FrontHarness().listen();
      changing.front.tickets(keys);
      changing.configure([api("strict", "strict.example", mutual(alice, bob))], settings());
      try {
        const session = ticketOf(await visit(changing.port, { ...at("strict"), ...as(bob) }));
        changing.configure([api("strict", "strict.example", mutual(alice))], settings());
        const came = await visit(changing.port, { ...at("strict"), ...as(bob), session });
        assert.equal(came.resumed, false);
        assert.doesNotMatch(came.answer, /^heard/);
      } finally {
        changing.close();
      }
    });
  });
}
