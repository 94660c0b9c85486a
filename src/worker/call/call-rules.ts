// What a definition says about the course of calls, compiled: for a method and a path one small record that hangs on the
// plan, or null where nothing is said. Breakers and retry budgets outlive a reload that leaves their entry as it is.
// Governed by Tyk's order: the first entry that fits counts (spec 2.3), a path's own timeout stands for the global one.
// Must not know: streams, sockets. Compiled once per configuration; `ruleFor` runs once per plan.

import type { Settings } from "../../shared/config.js";
import type { ApiDefinition } from "../../shared/model/api-definition.js";
import type { BreakerEntry, CallSettings, MessageLimits, RetrySettings } from "../../shared/model/call-settings.js";
import { compilePath, type MatchOptions, type PathPattern } from "../../shared/model/path-pattern.js";
import { matchingOf } from "../../shared/model/path-rules.js";
import { Breaker } from "./breaker.js";
import { MessageLimit } from "./message-screen.js";
import { Retry } from "./retry.js";

/** What applies to the calls of one plan. */
export interface CallRule {
  /** The longest that a call may take, ms; 0 = as long as it likes. */
  readonly boundMs: number;
  readonly breaker: Breaker | null;
  readonly retry: Retry | null;
  readonly request: MessageLimit | null;
  readonly response: MessageLimit | null;
}

interface Entry<Value> {
  readonly pattern: PathPattern;
  /** Empty: every method. */
  readonly method: string;
  readonly value: Value;
}

/** What one definition says. */
export class RouteRules {
  private readonly timeoutMs: number;
  private readonly timeouts: readonly Entry<number>[];
  private readonly breakers: readonly Entry<Breaker>[];
  private readonly methods: readonly Entry<{ readonly retry?: Retry; readonly limits?: MessageLimits }>[];
  private readonly retry: Retry | null;
  private readonly limits: MessageLimits | undefined;
  private readonly listenPath: string;

  constructor(definition: ApiDefinition, calls: CallSettings, settings: Settings, states: States) {
    const matching: MatchOptions = { ...matchingOf(settings), ignoreCase: calls.ignoreCase };
    // What restricts is searched as in Tyk, so that it restricts at least as much.
    const searching: MatchOptions = { ...matching, plain: "regex", tooLong: true };
    this.timeoutMs = calls.timeoutMs;
    this.timeouts = calls.timeouts.map(({ path, method, ms }) => ({
      pattern: compilePath(path, searching),
      method,
      value: ms,
    }));
    this.breakers = calls.breakers.map((entry) => ({
      pattern: compilePath(entry.path, searching),
      method: entry.method,
      value: states.breaker(definition, entry),
    }));
    this.methods = calls.methods.map(({ path, retry, limits }) => ({
      pattern: compilePath(path, matching),
      method: "",
      value: {
        ...(retry === undefined ? {} : { retry: states.retry(definition, path, retry) }),
        ...(limits === undefined ? {} : { limits }),
      },
    }));
    this.retry = calls.retry === undefined ? null : states.retry(definition, "", calls.retry);
    this.limits = calls.limits;
    const listen = definition.proxy.listen_path;
    this.listenPath = listen.includes("{") ? "" : listen.replace(/\/$/, "");
  }

  /** `path` as the caller wrote it. */
  ruleFor(method: string, path: string): CallRule | null {
    const mark = path.indexOf("?");
    const bare = mark < 0 ? path : path.slice(0, mark);
    const below = this.below(bare);
    const find = <Value>(entries: readonly Entry<Value>[]): Value | undefined =>
      entries.find(
        (entry) =>
          (entry.method === "" || entry.method === method) &&
          (entry.pattern.matches(below) || entry.pattern.matches(bare)),
      )?.value;
    const own = find(this.methods);
    const limits = own?.limits ?? this.limits;
    const rule: CallRule = {
      boundMs: Math.ceil(find(this.timeouts) ?? this.timeoutMs),
      breaker: find(this.breakers) ?? null,
      retry: own?.retry ?? this.retry,
      request: limitOf("request", limits?.request_bytes ?? 0, limits?.request_count ?? 0),
      response: limitOf("response", limits?.response_bytes ?? 0, limits?.response_count ?? 0),
    };
    return Object.values(rule).some((each) => each !== null && each !== 0) ? rule : null;
  }

  private below(path: string): string {
    if (this.listenPath === "" || !path.startsWith(this.listenPath)) return path;
    const rest = path.slice(this.listenPath.length);
    return rest.startsWith("/") ? rest : `/${rest}`;
  }
}

function limitOf(direction: "request" | "response", bytes: number, count: number): MessageLimit | null {
  return bytes === 0 && count === 0 ? null : new MessageLimit(direction, bytes, count);
}

export type BreakerChanged = (open: boolean, api: ApiDefinition, entry: BreakerEntry) => void;

/** Breakers and budgets by what they are for: what two configurations have in common goes on. */
class States {
  readonly breakers = new Map<string, Breaker>();
  readonly retries = new Map<string, Retry>();
  private before: States | null;
  private readonly changed: BreakerChanged;

  constructor(before: States | null, changed: BreakerChanged) {
    this.before = before;
    this.changed = changed;
  }

  /** Everything was asked for: what was not is forgotten. */
  settle(): void {
    this.before = null;
  }

  breaker(definition: ApiDefinition, entry: BreakerEntry): Breaker {
    const key = JSON.stringify([definition.api_id, entry]);
    const make = (): Breaker => new Breaker(entry, (open) => this.changed(open, definition, entry));
    return kept(this.breakers, this.before?.breakers, key, make);
  }

  retry(definition: ApiDefinition, path: string, settings: RetrySettings): Retry {
    const key = JSON.stringify([definition.api_id, path, settings]);
    return kept(this.retries, this.before?.retries, key, () => new Retry(settings));
  }
}

function kept<State>(
  now: Map<string, State>,
  before: ReadonlyMap<string, State> | undefined,
  key: string,
  make: () => State,
): State {
  const state = now.get(key) ?? before?.get(key) ?? make();
  now.set(key, state);
  return state;
}

/** The rules of all definitions of a worker, from configuration to configuration. */
export class RuleBook {
  private states: States | null = null;
  private readonly changed: BreakerChanged;

  constructor(changed: BreakerChanged) {
    this.changed = changed;
  }

  /** One for each definition, in order; null where nothing is said. */
  compile(definitions: readonly ApiDefinition[], settings: Settings): (RouteRules | null)[] {
    const states = new States(this.states, this.changed);
    const rules = definitions.map((definition) =>
      definition.calls === undefined ? null : new RouteRules(definition, definition.calls, settings, states),
    );
    states.settle();
    this.states = states;
    return rules;
  }
}
