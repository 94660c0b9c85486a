/**
 * Who is calling: runs an API's methods of authentication, all of which must succeed.
 * Responsible for: which session a credential stands for. Must not know: rights, limits, paths beyond a query parameter.
 * Governed by: Tyk's credentials; `base_identity_provided_by` names the method that gives the session.
 * Runs: once per distinct combination of fields.
 */

import { createHash } from "node:crypto";
import { hasPassword } from "../../shared/keys/password.js";
import { generateToken, hashKey, nameCandidates, userCandidates } from "../../shared/keys/token.js";
import { type AuthMethod, BASIC, JWT } from "./api-gate.js";
import { parseBasic } from "./credentials/basic.js";
import { bindingVerdict, certificateCandidates, certificateId, shownVerdict } from "./credentials/certificates.js";
import { stripBearer, takeToken } from "./credentials/fields.js";
import type { JwtResult } from "./credentials/jwt.js";
import type { GateRequest, Senses } from "./evaluation.js";
import type { Answer, Questions } from "./questions.js";
import type { SessionRef } from "./session-ref.js";
import * as verdicts from "./verdicts.js";

export interface Identity {
  /** 0 when all methods succeeded. */
  readonly verdict: number;
  readonly ref: SessionRef | null;
  /** Wall clock, milliseconds: the credential itself ends. */
  readonly until: number;
  /** The keys of the other methods: a decision hangs on them too. */
  readonly others: readonly SessionRef[];
}

const FOREVER = Number.POSITIVE_INFINITY;
/** A decision by a certificate holds for so long, ms. */
const CERTIFICATE_MS = 8_000;
/** A token is a name in the store; beyond this it is none that we made. */
const MAX_TOKEN = 4_096;

type Outcome = Identity | undefined;

export function identify(senses: Senses, request: GateRequest, questions: Questions): Outcome {
  let base: Identity | undefined;
  let until = FOREVER;
  let waiting = false;
  const others: SessionRef[] = [];
  for (const method of request.api.auth) {
    const outcome = boundTo(identifyBy(method, senses, request, questions), senses, request);
    if (outcome === undefined) {
      waiting = true;
      continue;
    }
    // What fails now fails whatever the others answer.
    if (outcome.verdict !== 0) return outcome;
    until = Math.min(until, outcome.until);
    others.push(...outcome.others);
    if (method.kind === request.api.base) base = outcome;
    else if (outcome.ref !== null) others.push(outcome.ref);
  }
  if (waiting || base === undefined) return undefined;
  return { ...base, until, others };
}

function identifyBy(method: AuthMethod, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const value = takeToken(method.place, request.get, request.path);
  if (method.kind === BASIC) return byBasic(value, senses, request, questions);
  if (method.kind === JWT) return byJwt(stripBearer(value), senses, request, questions);
  const token = stripBearer(value);
  return method.byCertificate
    ? byCertificate(token, senses, request, questions)
    : byToken(token, senses, request, questions);
}

/**
 * `use_certificate`. The certificate is the key; a token beside it says nothing, unless tokens alone are allowed
 * (`allow_unsafe_dynamic_mtls_token`). Whatever identifies, a certificate that is shown must be in the store.
 */
function byCertificate(token: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const { api, certificate: shown } = request;
  const wall = senses.wall();
  const useToken = api.tokenAlone && token !== "";
  const verdict = shownVerdict(shown, wall);
  if (verdict !== 0 && !(useToken && verdict === verdicts.CERTIFICATE_REQUIRED)) {
    return { ...denied(verdict), until: verdict === verdicts.CERTIFICATE_EARLY ? (shown?.notBefore ?? 0) : FOREVER };
  }
  const found = useToken
    ? byToken(token, senses, request, questions)
    : byFingerprint(shown?.fingerprint ?? "", senses, request, questions);
  if (found === undefined || found.verdict !== 0) return found;
  const own = found.ref?.session?.certificate ?? "";
  const id = shown ? certificateId(api.orgId, shown.fingerprint) : own;
  return id === "" ? found : whileStored(id, found, senses, questions);
}

