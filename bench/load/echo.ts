/** The upstream service as a process: `echo.js PORT [KEY-FILE CERTIFICATE-FILE]`. */
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { ServiceLink } from "./service.js";

const [port = "0", key = "", certificate = ""] = process.argv.slice(2);

const serve = (socket: Socket): void => {
  socket.setNoDelay(true);
  new ServiceLink(socket);
};

const server =
  key === ""
    ? createServer(serve)
    : createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate), ALPNProtocols: ["h2"] }, serve);
server.listen(Number(port), "127.0.0.1", 4096);
