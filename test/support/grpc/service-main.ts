// A service of the contract as a process of its own, to be stopped and killed. Arguments: service name, port or 0.
// Prints its port; ends with its standard input.

import { GrpcService } from "./service.js";

const service = await GrpcService.listen(process.argv[2] ?? "", Number(process.argv[3] ?? 0));
process.stdout.write(`${service.port}\n`);
process.stdin.resume().on("end", () => process.exit(0));