function byFingerprint(fingerprint: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const { orgId } = request.api;
  // No organisation begins so: a token cannot be spelt to mean a certificate.
  const credential = `\0${orgId}\n${fingerprint}`;
  const held = senses.sessions.recall(credential);
  if (held !== undefined) return standing(held, verdicts.CERTIFICATE_MISMATCH);
  const names = certificateCandidates(orgId, fingerprint, senses.keys);
  const outcome = session(senses, questions, orgId, names, verdicts.CERTIFICATE_MISMATCH);
  if (outcome?.ref?.session !== undefined) senses.sessions.remember(credential, outcome.ref);
  return outcome;
}

/** The identity, as long as the certificate with this id is in the store. */
function whileStored(id: string, found: Identity, senses: Senses, questions: Questions): Outcome {
  const question = `certificate ${id}`;
  const answer = senses.certificates.peek(id) ?? answerOf(questions.ask(question, () => senses.certificates.load(id)));
  if (answer === undefined) return undefined;
  if (answer instanceof Error) return denied(answer.name === "Busy" ? verdicts.GATE_BUSY : verdicts.STORE_AWAY);
  const ref = answer as SessionRef;
  if (ref.gone) {
    questions.forget(question);
    questions.ask(question, () => senses.certificates.load(id));
    return undefined;
  }
  if (ref.session === undefined) return { ...denied(verdicts.CERTIFICATE_GONE), ref };
  // Looked over again soon: the news of its removal may be lost.
  return { ...found, until: Math.min(found.until, senses.wall() + CERTIFICATE_MS), others: [...found.others, ref] };
}

/** A key that names certificates counts only where the connection shows one of them, while that is valid. */
function boundTo(outcome: Outcome, senses: Senses, request: GateRequest): Outcome {
  if (outcome === undefined || outcome.verdict !== 0) return outcome;
  const session = outcome.ref?.session;
  const { api, certificate: shown } = request;
  const wall = senses.wall();
  const verdict = session === undefined ? 0 : bindingVerdict(session, shown, api.orgId, wall, api.tokenAlone);
  // The milliseconds of the second in which it ends are still its own.
  const ends = shown === null || shown === undefined ? FOREVER : shown.notAfter + 1;
  if (verdict === 0) return ends > wall ? { ...outcome, until: Math.min(outcome.until, ends) } : outcome;
  const until = verdict === verdicts.CERTIFICATE_EARLY ? (shown?.notBefore ?? FOREVER) : FOREVER;
  return { ...outcome, verdict, until };
}

function byToken(token: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  if (token === "") return denied(verdicts.AUTH_FIELD_MISSING);
  if (token.length < request.api.minToken || token.length > MAX_TOKEN) return denied(verdicts.TOKEN_INVALID);
  const { orgId } = request.api;
  const credential = `${orgId}\n${token}`;
  const held = senses.sessions.recall(credential);
  if (held !== undefined) return standing(held, verdicts.KEY_NOT_FOUND);
  const names = nameCandidates(orgId, token, senses.keys);
  const outcome = session(senses, questions, orgId, names, verdicts.KEY_NOT_FOUND);
  // Unknown ones are remembered under their hash alone: a flood of them must not push the known ones out.
  if (outcome?.ref?.session !== undefined) senses.sessions.remember(credential, outcome.ref);
  return outcome;
}

function byBasic(value: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const credential = parseBasic(value);
  if (typeof credential === "number") return denied(credential);
  // Nobody has this name: an empty one asks for a made-up name elsewhere, another one at every look-up.
  if (credential.user === "") return denied(verdicts.BASIC_WRONG);
  const { passwordTtl } = request.api;
  const found = byUser(credential.user, senses, request, questions);
  if (found === undefined || found.verdict !== 0 || found.ref === null) return found;
  const stored = found.ref.session?.basic_auth_data;
  if (!hasPassword(stored)) return { ...found, verdict: verdicts.BASIC_WRONG };
  const { user, password } = credential;
  const { name } = found.ref;
  const known = senses.passwords.recall(name, password, stored);
  const question = `password ${user.length} ${user} ${stored.password} ${password}`;
  if (known === undefined && !questions.has(question) && senses.passwords.isFull(name, password, stored))
    return denied(verdicts.CHECKS_FULL);
  const right =
    known ??
    answerOf(questions.ask(question, () => senses.passwords.verify(name, password, stored, passwordTtl, request.gone)));
  if (right === undefined) return undefined;
  if (right instanceof Error) return denied(unchecked(right));
  if (right !== true) return { ...found, verdict: verdicts.BASIC_WRONG };
  return found;
}

