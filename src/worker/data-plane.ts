// The data plane of a worker: callers on one side, services on the other, and a configuration that is swapped by
// reference. Puts the pieces together; the work is theirs. Contract: plane.ts.

import type { IncomingMessage } from "node:http";
import { availableParallelism } from "node:os";
import { Clock } from "../shared/base/clock.js";
import { ReadBlockPool } from "../shared/base/read-block.js";
import { engineLimits } from "../shared/config.js";
import type { Explanation, Question } from "../shared/explanation.js";
import { Budget } from "../shared/http2/budget.js";
import type { EngineShared } from "../shared/http2/connection.js";
import { MemoTable } from "../shared/http2/header-memo.js";
import { FieldStore } from "../shared/http2/hpack/field.js";
import { isLegalName } from "../shared/http2/hpack/field-flaw.js";
import { FieldList } from "../shared/http2/hpack/field-list.js";
import { OutputBlocks } from "../shared/http2/output.js";
import type { HealthState, Load, TcpHandle, TicketKeys, WorkerConfig } from "../shared/messages.js";
import type { ApiDefinition, Target } from "../shared/model/api-definition.js";
import type { Figures } from "../shared/observe/figures.js";
import type { Inspection, InspectionQuery } from "../shared/observe/inspection.js";
import type { StoreChange } from "../shared/store/store.js";
import { Admission } from "./call/admission.js";
import { RuleBook } from "./call/call-rules.js";
import { CallerEvents } from "./call/caller-events.js";
import { Crowd } from "./call/crowd.js";
import { HeldRequests } from "./call/held-request.js";
import { Relay } from "./call/relay.js";
import { ServiceEvents } from "./call/service-events.js";
import { Caller, type CallerContext, plainAddress } from "./downstream/caller.js";
import { Census } from "./downstream/census.js";
import { makeHttp1Server } from "./downstream/http1-answers.js";
import { plainTransport, type Transport } from "./downstream/transport.js";
import { explain } from "./explain/explainer.js";
import { Gatehouse } from "./gatehouse.js";
import { makeReadPools } from "./net/read-blocks.js";
import { Turn } from "./net/turn.js";
import { HealthService } from "./observe/health-service.js";
import { inspect } from "./observe/inspect.js";
import { Observatory } from "./observe/observatory.js";
import { Offload, threadsPerWorker } from "./offload/offload.js";
import { callerOptions, censusLimits, upstreamOptions } from "./options.js";
import type { DataPlane, PlaneHooks } from "./plane.js";
import { compileRoutes } from "./route/table.js";
import { AllowList } from "./tls/allow-list.js";
import { TlsFront } from "./tls/front.js";
import { type Security, securityFor } from "./tls/towards.js";
import { compileChanges } from "./transform/route-changes.js";
import { HealthChecks } from "./upstream/health-checks.js";
import { systemLookup, type TargetPool } from "./upstream/target-pool.js";
import { type UpstreamContext, Upstreams } from "./upstream/upstreams.js";

/** Timeouts are looked at so often, ms: none of them is shorter than a second. */
const TICK_MS = 500;
const STATELESS_MEMOS = 256;
const COPY_BLOCK = 16_384;
const MAX_SPARE_COPIES = 256;

export function createDataPlane(hooks: PlaneHooks): DataPlane {
  return new Plane(hooks);
}

class Plane implements DataPlane {
  private readonly hooks: PlaneHooks;
  private readonly clock = new Clock();
  private readonly turn = new Turn(this.clock);
  private readonly relay: Relay;
  private readonly crowd: Crowd;
  private readonly census: Census;
  private readonly http1Ports = new WeakMap<object, number>();
  private readonly http1;
  private readonly tls: TlsFront;
  private callerContext!: CallerContext;
  private upstreamContext!: UpstreamContext;
  private upstreams!: Upstreams;
  private healthChecks: HealthChecks | null = null;
  private readonly observatory: Observatory;
  private readonly ownHealth: HealthService;
  private ended = false;
  private gatehouse: Gatehouse | null = null;
  private readonly rules = new RuleBook((open, { api_id }, { path, method, returnMs }) => {
    const what = { api: api_id, path, method };
    if (open) this.hooks.log.warn({ ...what, returnMs }, "circuit breaker opened: too many calls failed");
    else this.hooks.log.info(what, "circuit breaker closed");
  });
  /** Made with the gate: without keys nothing here is worth a thread. */
  private offload: Offload | null = null;
  private config: WorkerConfig | null = null;
  private ticker: NodeJS.Timeout | null = null;
  private draining: { resolve: () => void; promise: Promise<void>; by: number; hearUntil: number } | null = null;

