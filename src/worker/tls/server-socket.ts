// A TLS socket directly over an accepted handle of which the first octets were read already: records are decrypted in
// native code into buffers of ours, without a stream of JavaScript in between.
// Responsible for the one place that leans on how node:tls is built: `_wrapHandle` makes the native part (overridden to
// take the handle that is there instead of a new one), `receive` is how node:tls itself hands over what was read before
// it (initRead), and onread is only heeded without a socket underneath; `destroy` lets an alert out that node:tls would
// drop. Must not know: contexts, HTTP.
// Runs once per connection.

import type { OnReadOpts } from "node:net";
import { type SecureContext, TLSSocket, type TLSSocketOptions } from "node:tls";
import type { TcpHandle } from "../../shared/messages.js";

export interface ServerSocketOptions {
  readonly handle: TcpHandle;
  readonly context: SecureContext;
  readonly requestCert: boolean;
  /** A caller without a certificate is told so by an alert (it is never enough that it has one). */
  readonly requireCert: boolean;
  readonly protocols: readonly string[];
  readonly onread: OnReadOpts;
}

interface Internals {
  _wrapHandle(wrap: null, handle: TcpHandle, writing: boolean): object;
  _releaseControl(): boolean;
  connecting: boolean;
  readonly _tlsOptions: { readonly handle: TcpHandle };
  readonly _handle: { receive(bytes: Buffer): void } | null;
  /** OpenSSL has given this connection up. */
  readonly _hadError: boolean;
}

const native = TLSSocket.prototype as unknown as Internals;

export class ServerSocket extends TLSSocket {
  private parting = false;

  constructor(options: ServerSocketOptions) {
    const { handle, context, requestCert, requireCert, protocols, onread } = options;
    const known: TLSSocketOptions & { handle: TcpHandle; onread: OnReadOpts } = {
      handle,
      isServer: true,
      secureContext: context,
      requestCert,
      rejectUnauthorized: requireCert,
      ALPNProtocols: [...protocols],
      onread,
    };
    // Without a socket underneath node:tls believes that one will be connected.
    super(undefined as never, known);
    (this as unknown as Internals).connecting = false;
  }

  _wrapHandle(): object {
    return native._wrapHandle.call(this, null, (this as unknown as Internals)._tlsOptions.handle, false);
  }

  /**
   * What OpenSSL gives up ends with an alert (RFC 8446 section 6.2). The native part counts a write as over in the native
   * immediates that follow it and writes nothing before: a caller who answers our flight sooner would get its end without
   * the reason. Those run ahead of immediates of JavaScript, so after one of these the alert is on its way. Whatever
   * else ends the socket meanwhile ends it at once.
   */
  override destroy(error?: Error): this {
    const { _hadError, _handle } = this as unknown as Internals;
    if (this.parting || !_hadError || _handle === null) return super.destroy(error);
    this.parting = true;
    setImmediate(() => super.destroy(error));
    return this;
  }

  /** What was read from the handle before this socket had it. */
  receive(bytes: Buffer): void {
    (this as unknown as Internals)._handle?.receive(bytes);
  }

  /** The handshake is over: errors are the owner's from here on. */
  release(): void {
    (this as unknown as Internals)._releaseControl();
  }
}