function byUser(user: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const { orgId } = request.api;
  // No organisation begins so: a token cannot be spelt to mean a user.
  const credential = `\u0001${orgId}\n${user}`;
  const held = senses.sessions.recall(credential);
  if (held !== undefined) return standing(held, verdicts.BASIC_WRONG);
  const found = session(senses, questions, orgId, userCandidates(orgId, user, senses.keys), verdicts.BASIC_WRONG);
  if (found?.ref?.session !== undefined) senses.sessions.remember(credential, found.ref);
  return found;
}

function byJwt(token: string, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  const verifier = senses.verifiers.get(request.api);
  if (verifier === undefined || verifier.problems.length > 0) return denied(verdicts.API_CLOSED);
  const result = verifier.recall(token) ?? answerOf(questions.ask(`jwt ${token}`, () => verifier.verify(token)));
  if (result === undefined) return undefined;
  if (result instanceof Error) return denied(unchecked(result));
  return byClaims(result as JwtResult, senses, request, questions);
}

/** Whose session it is: the key that the token names, or one made of the policies that it brings. */
function byClaims(result: JwtResult, senses: Senses, request: GateRequest, questions: Questions): Outcome {
  if (typeof result === "number") return denied(result);
  const { orgId } = request.api;
  if (result.ownKey) {
    const names = nameCandidates(orgId, result.identity, senses.keys);
    const found = session(senses, questions, orgId, names, verdicts.KEY_NOT_FOUND);
    return found === undefined ? undefined : { ...found, until: result.until };
  }
  // Tyk's name of such a key, so that one stored for it (inactive, with its own end) is found.
  const id = createHash("md5").update(result.identity).digest("hex");
  const token = generateToken(orgId, id, senses.keys.algorithm);
  const name = hashKey(token, senses.keys);
  const stored = session(senses, questions, orgId, [name], 0);
  if (stored === undefined || stored.verdict !== 0) return stored;
  const own = stored.ref?.session === undefined ? {} : stored.ref.stored;
  const ref = senses.sessions.derive(orgId, name, {
    alias: result.identity,
    ...own,
    org_id: orgId,
    apply_policies: [...result.policies],
  });
  return { verdict: 0, ref, until: result.until, others: [] };
}

/** The session of the first name that is stored. `unknown` is the verdict when none is; 0 lets it pass without. */
function session(
  senses: Senses,
  questions: Questions,
  orgId: string,
  names: readonly string[],
  unknown: number,
): Outcome {
  const known = senses.sessions.peek(orgId, names);
  const question = `session ${orgId} ${names[0]}`;
  const found = known ?? answerOf(questions.ask(question, () => senses.sessions.load(orgId, names)));
  if (found === undefined) return undefined;
  if (found instanceof Error) return denied(found.name === "Busy" ? verdicts.GATE_BUSY : verdicts.STORE_AWAY);
  const ref = found as SessionRef;
  if (ref.gone) {
    // News came between the answer and now: whatever it says may be revoked.
    questions.forget(question);
    questions.ask(question, () => senses.sessions.load(orgId, names));
    return undefined;
  }
  return standing(ref, unknown);
}

function standing(ref: SessionRef, unknown: number): Identity {
  return { verdict: ref.session === undefined ? unknown : 0, ref, until: FOREVER, others: [] };
}

/** A surplus of checks is told so at once: its callers do best to come back later. Anything else is trouble of ours. */
function unchecked(error: Error): number {
  const full = error.name === "TooManyChecks" || (error as { failure?: unknown }).failure === "full";
  return full ? verdicts.CHECKS_FULL : verdicts.GATE_BUSY;
}

function answerOf(answer: Answer | undefined): unknown {
  return answer === undefined ? undefined : (answer.error ?? answer.value);
}

function denied(verdict: number): Identity {
  return { verdict, ref: null, until: FOREVER, others: [] };
}