  constructor(hooks: PlaneHooks) {
    this.hooks = hooks;
    this.census = new Census(hooks.log);
    this.clock.now = Math.trunc(performance.now());
    this.relay = new Relay(hooks.log, this.turn);
    this.crowd = new Crowd(this.relay, hooks.log);
    this.turn.endOfReads = () => this.relay.endOfReads();
    this.turn.onDefect = (error) => hooks.log.error({ err: error }, "a defect of the gateway ended a connection");
    this.tls = new TlsFront({
      clock: this.clock,
      log: hooks.log,
      admit: (transport, port) => this.admit(transport, port),
      changed: () => this.pendingChanged(),
    });
    this.ownHealth = new HealthService(this.relay);
    this.relay.ownHealth = this.ownHealth;
    this.observatory = new Observatory({
      clock: this.clock,
      relay: this.relay,
      tls: this.tls,
      callers: this.crowd.callers,
      budget: () => this.callerContext?.engine.budget ?? null,
      gatehouse: () => this.gatehouse,
      offload: () => this.offload,
    });
    const questions = {
      healthFor: (path: string) => this.healthFor(path),
      controlSocket: () => this.relay.rules.controlSocket,
    };
    this.http1 = makeHttp1Server(questions, (request: IncomingMessage) => {
      return this.http1Ports.get(request.socket) === this.relay.rules.mainPort;
    });
  }

  async configure(config: WorkerConfig): Promise<void> {
    const { settings } = config;
    const routes = compileRoutes(settings, config.definitions, config.closed);
    if (this.config === null) this.build(config);
    await this.openGate(config);
    this.config = config;
    this.tls.configure(config);
    this.callerContext.limits = engineLimits(settings, "downstream");
    this.callerContext.options = callerOptions(settings);
    this.census.limits = censusLimits(settings);
    this.upstreamContext.limits = engineLimits(settings, "upstream");
    this.upstreamContext.options = upstreamOptions(settings);
    const targets = routes.routes.map(({ definition, targets }) => {
      const pools = targets.map((target) => this.poolOf(definition, target));
      return this.upstreams.balancer(definition.api_id, targets, pools, definition.targeting ?? null);
    });
    const everywhere = settings.security.certificates.apis;
    const allowed = routes.routes.map(({ definition }) => {
      if (!definition.use_mutual_tls_auth) return null;
      const references = [...definition.client_certificates, ...everywhere];
      return new AllowList(references.flatMap((reference) => this.tls.find(reference) ?? []));
    });
    this.relay.rules = {
      allowed,
      version: config.generation,
      routes,
      targets,
      gates: routes.routes.map((route) => this.gatehouse?.guardOf(route.api_id) ?? null),
      calls: this.rules.compile(
        routes.routes.map((route) => route.definition),
        settings,
      ),
      changes: compileChanges(
        routes.routes.map((route) => route.definition),
        settings,
      ),
      elsewhere: (target, route) => {
        const security = this.securityOf(route.definition, target);
        return this.upstreams.single(route.api_id, target.host, target.port, security);
      },
      mainPort: settings.listen_port,
      controlSocket: config.controlSocket,
      healthPath: `/${settings.health_check_endpoint_name}`,
      readyPath: `/${settings.readiness_check_endpoint_name}`,
      generator: !settings.hide_generator_header,
      traces: settings.opentelemetry.enabled,
    };
    this.upstreams.keepOnly(new Set(targets));
    this.healthChecks?.apply();
    this.markKeyFields();
    await this.observatory.configure(
      settings,
      config.definitions.map((definition) => definition.api_id),
    );
  }

  /** What callers put their keys into is a secret on the wire, and worth knowing again among many. */
  private markKeyFields(): void {
    const { fields } = this.callerContext.engine;
    for (const gate of this.relay.rules.gates) {
      for (const { place } of gate?.auth ?? []) {
        if (isLegalName(place.header) && !place.header.startsWith(":")) fields.markCredential(place.header);
      }
    }
  }

  /** The gate is made when it is first needed and stays: later configurations only change its rules. */
  private async openGate(config: WorkerConfig): Promise<void> {
    const { settings } = config;
    const options = {
      quotaHeaders: settings.rate_limit_response_headers !== "rate_limits",
      httpAnswers: settings.refusal_form === "tyk",
      guesses: settings.unknown_keys_per_second,
    };
    if (this.gatehouse !== null) {
      this.gatehouse.configure(config);
      this.relay.admission!.options = options;
      return;
    }
    if (!Gatehouse.isNeeded(config)) return;
    // The same clock as the turn's, read when an answer of the store comes between two turns.
    const now = (): number => Math.trunc(performance.now());
    const cores = availableParallelism();
    this.offload = new Offload({ threads: threadsPerWorker(cores, settings.workers || cores) });
    this.gatehouse = await Gatehouse.open(config, this.offload, now, this.hooks.log);
    this.relay.admission = new Admission(this.relay, this.gatehouse.gate, this.gatehouse.engine, options);
  }

  changed(change: StoreChange): void {
    this.gatehouse?.changed(change);
  }

  leave(port: number): void {
    for (const caller of this.crowd.callers) if (caller.origin.port === port) caller.drain();
  }

  private poolOf(definition: ApiDefinition, target: Target): TargetPool {
    const health = definition.targeting?.health ?? null;
    return this.upstreams.pool(target.host, target.port, this.securityOf(definition, target), health);
  }

  private securityOf(definition: ApiDefinition, target: Target): Security | null {
    return securityFor(definition, target, this.config!.settings, (reference) => this.tls.find(reference));
  }

  /** What lives as long as the process, made with the first configuration's bounds. */
  private build(config: WorkerConfig): void {
    const { settings } = config;
    const engine: EngineShared = {
      clock: this.clock,
      fields: new FieldStore(),
      blocks: new OutputBlocks(),
      budget: new Budget(settings.max_buffered_bytes),
      copies: new ReadBlockPool(COPY_BLOCK, MAX_SPARE_COPIES),
      statelessMemo: new MemoTable(STATELESS_MEMOS),
      scratch: new FieldList(),
    };
    const pools = makeReadPools();
    const { turn, relay, hooks } = this;
    relay.held = new HeldRequests(settings.upstream.replay_bytes_per_call, settings.upstream.replay_bytes_per_worker);
    this.callerContext = {
      turn,
      pools,
      engine,
      events: new CallerEvents(relay),
      limits: engineLimits(settings, "downstream"),
      options: callerOptions(settings),
      serveHttp1: (stream, port) => {
        this.http1Ports.set(stream, port);
        this.http1.emit("connection", stream);
      },
      callerFailed: (caller, fault) => {
        hooks.log.warn(
          { caller: caller.origin.address, port: caller.origin.port, ...Caller.describe(fault) },
          "caller broke the protocol",
        );
      },
      callerClosed: (caller) => this.callerClosed(caller),
      shed: () => this.crowd.shed(engine.budget),
    };
    this.upstreamContext = {
      turn,
      pools,
      engine,
      log: hooks.log,
      runner: relay,
      lookup: systemLookup,
      checked: () => this.healthChecks?.apply(),
      events: new ServiceEvents(relay),
      limits: engineLimits(settings, "upstream"),
      options: upstreamOptions(settings),
    };
    this.upstreams = new Upstreams(this.upstreamContext);
    this.healthChecks = new HealthChecks({
      log: hooks.log,
      pools: () => this.upstreams.all(),
      now: () => Math.trunc(performance.now()),
      tell: (down) => hooks.targetsDown(down),
    });
    this.ticker = setInterval(() => this.tick(), TICK_MS);
  }

  private healthFor(path: string): HealthState["hello"] | null {
    const { rules, health } = this.relay;
    if (path === rules.healthPath) return health.hello;
    return path === rules.readyPath ? health.ready : null;
  }

  tickets(keys: TicketKeys): void {
    this.tls.tickets(keys);
  }

  accept(handle: TcpHandle, port: number): void {
    if (!this.hasRoom(handle)) handle.close();
    else if (!this.tls.serves(port)) this.admit(plainTransport(handle), port);
    else if (this.draining === null || this.clock.now < this.draining.hearUntil) this.tls.accept(handle, port);
    else handle.close();
  }

  private pendingChanged(): void {
    this.hooks.loadChanged();
    this.drained();
  }

  /** Before a handshake is spent on it. */
  private hasRoom(handle: TcpHandle): boolean {
    const { perWorker, perAddress } = this.census.limits;
    if (perWorker === 0 && perAddress === 0) return true;
    const peer: { address?: string } = {};
    handle.getpeername(peer);
    return this.census.admits(plainAddress(peer.address ?? ""), this.load().connections, this.clock.now);
  }

  private admit(transport: Transport, port: number): void {
    const caller = new Caller(transport, port, this.callerContext);
    this.crowd.callers.add(caller);
    this.census.came(caller.origin.address);
    if (this.draining !== null) caller.drain(this.draining.hearUntil);
    this.hooks.loadChanged();
  }

  move(connections: number): void {
    this.crowd.move(connections);
  }

  private callerClosed(caller: Caller): void {
    this.crowd.callers.delete(caller);
    this.census.went(caller.origin.address);
    this.hooks.loadChanged();
    this.drained();
  }

  targets(asks: boolean, down: readonly string[]): void {
    this.healthChecks?.learn(down);
    this.healthChecks?.appoint(asks);
  }

  health(state: HealthState): void {
    this.relay.health = state;
    this.ownHealth.changed();
  }

  figures(): Figures {
    return this.observatory.figures();
  }

  explain(question: Question): Promise<Explanation> {
    const { rules } = this.relay;
    const { engine, limits } = this.callerContext;
    return explain(question, { rules, config: this.config!, engine, limits, gatehouse: this.gatehouse });
  }

  inspect(query: InspectionQuery): Inspection {
    const { upstreams, clock } = this;
    return inspect({ callers: this.crowd.callers, pools: upstreams?.all() ?? [], now: clock.now }, query);
  }

  load(): Load {
    return { connections: this.crowd.callers.size + this.tls.pending, calls: this.relay.calls };
  }

  private tick(): void {
    const now = Math.trunc(performance.now());
    this.clock.now = now;
    this.tls.tick(now);
    for (const caller of this.crowd.callers) caller.tick(now);
    this.upstreams.tick(now);
    this.relay.tick(now);
    const limit = (this.config?.settings.stream_idle_timeout ?? 0) * 1_000;
    if (limit > 0) this.crowd.endSilentCalls(now, limit);
    if (this.draining === null) return;
    if (now >= this.draining.hearUntil) this.tls.close();
    if (now >= this.draining.by) this.crowd.endEverything();
  }

  drain(timeoutMs: number, silentMs: number): Promise<void> {
    const now = Math.trunc(performance.now());
    const by = now + timeoutMs;
    if (this.draining === null) {
      let resolve = (): void => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      const hearUntil = now + Math.min(silentMs, timeoutMs);
      this.draining = { resolve, promise, by, hearUntil };
      this.ownHealth.drain();
      // Nobody has begun a call there yet: they find another gateway at once.
      if (silentMs === 0) this.tls.close();
      for (const caller of this.crowd.callers) caller.drain(hearUntil);
    } else if (by < this.draining.by) this.draining.by = by;
    if (timeoutMs === 0) this.crowd.endEverything();
    this.drained();
    return this.draining.promise;
  }

  private drained(): void {
    if (this.draining === null || this.crowd.callers.size + this.tls.pending > 0 || this.ended) return;
    this.ended = true;
    if (this.ticker !== null) clearInterval(this.ticker);
    this.ticker = null;
    this.healthChecks?.end();
    this.upstreams?.destroy();
    this.http1.close();
    const told = this.observatory.end();
    const { latest } = this.relay.deadlines;
    if (latest > 0) this.hooks.log.info({ ms: latest }, "the most by which a deadline was kept late");
    const { resolve } = this.draining;
    // What this worker holds of shared limits goes back before it ends.
    const closing = [told, this.gatehouse?.close(), this.offload?.close()];
    Promise.allSettled(closing).then(() => resolve());
  }
}
